//! Tests of the routes: the OpenAPI document describes them, and their replies have its schemas.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use axum::{
    body::{self, Body},
    http,
};
use job_poller::observer::{BudgetStatus, MetricsObserver, Observer as _};
use job_sim::{Plan, Sim, SimTransport, TimeSource};
use job_store::Worker;
use jsonschema::Validator;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::*;
use crate::config::Project;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("openapi.json")).unwrap());

/// A process has one recorder.
static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics::install(1).unwrap().0);

const TOKEN: &str = "a-token-with-more-than-32-characters-in-it";
const METHODS: [&str; 4] = ["get", "put", "post", "delete"];

/// The routes with a store in a temporary folder, and a simulated cloud.
struct TestBed {
    router: Router,
    api: Api,
    sim: Arc<Sim>,
    worker: Worker,
    stop: CancellationToken,
    _folder: TempDir,
}

impl TestBed {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        std::io::Write::write_all(
            &mut crate::files::create_private(&token_file).unwrap(),
            TOKEN.as_bytes(),
        )
        .unwrap();
        let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
        let endpoint = "https://cce.example";
        let client = sim.client(endpoint.parse().unwrap(), SimTransport::new(sim.clone()));
        let id = sim.project().clone();
        let project =
            Project { name: "sim".into(), id: id.clone(), endpoint: endpoint.into(), client };
        let database = Database::sqlite(&folder.path().join("jobs.db"), None).await.unwrap();
        let database = Arc::new(database);
        let observer = WorkerObserver::new(MetricsObserver::new());
        let worker = Worker::for_projects(database.store.clone(), [(id, project.client.clone())])
            .observer(observer.clone());
        let stop = CancellationToken::new();
        let api = Arc::new(ApiState {
            projects: Projects::new(vec![project]),
            queues: vec!["billing".into()],
            refused_tokens: RefusalLog::default(),
            tokens: Arc::new(Tokens::open(token_file, false).unwrap()),
            hosts: AllowedHosts::new([127, 0, 0, 1].into(), &[]),
            feeds: ChangeFeeds::new(database.store.clone()),
            streams: Arc::new(Semaphore::new(1)),
            metrics: METRICS.clone(),
            worker: observer,
            stop: stop.clone(),
            database,
        });
        Self { router: router(api.clone()), api, sim, worker, stop, _folder: folder }
    }

    /// Sends a request with the token, and returns the response before its body is read.
    async fn send(&self, method: &str, path: &str, body: &str) -> Response {
        let request = http::Request::builder().method(method).uri(path);
        let request = request
            .header("host", "localhost")
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()));
        self.router.clone().oneshot(request.unwrap()).await.unwrap()
    }

    /// Sends a request, checks that the document describes the reply, and returns the JSON.
    async fn call(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let response = self.send(method, path, body).await;
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("x-content-type-options"), Some("nosniff"));
        let content_type = header("content-type").map(|value| value.split(';').next().unwrap());
        let content_type = content_type.map(str::to_owned);
        let bytes = body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let described = described_reply(method, path, status);
        let Some(content_type) = content_type else {
            assert!(described.get("content").is_none() && bytes.is_empty(), "{method} {path}");
            return (status, Value::Null);
        };
        let schema = &described["content"][&content_type]["schema"];
        assert!(schema.is_object(), "{method} {path}: {content_type} is not in the document");
        if !content_type.ends_with("json") {
            return (status, Value::String(String::from_utf8(bytes.to_vec()).unwrap()));
        }
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        let errors: Vec<String> =
            validator(schema).iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{method} {path} {status}: {errors:?} in {value}");
        (status, value)
    }
}

/// Returns a validator for a schema of the document.
fn validator(schema: &Value) -> Validator {
    let mut whole = schema.clone();
    whole["components"] = DOCUMENT["components"].clone();
    jsonschema::options().should_validate_formats(true).build(&whole).unwrap()
}

/// Returns the description of a reply.
fn described_reply(method: &str, path: &str, status: u16) -> &'static Value {
    let path = path.split('?').next().unwrap();
    let matches = |template: &str| {
        let parts = template.split('/').zip(path.split('/'));
        template.split('/').count() == path.split('/').count()
            && parts.into_iter().all(|(part, given)| part.starts_with('{') || part == given)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    // A literal path comes before one with parameters.
    let item = paths
        .get(path)
        .or_else(|| paths.iter().find(|(template, _)| matches(template)).map(|(_, item)| item));
    let item = item.unwrap_or_else(|| panic!("{path} is not in the document"));
    let reply = &item[method.to_ascii_lowercase()]["responses"][status.to_string()];
    match reply["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap(),
        None => reply,
    }
}

#[tokio::test]
async fn each_route_is_in_the_document() {
    let bed = TestBed::new().await;
    let mut served = BTreeMap::new();
    for (path, _) in routes() {
        // The reply to a method that no route has lists those that it has.
        let example = path.replace("{project}", "sim").replace("{job}", "j").replace("{id}", "i");
        let response = bed.send("TRACE", &example, "").await;
        assert_eq!(response.status(), 405, "{path}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let allow = response.headers()["allow"].to_str().unwrap().to_ascii_lowercase();
        let methods: BTreeSet<String> =
            allow.split(',').map(str::to_owned).filter(|method| method != "head").collect();
        served.insert(path.to_owned(), methods);
    }
    let described = DOCUMENT["paths"].as_object().unwrap().iter().map(|(path, item)| {
        let methods = item.as_object().unwrap().keys().filter(|key| METHODS.contains(&&***key));
        (path.clone(), methods.cloned().collect())
    });
    assert_eq!(served, described.collect());
}

#[test]
fn the_document_is_complete() {
    let description = DOCUMENT["components"]["schemas"]["Problem"]["description"].as_str().unwrap();
    for kind in problem::ALL {
        assert!(description.contains(&format!("`{}`", kind.name())), "{kind:?}");
    }
    // Each reference has a target, and each operation a summary and an id of its own.
    let text = DOCUMENT.to_string();
    for reference in text.split(r##""$ref":"#"##).skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(DOCUMENT.pointer(pointer).is_some(), "{pointer}");
    }
    let mut ids = BTreeSet::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for operation in METHODS.iter().filter_map(|method| item.get(method)) {
            assert!(operation["summary"].is_string(), "{path}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{path}");
        }
    }
    for schema in DOCUMENT["components"]["schemas"].as_object().unwrap().values() {
        validator(schema);
    }
}

#[tokio::test]
async fn replies_have_the_schemas_of_the_document() {
    let bed = TestBed::new().await;
    let failing = Plan::create_cluster().with_duration(Duration::ZERO).with_failure("sold out");
    let (failing, project) = (bed.sim.add(failing), bed.sim.project().clone());
    let failing = format!("/api/v1/waits/sim/{failing}");
    let long = "x".repeat(129);
    let rows = [
        ("GET", "/health", "", 200, "ok"),
        ("GET", "/metrics", "", 200, "cce_job_server_database_up 1"),
        ("GET", "/openapi.json", "", 200, "3.1.0"),
        ("GET", "/api/v1/projects", "", 200, r#""is_paused":false,"name":"sim""#),
        ("GET", "/api/v1/summary", "", 200, r#""active":0"#),
        ("GET", "/api/v1/waits", "", 200, r#""waits":[]"#),
        ("GET", &failing, "", 404, "the job has no wait"),
        ("DELETE", &failing, "", 404, "the job has no wait"),
        ("GET", &format!("{failing}/events"), "", 404, "the job has no wait"),
        ("PUT", &failing, r#"{"enqueue": ["billing"]}"#, 200, r#""state":"waiting""#),
        ("GET", &format!("{failing}/timeline.svg"), "", 404, "never read"),
        ("PUT", &failing, r#"{"timeout": "45m", "until": "ready"}"#, 200, "waiting"),
        ("PUT", &failing, r#"{"timeout": "soon"}"#, 400, "expected a duration"),
        ("PUT", &failing, r#"{"until": "done"}"#, 400, "unknown variant `done`"),
        ("PUT", &failing, r#"{"timeout": 60}"#, 400, "the body"),
        ("PUT", &failing, r#"{"endpoint": "https://evil.example"}"#, 400, "sets the endpoint"),
        ("PUT", &failing, r#"{"credentials": {"token": "x"}}"#, 400, "sets the endpoint"),
        ("PUT", &failing, r#"{"timeot": "45m"}"#, 400, "at line 1 column 9\""),
        ("PUT", &failing, "[", 400, "the body"),
        ("PUT", &failing, r#"{"enqueue": ["billing", "other"]}"#, 422, "the queue \\\"other"),
        ("PUT", &failing, r#"{"notify": ["https://x.example"]}"#, 422, "receiver"),
        ("PUT", "/api/v1/waits/other/j", "", 404, "the server has the projects sim\""),
        ("PUT", &format!("/api/v1/waits/sim/{long}"), "", 400, "longer than 128"),
        ("PUT", "/api/v1/waits/sim/..%2Fx", "", 400, "cannot contain"),
        ("PUT", "/api/v1/waits/sim/%FF", "", 400, "UTF-8"),
        ("PUT", &format!("/api/v1/waits/{project}/second"), "", 200, ":second"),
        ("POST", "/api/v1/waits/sim/second/hint", "", 202, r#""is_active":true"#),
        ("POST", "/api/v1/waits/sim/third/hint", "", 202, r#""is_active":false"#),
        ("GET", "/api/v1/waits?state=active&limit=1", "", 200, r#""next":""#),
        ("GET", "/api/v1/waits?project=sim&limit=1000", "", 200, r#""next":null"#),
        ("GET", "/api/v1/waits?project=other", "", 404, "unknown-project"),
        ("GET", "/api/v1/waits?state=all", "", 400, "the query: state: unknown variant"),
        ("GET", "/api/v1/waits?limit=0", "", 400, "between 1 and 1000"),
        ("GET", "/api/v1/waits?limit=1001", "", 400, "between 1 and 1000"),
        ("GET", "/api/v1/waits?after=x", "", 400, "not a wait key"),
        ("GET", "/api/v1/waits?endpoint=x", "", 400, "unknown field `endpoint`"),
        ("DELETE", "/api/v1/waits/sim/second", "", 200, r#""outcome":"stopped""#),
        ("GET", "/api/v1/waits?state=failed", "", 200, r#""outcome":"stopped""#),
        ("POST", "/api/v1/projects/sim/pause", "", 204, ""),
        ("GET", "/api/v1/projects", "", 200, r#""is_paused":true"#),
        ("GET", &failing, "", 200, r#""state":"paused""#),
        ("POST", "/api/v1/projects/sim/resume", "", 204, ""),
        ("POST", "/api/v1/projects/other/pause", "", 404, "unknown-project"),
        ("POST", "/api/v1/notifications/x%20y/retry", "", 404, "undelivered"),
        ("POST", "/api/v1/notifications/%FF/retry", "", 400, "UTF-8"),
        ("GET", "/api/v1/notifications/undelivered", "", 200, r#""notifications":[]"#),
    ];
    for (method, path, body, status, text) in rows {
        let (found, value) = bed.call(method, path, body).await;
        assert!(found == status && value.to_string().contains(text), "{method} {path}: {value}");
    }

    // The stream ends with the result, and reads like the wait.
    let worker = tokio::spawn(bed.worker.clone().run(bed.stop.clone().cancelled_owned()));
    let stream = bed.send("GET", &format!("{failing}/events"), "").await;
    let text = body::to_bytes(stream.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let last = text.trim_end().rsplit("\n\n").find(|event| event.starts_with("event: wait"));
    let data = last.unwrap().split_once("\ndata: ").unwrap().1;
    let (_, status) = bed.call("GET", &failing, "").await;
    assert_eq!(serde_json::from_str::<Value>(data).unwrap(), status);
    assert_eq!(status["result"]["outcome"], "failed");
    assert!(status["result"]["report"]["document"].is_object());
    let (_, list) = bed.call("GET", &format!("/api/v1/waits?after={project}:"), "").await;
    assert!(list["status"] == 400, "a key has a job");
    let (_, list) = bed.call("GET", "/api/v1/waits?state=finished", "").await;
    let report =
        &list["waits"].as_array().unwrap().iter().find(|wait| wait["key"] == status["key"]);
    let report = &report.unwrap()["result"]["report"];
    assert_eq!(report["document"], Value::Null);
    assert_eq!(report["omitted"], json!(["document"]));
    assert_eq!(report["failure"], status["result"]["report"]["failure"]);
    let (_, sent) = bed.call("GET", &format!("{failing}/notifications"), "").await;
    assert_eq!(sent["notifications"][0]["queue"], "billing");
    let (_, image) = bed.call("GET", &format!("{failing}/timeline.svg"), "").await;
    assert!(image.as_str().unwrap().contains("sold out"), "{image}");
    assert_eq!(bed.call("GET", "/ready", "").await.0, 200);
    bed.stop.cancel();
    worker.await.unwrap();
}

#[tokio::test]
async fn a_wait_with_another_policy_is_a_conflict() {
    let bed = TestBed::new().await;
    let path = "/api/v1/waits/sim/j";
    assert_eq!(bed.call("PUT", path, r#"{"until": "ready"}"#).await.0, 200);
    assert_eq!(bed.call("PUT", path, r#"{"until": "gone"}"#).await.0, 409);
    assert_eq!(bed.call("PUT", path, r#"{"timeout": "none"}"#).await.0, 200);
}

#[tokio::test]
async fn further_streams_are_refused() {
    let bed = TestBed::new().await;
    let first = bed.send("GET", "/api/v1/events", "").await;
    assert_eq!(first.status(), 200);
    let (status, problem) = bed.call("GET", "/api/v1/events", "").await;
    assert_eq!((status, problem["type"].as_str().unwrap()), (503, "/problems/too-many-streams"));
    drop(first);
    assert_eq!(bed.send("GET", "/api/v1/events", "").await.status(), 200);
}

/// Returns the next part of a body as text.
async fn next_part(body: &mut Body) -> String {
    let frame = http_body_util::BodyExt::frame(body).await.unwrap().unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn a_client_that_is_too_slow_must_read_the_lists_again() {
    let bed = TestBed::new().await;
    let mut body = bed.send("GET", "/api/v1/events", "").await.into_body();
    assert!(next_part(&mut body).await.starts_with("event: summary\ndata: {"));
    let feed = bed.api.feeds.subscribe().await.unwrap();
    for number in 0..changes::MAX_BATCHES + 5 {
        feed.send_for_test(&format!("event: {number}\n\n"));
    }
    assert_eq!(next_part(&mut body).await, "event: reset\ndata: {}\n\n");
    feed.send_for_test("event: later\n\n");
    assert_eq!(next_part(&mut body).await, "event: later\n\n");
}

#[tokio::test]
async fn a_stopping_server_ends_its_streams() {
    let bed = TestBed::new().await;
    assert_eq!(bed.call("PUT", "/api/v1/waits/sim/j", "").await.0, 200);
    for path in ["/api/v1/events", "/api/v1/waits/sim/j/events"] {
        let body = bed.send("GET", path, "").await.into_body();
        bed.stop.cancel();
        let text = body::to_bytes(body, usize::MAX).await.unwrap();
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 3, "one event");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_ends_the_request() {
    let router: Router = Router::new()
        .route("/", post(async |_: body::Bytes| "read"))
        .layer(middleware::from_fn(limit_time));
    let never = Body::from_stream(futures_util::stream::pending::<Result<body::Bytes, String>>());
    let response = router.oneshot(http::Request::post("/").body(never).unwrap()).await.unwrap();
    assert_eq!(response.status(), 504);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_look_for_waits_is_not_ready() {
    let _metrics = METRICS.clone();
    let worker = WorkerObserver::new(MetricsObserver::new());
    assert!(!worker.is_idle());
    tokio::time::advance(Duration::from_secs(20)).await;
    assert!(worker.is_idle());
    worker.budget_changed(&BudgetStatus::default());
    assert!(!worker.is_idle());
}

#[tokio::test]
async fn the_page_has_a_strict_policy() {
    let bed = TestBed::new().await;
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/data/api.js", "text/javascript; charset=utf-8"),
        ("/app.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let request = http::Request::get(path).header("host", "localhost").body(Body::empty());
        let response = bed.router.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let header = |name| response.headers()[name].to_str().unwrap();
        assert_eq!(header("content-type"), content_type);
        assert_eq!(header("cache-control"), "no-cache");
        assert_eq!(header("referrer-policy"), "no-referrer");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"));
    }
}

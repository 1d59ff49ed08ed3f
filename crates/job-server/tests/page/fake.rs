//! A server with the page and canned replies of the API.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::any,
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{broadcast, watch},
    task::JoinHandle,
};

pub(crate) const TOKEN: &str = "the-token-of-this-test-9d2c";

/// A text with markup, an escape sequence and an override of the writing direction.
pub(crate) const HOSTILE: &str = "<img src=/stolen onerror=\"window.stolen=1\"><script>window.stolen=1</script>\
    \u{1b}]0;stolen\u{7} \u{202e}gnp.exe\u{2066} it's";

/// An image that tries to run scripts and to load another image.
const TIMELINE: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 960 120\" width=\"960\" height=\"120\" \
    onload=\"window.stolen=1\"><script>window.stolen=1</script><image href=\"/stolen\" width=\"9\" height=\"9\"/>\
    <rect x=\"16\" y=\"24\" width=\"600\" height=\"14\" rx=\"3\" fill=\"#1a7f37\"/></svg>";

/// The policy of the server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PROJECTS: [(&str, &str); 3] = [
    ("10d0b3a10a1b4e5f8c7d6e5f4a3b2c10", "prod-eu-de"),
    ("20d0b3a10a1b4e5f8c7d6e5f4a3b2c20", "staging"),
    ("30d0b3a10a1b4e5f8c7d6e5f4a3b2c30", "team-analytics"),
];

/// The time of the fake. The page takes it from the summary.
const NOW: i64 = 1_796_126_400;

/// Returns the time in the format of the API, some seconds before or after [`NOW`].
fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(NOW + seconds).unwrap().to_string()
}

/// Returns the id of a job.
pub(crate) fn job(index: usize) -> String {
    format!("{:08x}-229a-11e8-9c75-0255ac100ceb", 0x3543_31b2 + index)
}

/// Returns the status of a wait. One of 250 has failed, and one of 250 was stopped by its deadline.
pub(crate) fn wait(index: usize) -> Value {
    let (project, _) = PROJECTS[index % 3];
    let number = i64::try_from(index).unwrap();
    let types = ["CreateCluster", "ScaleupCluster", "DeleteNode", "UpgradeCluster", "CreateNode"];
    let job_type = types[index % 5];
    let name = [
        "prod-eu-1".to_owned(),
        format!("cluster-blue-{}", index % 61),
        format!("pool-green-{}", index % 97),
        format!("analytics-batch-workers-{index}"),
    ][index % 4]
        .clone();
    let age = 30 + number * 7919 % 7200;
    let mut status = json!({
        "key": format!("{project}:{}", job(index)), "number": index + 1, "state": "waiting",
        "created_at": time(-age), "active": null, "result": null,
    });
    if let Some(outcome) = match index % 250 {
        7 => Some("failed"),
        8 => Some("deadline_exceeded"),
        9 => Some("succeeded"),
        _ => None,
    } {
        let reasons = [
            "ECS quota exceeded: the flavor c7.4xlarge.4 is sold out in AZ eu-de-02; request a higher quota (Ecs.0319)",
            "no IP address left in the subnet",
        ];
        let failure = json!({"path": "spec.subJobs[1]", "job_types": [job_type, "InstallNode"],
            "uid": "x", "reason": reasons[index / 250 % 2], "name": "pool-blue-node-00017"});
        let is_failed = outcome == "failed";
        let error = "the job did not end before the deadline (412 attempts in 1h; the job was last seen Running)";
        status["state"] = if outcome == "deadline_exceeded" { "stopped" } else { "ended" }.into();
        status["result"] = json!({"outcome": outcome, "finished_at": time(-(number * 31 % 9000)), "report": {
            "outcome": outcome, "type": job_type, "name": name, "phase": if is_failed { "Failed" } else { "Running" },
            "failure": if is_failed { failure } else { Value::Null }, "failures": null,
            "error": if outcome == "deadline_exceeded" { error.into() } else { Value::Null },
            "attempts": 22, "duration": 440.0, "elapsed": 418.2, "document": null}});
        return status;
    }
    let is_overdue = index % 2500 == 11;
    if index % 40 == 21 {
        status["state"] = "paused".into();
    }
    let total = if index % 4 == 3 { 0 } else { 1 + index * 13 % 24 };
    let done = if total == 0 { 0 } else { index * 5 % (total + 1) };
    status["active"] = json!({
        "job_type": job_type, "phase": if index % 5 == 3 { "Initializing" } else { "Running" }, "name": name,
        "progress": {"total": total, "initializing": 0, "running": total - done, "success": done, "failed": 0, "unknown": 0},
        "began_at": time(-age - 40), "expected_end_at": if index.is_multiple_of(6) { Value::Null } else { time(number * 53 % 1500 - 60).into() },
        "attempts": 3 + index % 40,
        "last_error": if is_overdue { "the connection was refused".into() } else if index % 17 == 3 { "the service answered 503 Service Unavailable (request id 8c1f)".into() } else { Value::Null },
        "next_attempt_at": time(if is_overdue { -400 } else { number * 37 % 58 + 2 }),
        "deadline_at": time(7200 - age), "is_in_flight": index % 50 == 2,
    });
    status
}

/// Returns the status of a wait with a hostile text in each field that may have one. Every second one has
/// failed.
pub(crate) fn hostile_wait(index: usize) -> Value {
    let mut status = wait(index);
    let (project, _) = PROJECTS[index % 3];
    status["key"] = format!("{project}:it's<b>{index}").into();
    if index.is_multiple_of(2) {
        status["state"] = "ended".into();
        status["active"] = Value::Null;
        status["result"] = json!({"outcome": "failed", "finished_at": time(-number(index)), "report": {
            "type": HOSTILE, "name": HOSTILE, "phase": HOSTILE, "error": HOSTILE, "outcome": "failed",
            "failure": {"job_types": [HOSTILE, HOSTILE], "reason": HOSTILE, "name": HOSTILE}, "elapsed": 1.0}});
    } else {
        status["state"] = "waiting".into();
        status["result"] = Value::Null;
        status["active"] = json!({"job_type": HOSTILE, "phase": HOSTILE, "name": HOSTILE, "last_error": HOSTILE,
            "attempts": 1, "next_attempt_at": time(9), "is_in_flight": false});
    }
    status
}

fn number(index: usize) -> i64 {
    i64::try_from(index).unwrap()
}

/// Returns a notification that was given up because of this error.
pub(crate) fn notification(key: &Value, error: &str) -> Value {
    json!({"id": "n-1", "key": key, "receiver": "hooks.example.com/services/T02", "queue": null, "state": "failed",
        "tries": 4, "last_error": error, "next_try_at": null})
}

#[derive(Clone)]
struct Api {
    data: Arc<Mutex<Data>>,
    events: broadcast::Sender<Bytes>,
    /// Whether the server answers, and a number that changes to drop all streams.
    up: watch::Sender<(bool, u64)>,
}

struct Data {
    token: String,
    waits: Vec<Value>,
    notifications: Vec<Value>,
    /// The method and the path of each request of the API.
    requests: Vec<(String, String)>,
}

pub(crate) struct Fake {
    address: std::net::SocketAddr,
    api: Api,
    server: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Fake {
    pub(crate) async fn start(mut waits: Vec<Value>) -> Self {
        waits.sort_by_key(|status| status["key"].as_str().unwrap().to_owned());
        let data =
            Data { token: TOKEN.into(), waits, notifications: Vec::new(), requests: Vec::new() };
        let api = Api {
            data: Arc::new(Mutex::new(data)),
            events: broadcast::Sender::new(1 << 17),
            up: watch::Sender::new((true, 0)),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(any(answer)).with_state(api.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, api, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Sends an event to all clients.
    pub(crate) fn send(&self, name: &str, data: &Value) {
        let _ = self.api.events.send(format!("event: {name}\ndata: {data}\n\n").into());
    }

    /// Lets the server answer or not. If it does not, streams are dropped.
    pub(crate) fn set_up(&self, is_up: bool) {
        self.api.up.send_modify(|up| *up = (is_up, up.1 + 1));
    }

    pub(crate) fn drop_streams(&self) {
        self.api.up.send_modify(|up| up.1 += 1);
    }

    pub(crate) fn set_token(&self, token: &str) {
        self.data(|data| data.token = token.into());
    }

    pub(crate) fn set_notifications(&self, notifications: Vec<Value>) {
        self.data(|data| data.notifications = notifications);
    }

    /// Changes the wait for a job.
    pub(crate) fn replace(&self, index: usize, change: impl FnOnce(&mut Value)) {
        self.data(|data| change(find(data, index).unwrap()));
    }

    pub(crate) fn remove(&self, index: usize) {
        let id = job(index);
        self.data(|data| {
            data.waits.retain(|status| !status["key"].as_str().unwrap().ends_with(&id))
        });
    }

    pub(crate) fn status(&self, index: usize) -> Value {
        self.data(|data| find(data, index).unwrap().clone())
    }

    /// Returns the paths of all requests.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.data(|data| data.requests.iter().map(|(_, path)| path.clone()).collect())
    }

    /// Returns the methods of all requests.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.data(|data| data.requests.iter().map(|(method, _)| method.clone()).collect())
    }

    fn data<T>(&self, change: impl FnOnce(&mut Data) -> T) -> T {
        change(&mut self.api.data.lock().unwrap())
    }
}

fn find(data: &mut Data, index: usize) -> Option<&mut Value> {
    let id = job(index);
    data.waits.iter_mut().find(|status| status["key"].as_str().unwrap().ends_with(&id))
}

fn reply(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (status, headers, body.into()).into_response()
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({"type": "about:blank", "title": status.to_string(), "status": status.as_u16(), "detail": detail});
    reply(status, "application/problem+json", body.to_string())
}

fn is_success(status: &Value) -> bool {
    status["result"]["outcome"] == "succeeded"
}

/// Answers any request.
async fn answer(State(api): State<Api>, request: Request) -> Result<Response, Infallible> {
    let path = request.uri().path().to_owned();
    let file = match &*path {
        "/" => Some(("text/html; charset=utf-8", &include_bytes!("../../page/index.html")[..])),
        "/app.js" => {
            Some(("text/javascript; charset=utf-8", &include_bytes!("../../page/app.js")[..]))
        }
        "/app.css" => Some(("text/css; charset=utf-8", &include_bytes!("../../page/app.css")[..])),
        "/icon.svg" => Some(("image/svg+xml", &include_bytes!("../../page/icon.svg")[..])),
        _ => None,
    };
    if let Some((kind, body)) = file {
        return Ok(reply(StatusCode::OK, kind, body));
    }
    if !api.up.borrow().0 {
        return Ok(problem(StatusCode::SERVICE_UNAVAILABLE, "the database cannot be reached"));
    }
    let stream = if path == "/api/v1/events" { Some(events(&api)) } else { None };
    let mut data = api.data.lock().unwrap();
    data.requests.push((request.method().to_string(), request.uri().to_string()));
    let expected = format!("Bearer {}", data.token);
    if request.headers().get(header::AUTHORIZATION).is_none_or(|value| value != &*expected) {
        return Ok(problem(StatusCode::UNAUTHORIZED, "the token is missing or wrong"));
    }
    let ok = |body: Value| reply(StatusCode::OK, "application/json", body.to_string());
    Ok(match &*path {
        "/api/v1/projects" => {
            let projects = PROJECTS.map(|(id, name)| json!({"id": id, "name": name, "endpoint": "https://x", "is_paused": false}));
            ok(json!({"projects": projects}))
        }
        "/api/v1/summary" => ok(summary(&data)),
        "/api/v1/events" => {
            let first = format!("event: summary\ndata: {}\n\n", summary(&data));
            let (up, events) = stream.unwrap();
            reply(
                StatusCode::OK,
                "text/event-stream",
                Body::from_stream(stream::unfold((Some(first), up, events), next_event)),
            )
        }
        "/api/v1/waits" => ok(page(&data, request.uri().query().unwrap_or_default())),
        "/api/v1/notifications/undelivered" => ok(json!({"notifications": data.notifications})),
        path => match path.strip_prefix("/api/v1/waits/") {
            Some(rest) if rest.ends_with("/timeline.svg") => {
                reply(StatusCode::OK, "image/svg+xml", TIMELINE)
            }
            Some(rest) if rest.ends_with("/notifications") => {
                ok(json!({"notifications": data.notifications}))
            }
            Some(rest) => {
                let key = rest
                    .replace('/', ":")
                    .replace("%3C", "<")
                    .replace("%3E", ">")
                    .replace("%27", "'");
                match data.waits.iter().find(|status| status["key"] == key) {
                    Some(status) => ok(status.clone()),
                    None => problem(StatusCode::NOT_FOUND, "there is no wait for this job"),
                }
            }
            None => problem(StatusCode::NOT_FOUND, "unknown path"),
        },
    })
}

/// Returns a page of the waits.
fn page(data: &Data, query: &str) -> Value {
    let field = |name: &str| {
        let mut fields = query.split('&').filter_map(|field| field.split_once('='));
        fields.find(|(one, _)| *one == name).map(|(_, value)| value.replace("%3A", ":"))
    };
    let (state, after) = (field("state").unwrap_or_default(), field("after").unwrap_or_default());
    let after = after.replace("%3C", "<").replace("%3E", ">").replace("%27", "'");
    let limit: usize = field("limit").unwrap().parse().unwrap();
    let is_listed = |status: &&Value| {
        let is_active = status["active"].is_object();
        let has_state = match &*state {
            "active" => is_active,
            "failed" => !is_active && !is_success(status),
            _ => !is_active,
        };
        has_state && status["key"].as_str() > Some(&after)
    };
    let mut waits: Vec<_> = data.waits.iter().filter(is_listed).take(limit + 1).collect();
    let has_more = waits.len() > limit;
    waits.truncate(limit);
    let next = waits.last().filter(|_| has_more).map(|status| &status["key"]);
    json!({"waits": waits, "next": next})
}

fn summary(data: &Data) -> Value {
    let count = |is_counted: &dyn Fn(&Value) -> bool| {
        data.waits.iter().filter(|one| is_counted(one)).count()
    };
    json!({
        "time": time(0),
        "waits": {
            "active": count(&|one| one["active"].is_object()), "paused": count(&|one| one["state"] == "paused"),
            "overdue": count(&|one| one["active"]["next_attempt_at"].as_str() < Some(&*time(-120)) && one["active"].is_object()),
            "succeeded": count(&is_success), "failed": count(&|one| one["result"]["outcome"] == "failed"),
            "stopped": count(&|one| one["state"] == "stopped")},
        "notifications": {"pending": 0, "failed": data.notifications.len()},
        "budget": {"jobs": count(&|one| one["active"].is_object()), "queued": 14, "in_flight": 6,
            "requests_per_second": 50.0, "throttled_for": 0.0},
    })
}

type Events = (watch::Receiver<(bool, u64)>, broadcast::Receiver<Bytes>);

fn events(api: &Api) -> Events {
    let mut up = api.up.subscribe();
    up.mark_unchanged();
    (up, api.events.subscribe())
}

/// Returns the next event of a stream. A stream that is dropped ends with an error, so that the connection
/// is cut.
async fn next_event(
    (first, mut up, mut events): (
        Option<String>,
        watch::Receiver<(bool, u64)>,
        broadcast::Receiver<Bytes>,
    ),
) -> Option<(
    io::Result<Bytes>,
    (Option<String>, watch::Receiver<(bool, u64)>, broadcast::Receiver<Bytes>),
)> {
    if let Some(first) = first {
        return Some((Ok(first.into()), (None, up, events)));
    }
    let event = tokio::select! {
        biased;
        _ = up.changed() => Err(io::Error::other("dropped by the test")),
        event = events.recv() => Ok(event.ok()?),
    };
    Some((event, (None, up, events)))
}

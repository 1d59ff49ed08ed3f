//! A server with the page and canned replies of the API.

use std::{
    convert::Infallible,
    fs, io,
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

use crate::data::{self, PROJECTS, TIMELINE, job};

pub(crate) const TOKEN: &str = "the-token-of-this-test-9d2c";

/// The policy of the server.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Clone)]
struct Api {
    data: Arc<Mutex<Data>>,
    events: broadcast::Sender<Bytes>,
    /// Whether the server answers, and a number that changes to drop all streams.
    up: watch::Sender<(bool, u64)>,
    /// Replies to addresses with this text are ready, but not sent.
    held: watch::Sender<Option<String>>,
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
            held: watch::Sender::new(None),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(any(answer_when_released)).with_state(api.clone());
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

    /// Holds the replies to addresses with this text, until [`release`](Self::release).
    pub(crate) fn hold(&self, part: &str) {
        self.api.held.send_replace(Some(part.into()));
    }

    pub(crate) fn release(&self) {
        self.api.held.send_replace(None);
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

    /// Sends the summary as it is now.
    pub(crate) fn send_summary(&self) {
        let summary = self.data(|data| data::summary(&data.waits, &data.notifications));
        self.send("summary", &summary);
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

/// Returns a file of the page.
fn file(path: &str) -> Option<Response> {
    let path = if path == "/" { "/index.html" } else { path };
    let kind = match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    };
    let content = fs::read(format!("{}/page{path}", env!("CARGO_MANIFEST_DIR"))).ok()?;
    Some(reply(StatusCode::OK, kind, content))
}

/// Answers any request. What the reply contains does not change while it is held.
async fn answer_when_released(
    State(api): State<Api>,
    request: Request,
) -> Result<Response, Infallible> {
    let address = request.uri().to_string();
    let mut held = api.held.subscribe();
    let reply = answer(api, request);
    let is_released =
        |held: &Option<String>| held.as_ref().is_none_or(|part| !address.contains(part));
    let _ = held.wait_for(is_released).await;
    Ok(reply)
}

/// Answers any request at once.
fn answer(api: Api, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if let Some(reply) = file(&path) {
        return reply;
    }
    if !api.up.borrow().0 {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the database cannot be reached");
    }
    let stream = if path == "/api/v1/events" { Some(events(&api)) } else { None };
    let mut data = api.data.lock().unwrap();
    data.requests.push((request.method().to_string(), request.uri().to_string()));
    let expected = format!("Bearer {}", data.token);
    if request.headers().get(header::AUTHORIZATION).is_none_or(|value| value != &*expected) {
        return problem(StatusCode::UNAUTHORIZED, "the token is missing or wrong");
    }
    let ok = |body: Value| reply(StatusCode::OK, "application/json", body.to_string());
    match &*path {
        "/api/v1/projects" => {
            let projects = PROJECTS.map(|(id, name)| json!({"id": id, "name": name, "endpoint": "https://x", "is_paused": false}));
            ok(json!({"projects": projects}))
        }
        "/api/v1/summary" => ok(data::summary(&data.waits, &data.notifications)),
        "/api/v1/events" => {
            let first = format!(
                "event: summary\ndata: {}\n\n",
                data::summary(&data.waits, &data.notifications)
            );
            let (up, events) = stream.unwrap();
            reply(
                StatusCode::OK,
                "text/event-stream",
                Body::from_stream(stream::unfold((Some(first), up, events), next_event)),
            )
        }
        "/api/v1/waits" => ok(page(&data, request.uri().query().unwrap_or_default())),
        "/api/v1/notifications/undelivered" => {
            let undelivered = data.notifications.iter().filter(|one| data::is_undelivered(one));
            ok(json!({"notifications": undelivered.collect::<Vec<_>>()}))
        }
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
                    None => problem(StatusCode::NOT_FOUND, "the job has no wait"),
                }
            }
            None => problem(StatusCode::NOT_FOUND, "unknown path"),
        },
    }
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
            "failed" => !is_active && !data::is_success(status),
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

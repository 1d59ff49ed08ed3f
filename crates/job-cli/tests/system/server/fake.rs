//! A server that replies as `cce-job-server` does, and its replies.

use std::{
    process::Command,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::IntoResponse,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{CommandResult, command, run};

pub(super) const TOKEN: &str = "canary-token-with-more-than-32-characters";
pub(super) const PROJECT: &str = "0123456789abcdef0123456789abcdef";
pub(super) const JOB: &str = "354331b2c-229a-11e8-9c75-0255ac100ceb";

/// The status and the body of a reply. The header `Location` is set from the field `location`.
pub(super) struct Reply(pub(super) StatusCode, pub(super) Value);

/// A server on this machine, and the requests that it has received.
pub(super) struct FakeServer {
    pub(super) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl FakeServer {
    /// Starts a server with these replies to requests that have the token. `handler` gets the method,
    /// the path with the query, and the body.
    pub(super) async fn start(
        handler: impl Fn(&Method, &str, &str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let (log, handler) = (requests.clone(), Arc::new(handler));
        let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let body = String::from_utf8(body.to_vec()).unwrap();
            let path = uri.path_and_query().unwrap().to_string();
            log.lock().unwrap().push(format!("{method} {path} {body}").trim_end().to_owned());
            let token = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
            let Reply(status, reply) = if token == Some(format!("Bearer {TOKEN}").as_bytes()) {
                handler(&method, &path, &body)
            } else {
                problem(401, "unauthorized", "A valid token is required", "it is not valid")
            };
            let mut headers = HeaderMap::new();
            headers.insert(header::DATE, HeaderValue::from_static("Tue, 01 Dec 2026 12:00:00 GMT"));
            if let Some(location) = reply["location"].as_str() {
                headers.insert(header::LOCATION, location.parse().unwrap());
            }
            std::future::ready((status, headers, reply.to_string()).into_response())
        };
        let router = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, requests }
    }

    /// Starts a server with these statuses of waits for any job. The last one is repeated.
    pub(super) async fn with_waits(waits: impl IntoIterator<Item = Value>) -> Self {
        let waits = Mutex::new(waits.into_iter().collect::<Vec<_>>());
        Self::start(move |_, path, _| {
            if path == "/api/v1/projects" {
                return projects(&["production"]);
            }
            let mut waits = waits.lock().unwrap();
            let next = if waits.len() > 1 { waits.remove(0) } else { waits[0].clone() };
            match next.get("title") {
                Some(_) => Reply(StatusCode::SERVICE_UNAVAILABLE, next),
                None => ok(next),
            }
        })
        .await
    }

    /// Returns a command with the token.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command();
        command.env("CCE_JOB_SERVER_TOKEN", TOKEN).env("CCE_JOB_SERVER", &self.url).args(arguments);
        command
    }

    pub(super) async fn run(&self, arguments: &[&str]) -> CommandResult {
        let ran = run(self.command(arguments)).await;
        assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
        ran
    }

    pub(super) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

pub(super) fn ok(value: Value) -> Reply {
    Reply(StatusCode::OK, value)
}

pub(super) fn problem(status: u16, name: &str, title: &str, detail: &str) -> Reply {
    let body = json!({"type": format!("/problems/{name}"), "title": title, "status": status,
        "detail": detail});
    Reply(StatusCode::from_u16(status).unwrap(), body)
}

pub(super) fn projects(names: &[&str]) -> Reply {
    let project = |(index, name): (usize, &&str)| {
        let id = if index == 0 { PROJECT.to_owned() } else { format!("{index:032}") };
        json!({"name": name, "id": id, "endpoint": "https://cce.example", "is_paused": false})
    };
    ok(json!({"projects": names.iter().enumerate().map(project).collect::<Vec<_>>()}))
}

/// Returns the status of an active wait.
pub(super) fn active(job: &str) -> Value {
    json!({
        "key": format!("{PROJECT}:{job}"), "number": 7, "state": "waiting",
        "created_at": "2026-12-01T11:57:00Z", "result": null, "a_later_field": {},
        "active": {
            "job_type": "CreateCluster", "phase": "Running", "name": "blue",
            "progress": {"total": 9, "initializing": 0, "running": 6, "success": 3, "failed": 0,
                "unknown": 0},
            "began_at": "2026-12-01T11:56:58Z", "expected_end_at": null, "attempts": 4,
            "last_error": null, "next_attempt_at": "2026-12-01T12:00:12Z",
            "deadline_at": "2026-12-01T13:00:00Z", "is_in_flight": false,
        },
    })
}

/// Returns the status of a wait that has finished with this report.
pub(super) fn finished(job: &str, state: &str, report: &Value) -> Value {
    let result = json!({"outcome": report["outcome"], "report": report,
        "finished_at": "2026-12-01T11:59:00Z"});
    json!({"key": format!("{PROJECT}:{job}"), "number": 7, "state": state,
        "created_at": "2026-12-01T11:57:00Z", "active": null, "result": result})
}

/// Returns a report with fields that differ from those of an empty one.
pub(super) fn report(outcome: &str, fields: &Value) -> Value {
    let mut report = json!({"v": 1, "event": "finished", "project": PROJECT, "job": JOB,
        "outcome": outcome, "type": null, "name": null, "phase": null, "failure": null,
        "failures": null, "error": null, "attempts": 4, "duration": null, "elapsed": 180.0,
        "detection_delay": null, "inconsistencies": [], "deviations": [], "document": null});
    for (name, value) in fields.as_object().unwrap() {
        report[name] = value.clone();
    }
    report
}

pub(super) fn job_document(phase: &str) -> Value {
    json!({"kind": "Job", "apiVersion": "v3", "metadata": {"uid": JOB,
        "creationTimestamp": "2026-12-01 11:56:58 +0000 UTC",
        "updateTimestamp": "2026-12-01 11:58:58 +0000 UTC"},
        "spec": {"type": "CreateCluster", "resourceName": "blue"}, "status": {"phase": phase}})
}

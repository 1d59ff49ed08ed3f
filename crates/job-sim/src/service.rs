//! What the service answers to a request. Knows no socket; time comes from the job's pace.

use std::{
    collections::VecDeque,
    fmt,
    str::FromStr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
};
use job_model::{IdError, Job, JobId, ProjectId};
use job_transport::{Client, Credentials, Endpoint, Transport};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::Plan;

const TOKEN: &str = "simulated-token";

/// What moves a simulated job.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Pace {
    /// Time, since the simulation was created: tokio's, so a paused clock moves it too.
    Clock,
    /// Readings: each reply with the job moves it on by this span. The first sees its start.
    PerReading(Duration),
}

/// What befalls one request in place of its answer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The gateway answers this status, with an HTML page; a redirect leads to the same request.
    Status(StatusCode),
    /// The connection ends without a reply.
    Reset,
}

/// A simulated service with one job. Shared by whatever carries requests to it, so that a server
/// can die and come back while the job goes on.
#[derive(Debug)]
pub struct Sim {
    plan: Plan,
    pace: Pace,
    project: ProjectId,
    job: JobId,
    created: Instant,
    requests: AtomicU32,
    readings: AtomicU32,
    faults: Mutex<VecDeque<Fault>>,
}

/// The connection ended without a reply: [`Fault::Reset`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reset;

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated connection ended without a reply")
    }
}

impl std::error::Error for Reset {}

impl Sim {
    /// Creates a service whose job is created now.
    #[must_use]
    pub fn new(plan: Plan, pace: Pace) -> Self {
        #[expect(clippy::disallowed_methods, reason = "where the simulation's time starts")]
        let created = Instant::now();
        Self {
            plan,
            pace,
            project: id("4b8c1e4d7f2a4c0e9d6a2b1c3d4e5f60"),
            job: id(Plan::JOB_ID),
            created,
            requests: AtomicU32::new(0),
            readings: AtomicU32::new(0),
            faults: Mutex::default(),
        }
    }

    /// Returns a client of this service that holds its token: at an endpoint, over a transport
    /// that leads there.
    #[must_use]
    pub fn client(&self, endpoint: Endpoint, transport: impl Transport + 'static) -> Client {
        Client::new(endpoint, self.project.clone(), self.credentials(), transport)
    }

    /// Returns the project whose job this is.
    #[must_use]
    pub const fn project(&self) -> &ProjectId {
        &self.project
    }

    /// Returns the job's id.
    #[must_use]
    pub const fn job(&self) -> &JobId {
        &self.job
    }

    /// Returns the credentials that the service accepts: a token.
    #[must_use]
    #[expect(clippy::missing_panics_doc, clippy::expect_used, reason = "a constant of ours")]
    pub fn credentials(&self) -> Credentials {
        Credentials::token(TOKEN).expect("a token of plain letters")
    }

    /// Returns how many requests came in so far.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Lets the fault befall a request: the next one, or, where others wait already, one after
    /// theirs.
    pub fn fault(&self, fault: Fault) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push_back(fault);
    }

    /// Answers a request, or ends its connection.
    pub(crate) fn answer(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, Reset> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let fault = self.faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let mut response = match fault {
            Some(Fault::Reset) => return Err(Reset),
            Some(Fault::Status(status)) => page(status, request),
            None => match self.judge(request) {
                Ok(job) => json_reply(StatusCode::OK, &job),
                Err((status, refusal)) => json_reply(status, &refusal),
            },
        };
        response.headers_mut().insert("x-request-id", HeaderValue::from(number));
        Ok(response)
    }

    /// Makes the checks that stand before a job: a gateway's, path and token, then the service's own.
    fn judge(&self, request: &Request<Bytes>) -> Result<Job, (StatusCode, Value)> {
        let Some((project, job)) = path(request) else {
            let refusal =
                json!({"error_code": "APIGW.0101", "error_msg": "The API does not exist."});
            return Err((StatusCode::NOT_FOUND, refusal));
        };
        let header = |name| header(request.headers(), name);
        if header("x-auth-token") != TOKEN {
            let refusal =
                json!({"error_code": "APIGW.0307", "error_msg": "The token must be updated."});
            Err((StatusCode::UNAUTHORIZED, refusal))
        } else if header("content-type") != "application/json" {
            // Mandatory by the reference page's table 2, which says no answer to a request without.
            let message = "Content-Type must be application/json";
            let refusal =
                json!({"kind": "Status", "status": "Failure", "message": message, "code": 400});
            Err((StatusCode::BAD_REQUEST, refusal))
        } else if project != self.project.as_str() {
            let refusal = json!({"errorCode": "CCE.01403001", "errorMessage": "Forbidden."});
            Err((StatusCode::FORBIDDEN, refusal))
        } else if job != self.job.as_str() {
            let refusal =
                json!({"errorCode": "CCE.01404001", "errorMessage": "Resource not found."});
            Err((StatusCode::NOT_FOUND, refusal))
        } else {
            Ok(self.plan.job_at(self.next_reading()))
        }
    }

    /// Counts a reading, and returns how far the job is for it.
    fn next_reading(&self) -> Duration {
        let earlier = self.readings.fetch_add(1, Ordering::Relaxed);
        match self.pace {
            Pace::Clock => self.created.elapsed(),
            Pace::PerReading(step) => step.saturating_mul(earlier),
        }
    }
}

#[expect(clippy::expect_used, reason = "for constants of ours")]
fn id<I: FromStr<Err = IdError>>(text: &str) -> I {
    text.parse().expect("an id of plain letters")
}

/// Returns the project and the job of `GET /api/v3/projects/{project}/jobs/{job}`.
fn path(request: &Request<Bytes>) -> Option<(&str, &str)> {
    let path = request.uri().path().strip_prefix("/api/v3/projects/")?;
    let (project, job) = path.split_once("/jobs/")?;
    (request.method() == Method::GET && !job.contains('/')).then_some((project, job))
}

/// Returns the page that a gateway in trouble answers with.
fn page(status: StatusCode, request: &Request<Bytes>) -> Response<Bytes> {
    let page = format!("<html><title>{status}</title></html>");
    let mut response = reply(status, "text/html", page);
    if status.is_redirection() {
        let target = request.uri().path().parse();
        response.headers_mut().extend(target.map(|target: HeaderValue| (LOCATION, target)));
    }
    response
}

#[expect(clippy::expect_used, reason = "a job and a refusal are plain data")]
fn json_reply(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    let body = serde_json::to_string(body).expect("plain data has a JSON text");
    reply(status, "application/json", body)
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;

//! What the service answers to a request. Knows no socket; time comes from the job's pace.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use job_model::Job;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::Plan;

const PROJECT: &str = "4b8c1e4d7f2a4c0e9d6a2b1c3d4e5f60";
const TOKEN: &str = "simulated-token";

/// What moves a simulated job.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Pace {
    /// Time, since the simulation was created: tokio's, so a paused clock moves it too.
    Clock,
    /// Requests: each that is answered moves the job on by this span. The first sees its start.
    PerRequest(Duration),
}

/// What befalls one request in place of its answer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The gateway answers this status, with an HTML page.
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
    created: Instant,
    requests: AtomicU32,
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
        #[expect(clippy::disallowed_methods, reason = "the simulation's clock, read nowhere else")]
        let created = Instant::now();
        Self { plan, pace, created, requests: AtomicU32::new(0), faults: Mutex::default() }
    }

    /// Returns the project whose job this is.
    #[must_use]
    pub const fn project(&self) -> &'static str {
        PROJECT
    }

    /// Returns the job's id.
    #[must_use]
    pub const fn job_id(&self) -> &'static str {
        Plan::JOB_ID
    }

    /// Returns the one token the service accepts.
    #[must_use]
    pub const fn token(&self) -> &'static str {
        TOKEN
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
        let (status, content_type, body) = match fault {
            Some(Fault::Reset) => return Err(Reset),
            Some(Fault::Status(status)) => {
                (status, "text/html", format!("<html><title>{status}</title></html>"))
            }
            None => match self.judge(request, number) {
                Ok(job) => (StatusCode::OK, "application/json", json(&job)),
                Err((status, refusal)) => (status, "application/json", json(&refusal)),
            },
        };
        let response = Response::builder()
            .status(status)
            .header(CONTENT_TYPE, content_type)
            .header("X-Request-Id", format!("sim-{number}"))
            .body(Bytes::from(body));
        Ok(response.expect("a status and two plain headers make a response"))
    }

    /// The checks of the service, in the order the gateway and then the service make them.
    fn judge(&self, request: &Request<Bytes>, number: u32) -> Result<Job, (StatusCode, Value)> {
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
        } else if project != PROJECT {
            let refusal = json!({"errorCode": "CCE.01403001", "errorMessage": "Forbidden."});
            Err((StatusCode::FORBIDDEN, refusal))
        } else if job != Plan::JOB_ID {
            let refusal =
                json!({"errorCode": "CCE.01404001", "errorMessage": "Resource not found."});
            Err((StatusCode::NOT_FOUND, refusal))
        } else {
            Ok(self.plan.job_at(self.elapsed(number)))
        }
    }

    fn elapsed(&self, number: u32) -> Duration {
        match self.pace {
            Pace::Clock => self.created.elapsed(),
            Pace::PerRequest(step) => step.saturating_mul(number),
        }
    }
}

/// Returns the project and the job of `GET /api/v3/projects/{project}/jobs/{job}`.
fn path(request: &Request<Bytes>) -> Option<(&str, &str)> {
    let path = request.uri().path().strip_prefix("/api/v3/projects/")?;
    let (project, job) = path.split_once("/jobs/")?;
    (request.method() == Method::GET && !job.contains('/')).then_some((project, job))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a job and a refusal are plain data")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;

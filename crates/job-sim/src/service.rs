//! What the service answers to a request. Knows no socket; time is tokio's, or the readings'.

use std::{
    collections::VecDeque,
    future::pending,
    str::FromStr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::DATE};
use jiff::{SignedDuration, Timestamp};
use job_model::{IdError, Job, JobId, ProjectId};
use job_transport::{
    AccessKey, Client, Clock, Credentials, Endpoint, PasswordLogin, TokioClock, Transport,
};
use serde_json::{Value, json};

use crate::{
    Fault, Plan,
    fault::Answer,
    gate::{Gate, PROJECT_NAME},
    reply::{echo, header, json_reply, page},
};

/// What moves a simulated job.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Pace {
    /// Time, since the simulation was created: tokio's, so a paused clock moves it too.
    Clock,
    /// Readings: each reply with the job moves it on by this span. The first sees its start.
    PerReading(Duration),
}

/// A simulated service with one job. Shared by whatever carries requests to it, so that a server
/// can die and come back while the job goes on.
#[derive(Debug)]
pub struct Sim {
    plan: Plan,
    pace: Pace,
    project: ProjectId,
    job: JobId,
    clock: TokioClock,
    /// When the simulation was created, by the time of day and by the clock.
    created: Timestamp,
    began: Duration,
    /// How far the service's clock is ahead of this machine's.
    ahead: SignedDuration,
    requests: AtomicU32,
    stalled: AtomicU32,
    readings: AtomicU32,
    faults: Mutex<VecDeque<Fault>>,
    gate: Mutex<Gate>,
}

impl Sim {
    /// Creates a service whose job is created now, by the service's own clock too.
    #[must_use]
    pub fn new(plan: Plan, pace: Pace) -> Self {
        let clock = TokioClock::new();
        let project: ProjectId = id("4b8c1e4d7f2a4c0e9d6a2b1c3d4e5f60");
        let created = clock.now();
        Self {
            plan: plan.created_at(created),
            pace,
            gate: Mutex::new(Gate::new(project.clone())),
            project,
            job: id(Plan::JOB_ID),
            clock,
            created,
            began: clock.elapsed(),
            ahead: SignedDuration::ZERO,
            requests: AtomicU32::new(0),
            stalled: AtomicU32::new(0),
            readings: AtomicU32::new(0),
            faults: Mutex::default(),
        }
    }

    /// Sets the service's clock ahead of this machine's, or back.
    #[must_use]
    pub fn ahead(mut self, span: SignedDuration) -> Self {
        self.ahead = span;
        let created = self.created.saturating_add(span);
        self.plan = self.plan.created_at(created.unwrap_or(self.created));
        self
    }

    /// Sets how long the tokens hold that are given from now on; 24 hours by default.
    #[must_use]
    pub fn token_lifetime(self, lifetime: SignedDuration) -> Self {
        self.gate().set_token_lifetime(lifetime);
        self
    }

    /// Returns a client of this service that holds its token: at an endpoint, over a transport
    /// that leads there.
    #[must_use]
    pub fn client(&self, endpoint: Endpoint, transport: impl Transport + 'static) -> Client {
        Client::new(endpoint, self.credentials(), transport).project(self.project.clone())
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

    /// Returns credentials that the service accepts: a token.
    #[must_use]
    #[expect(clippy::missing_panics_doc, clippy::expect_used, reason = "a constant of ours")]
    pub fn credentials(&self) -> Credentials {
        Credentials::token(Gate::token()).expect("a token of plain letters")
    }

    /// Returns a key pair that the service accepts, another one in each simulation.
    #[must_use]
    pub fn access_key(&self) -> AccessKey {
        self.gate().access_key()
    }

    /// Returns a user and a password that the service accepts, for its project.
    #[must_use]
    pub fn login(&self) -> PasswordLogin {
        Gate::login().project_name(PROJECT_NAME)
    }

    /// Returns how many requests for a token came in so far.
    #[must_use]
    pub fn logins(&self) -> u32 {
        self.gate().logins()
    }

    /// Lets every token expire that was given so far.
    pub fn expire_tokens(&self) {
        self.gate().expire_tokens();
    }

    /// Returns how many requests came in so far, those for a token among them.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Returns how many requests are held at this moment that are never answered.
    #[must_use]
    pub fn stalled(&self) -> u32 {
        self.stalled.load(Ordering::Relaxed)
    }

    /// Lets the fault befall a request: the next one, or, where others wait already, one after
    /// theirs.
    pub fn fault(&self, fault: Fault) {
        lock(&self.faults).push_back(fault);
    }

    /// Lets no fault befall a request that did not befall one yet.
    pub(crate) fn clear_faults(&self) {
        lock(&self.faults).clear();
    }

    /// Answers a request, or never; `None` where its connection ends without a reply.
    pub(crate) async fn reply(&self, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        match self.answer(request) {
            Answer::Reply(response) => Some(response),
            Answer::Reset => None,
            Answer::Stall => {
                let _held = Held::new(&self.stalled);
                pending().await
            }
        }
    }

    fn answer(&self, request: &Request<Bytes>) -> Answer {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let now = self.now();
        let fault = lock(&self.faults).pop_front();
        let mut response = match fault {
            Some(Fault::Reset) => return Answer::Reset,
            Some(Fault::Stall) => return Answer::Stall,
            Some(Fault::Status(status)) => page(status, request),
            Some(Fault::Reply(response)) => response,
            Some(Fault::Echo) => echo(request),
            None => self.serve(request, now),
        };
        let headers = response.headers_mut();
        headers.entry("x-request-id").or_insert_with(|| HeaderValue::from(number));
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if let Ok(date) = HeaderValue::try_from(date) {
            headers.entry(DATE).or_insert(date);
        }
        Answer::Reply(response)
    }

    fn serve(&self, request: &Request<Bytes>, now: Timestamp) -> Response<Bytes> {
        if request.method() == Method::POST && request.uri().path() == "/v3/auth/tokens" {
            return self.gate().log_in(request, now);
        }
        match self.judge(request, now) {
            Ok(job) => json_reply(StatusCode::OK, &job),
            Err((status, refusal)) => json_reply(status, &refusal),
        }
    }

    /// Makes the checks that stand before a job: a gateway's, path and credentials, then the
    /// service's own.
    fn judge(&self, request: &Request<Bytes>, now: Timestamp) -> Result<Job, (StatusCode, Value)> {
        let Some((project, job)) = path(request) else {
            let refusal =
                json!({"error_code": "APIGW.0101", "error_msg": "The API does not exist."});
            return Err((StatusCode::NOT_FOUND, refusal));
        };
        self.gate().check(request, now)?;
        if header(request.headers(), "content-type") != "application/json" {
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
            Pace::Clock => self.elapsed(),
            Pace::PerReading(step) => step.saturating_mul(earlier),
        }
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed().saturating_sub(self.began)
    }

    /// Returns the service's own time: it never jumps.
    fn now(&self) -> Timestamp {
        let now = self.created.saturating_add(self.elapsed());
        now.and_then(|now| now.saturating_add(self.ahead)).unwrap_or(Timestamp::MAX)
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        lock(&self.gate)
    }
}

/// Counts what is held, for as long as it is.
struct Held<'c>(&'c AtomicU32);

impl<'c> Held<'c> {
    fn new(count: &'c AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests;

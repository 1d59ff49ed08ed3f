//! A service in memory that serves jobs and the list of them, and records its requests.

use std::{
    fmt::Write,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Response, header::DATE};
use jiff::{SignedDuration, Timestamp};
use job_model::JobId;
use job_poller::source::{JobSource, ListId};
use job_transport::{FetchError, ListReading, Reading};
use tokio::time::Instant;

use super::date_header::date_header;

/// What is wrong with the list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListFaults {
    /// The list shows the jobs as they were this long ago.
    pub(crate) lag: Duration,
    /// From this time on, the list no longer changes.
    pub(crate) frozen_from: Option<Duration>,
    /// Each job with this number modulo 10 is missing.
    pub(crate) missing: Option<usize>,
    /// The row of this job shows `Running` for ever.
    pub(crate) stuck: Option<usize>,
}

/// The lists of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lists {
    /// Number of projects, each with a list. 0 if there is no list.
    pub(crate) projects: u32,
    pub(crate) faults: ListFaults,
    /// How long a list shows jobs that have ended.
    pub(crate) kept_for: Duration,
    /// Minimum size of a row in bytes.
    pub(crate) row_len: usize,
}

impl Lists {
    /// No lists.
    pub(crate) const NONE: Self = Self { projects: 0, ..Self::ONE };

    /// The list of one project, which is right.
    pub(crate) const ONE: Self = Self {
        projects: 1,
        faults: ListFaults::NONE,
        kept_for: Duration::from_secs(1_800),
        row_len: 0,
    };
}

impl ListFaults {
    pub(crate) const NONE: Self =
        Self { lag: Duration::ZERO, frozen_from: None, missing: None, stuck: None };
}

pub(crate) struct Service {
    began: Instant,
    lists: Lists,
    jobs: Mutex<Vec<SimulatedJob>>,
    requests: Mutex<Requests>,
}

/// The requests that the service has received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Requests {
    pub(crate) jobs: u32,
    pub(crate) lists: u32,
}

#[derive(Clone)]
struct SimulatedJob {
    job_type: &'static str,
    created_at: Duration,
    ends_at: Duration,
}

/// The wall time at which the service started.
const SERVICE_START: Timestamp = Timestamp::constant(1_767_225_600, 0);

impl Service {
    pub(crate) fn new(lists: Lists) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the paused clock")]
        let began = Instant::now();
        Self { began, lists, jobs: Mutex::default(), requests: Mutex::default() }
    }

    /// Returns the time since the service began.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn jobs(&self) -> MutexGuard<'_, Vec<SimulatedJob>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job that has begun `before` and takes `takes` in all.
    pub(crate) fn add(&self, job_type: &'static str, before: Duration, takes: Duration) -> JobId {
        // A job that began before the service did has a creation time before its start.
        let now = self.now() + OFFSET;
        let created_at = now.saturating_sub(before);
        let mut jobs = self.jobs();
        jobs.push(SimulatedJob { job_type, created_at, ends_at: created_at + takes });
        id(jobs.len() - 1)
    }

    /// Returns when a job ends or has ended.
    pub(crate) fn end_of(&self, id: &JobId) -> Duration {
        self.jobs()[number(id)].ends_at.saturating_sub(OFFSET)
    }

    fn job_reply(&self, id: &JobId) -> Response<Bytes> {
        self.requests().jobs += 1;
        let now = self.now() + OFFSET;
        let job = self.jobs()[number(id)].clone();
        let (phase, updated) = job.state(now);
        let body = format!(
            r#"{{"kind":"Job","apiVersion":"v3","metadata":{{"uid":"{id}","creationTimestamp":"{}","updateTimestamp":"{}"}},"spec":{{"type":"{}"}},"status":{{"phase":"{phase}","reason":""}}}}"#,
            time(job.created_at),
            time(updated),
            job.job_type,
        );
        dated(body, now)
    }

    fn list_reply(&self, list: ListId) -> Response<Bytes> {
        self.requests().lists += 1;
        let now = self.now() + OFFSET;
        let Lists { projects, faults, kept_for, row_len } = self.lists;
        let shown = match faults.frozen_from {
            Some(from) => now.min(from + OFFSET),
            None => now.saturating_sub(faults.lag),
        };
        let mut body = String::from("[");
        let jobs = self.jobs();
        let of_project = jobs.iter().enumerate().skip(list.0 as usize).step_by(projects as usize);
        for (number, job) in of_project {
            let is_missing = faults.missing.is_some_and(|digit| number % 10 == digit);
            if is_missing || job.created_at > shown || job.ends_at + kept_for < shown {
                continue;
            }
            let shown = if faults.stuck == Some(number) { job.created_at } else { shown };
            let row_at = body.len();
            let (phase, updated) = job.state(shown);
            let comma = if body.len() > 1 { "," } else { "" };
            let _ = write!(
                body,
                r#"{comma}{{"kind":"Job","apiVersion":"v2","metadata":{{"uid":"{}","creationTimestamp":"{}","updateTimestamp":"{}"}},"spec":{{"type":"{}","clusteruid":"4d1ecb2c-229a-11e8-9c75-0255ac100ceb"}},"status":{{"status":"{phase}","reason":""}}}}"#,
                id(number),
                time(job.created_at),
                time(updated),
                job.job_type,
            );
            let missing = row_len.saturating_sub(body.len() - row_at);
            body.extend(std::iter::repeat_n(' ', missing));
        }
        drop(jobs);
        body.push(']');
        dated(body, now)
    }
}

impl SimulatedJob {
    fn state(&self, now: Duration) -> (&'static str, Duration) {
        if self.ends_at <= now { ("Success", self.ends_at) } else { ("Running", self.created_at) }
    }
}

/// The start of the service is this long after the first time that can be shown.
const OFFSET: Duration = Duration::from_secs(1_000_000);

fn time(at: Duration) -> Timestamp {
    let offset = SignedDuration::try_from(at).unwrap_or_default();
    SERVICE_START + offset
}

fn dated(body: String, now: Duration) -> Response<Bytes> {
    let mut reply = Response::new(Bytes::from(body));
    reply.headers_mut().insert(DATE, date_header(time(now)));
    reply
}

/// Returns the job id for a number.
fn id(number: usize) -> JobId {
    #[expect(clippy::unwrap_used, reason = "digits and hyphens are an id")]
    format!("{number:09x}-229a-11e8-9c75-0255ac100ceb").parse().unwrap()
}

fn number(id: &JobId) -> usize {
    usize::from_str_radix(&id.as_str()[..9], 16).unwrap_or_default()
}

impl JobSource for Service {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin(async { Reading::from_response(self.job_reply(id)) })
    }

    fn list_of(&self, id: &JobId) -> Option<ListId> {
        Some(ListId((number(id) as u32).checked_rem(self.lists.projects)?))
    }

    fn fetch_list(&self, list: ListId) -> BoxFuture<'_, Result<ListReading, FetchError>> {
        Box::pin(async move { ListReading::from_response(&self.list_reply(list)) })
    }
}

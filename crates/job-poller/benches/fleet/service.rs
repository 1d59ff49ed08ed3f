//! A service in memory with any number of jobs, which records its requests.

use std::{
    fmt::Write,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use futures_core::future::BoxFuture;
use http::{HeaderValue, Response, StatusCode, header::DATE};
use jiff::{SignedDuration, Timestamp};
use job_model::JobId;
use job_poller::source::JobSource;
use job_transport::{FetchError, Reading};
use tokio::time::Instant;

use crate::{
    date_header::date_header,
    mix::{JobKind, Mix},
};

/// A service with three kinds of jobs, whose durations are random.
pub(crate) struct Service {
    began: Instant,
    outage: Option<Range<Duration>>,
    state: Mutex<ServiceState>,
}

struct ServiceState {
    rng: Rng,
    /// All jobs, including those that have ended.
    jobs: Vec<SimulatedJob>,
    stats: RequestStats,
    date: (u64, HeaderValue),
}

/// The requests that the service has received.
#[derive(Clone, Default)]
pub(crate) struct RequestStats {
    /// Number of requests in each second.
    pub(crate) per_second: Vec<u32>,
    /// The longest time between two requests for one job.
    pub(crate) max_gap: Duration,
    /// Number of replies that showed a job's end.
    pub(crate) ends: u64,
}

struct SimulatedJob {
    kind: JobKind,
    created: String,
    /// When the job ends, since the start of the service. When it was last requested, or else
    /// added.
    ends_at: Duration,
    last_request_at: Duration,
}

/// The wall time at which the service started.
const SERVICE_START: Timestamp = Timestamp::constant(1_767_225_600, 0);

impl Service {
    pub(crate) fn new(seed: u64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the paused clock")]
        let began = Instant::now();
        let state = ServiceState {
            rng: Rng::with_seed(seed),
            jobs: Vec::new(),
            stats: RequestStats::default(),
            date: (u64::MAX, HeaderValue::from_static("")),
        };
        Self { began, outage: None, state: Mutex::new(state) }
    }

    /// Replies 503 to all requests at these times.
    pub(crate) fn outage(self, outage: Range<Duration>) -> Self {
        Self { outage: Some(outage), ..self }
    }

    /// Returns the time since the service began.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, ServiceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job: one that has just begun, or one at a random point of its duration.
    pub(crate) fn add(&self, mix: &Mix, is_mid_life: bool) -> (JobId, JobKind) {
        let now = self.now();
        let mut state = self.state();
        let through = if is_mid_life { state.rng.f64() } else { 0.0 };
        let (kind, takes) = mix.draw(&mut state.rng);
        let takes = Duration::from_secs_f64(takes);
        let was = takes.mul_f64(through);
        let created = SERVICE_START + SignedDuration::try_from(now).unwrap_or_default()
            - SignedDuration::try_from(was).unwrap_or_default();
        let ends = now + takes - was;
        state.jobs.push(SimulatedJob {
            kind,
            created: created.to_string(),
            ends_at: ends,
            last_request_at: now,
        });
        (id(state.jobs.len() - 1), kind)
    }

    /// Returns when a job ends or has ended.
    pub(crate) fn end_of(&self, id: &JobId) -> Duration {
        self.state().jobs[number(id)].ends_at
    }

    /// Returns the requests so far. The longest gap includes the time since the last request of
    /// each job that has not ended.
    pub(crate) fn request_stats(&self) -> RequestStats {
        let (now, state) = (self.now(), self.state());
        let open = state.jobs.iter().filter(|job| job.last_request_at < job.ends_at);
        let open =
            open.map(|job| now.saturating_sub(job.last_request_at)).max().unwrap_or_default();
        let longest = state.stats.max_gap.max(open);
        RequestStats { max_gap: longest, ..state.stats.clone() }
    }

    fn reply(&self, id: &JobId) -> Response<Bytes> {
        let now = self.now();
        let mut state = self.state();
        let second = now.as_secs();
        let at = usize::try_from(second).unwrap_or_default();
        let length = state.stats.per_second.len().max(at + 1);
        state.stats.per_second.resize(length, 0);
        state.stats.per_second[at] += 1;
        if state.date.0 != second {
            state.date = (second, date(second));
        }
        let date = state.date.1.clone();
        if self.outage.as_ref().is_some_and(|outage| outage.contains(&now)) {
            let mut reply = Response::new(Bytes::new());
            *reply.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return reply;
        }
        let job = &mut state.jobs[number(id)];
        let gap = now.saturating_sub(job.last_request_at);
        job.last_request_at = now;
        let has_ended = job.ends_at <= now;
        let (phase, updated) = if has_ended {
            let ended = SERVICE_START + SignedDuration::try_from(job.ends_at).unwrap_or_default();
            ("Success", ended.to_string())
        } else {
            ("Running", job.created.clone())
        };
        let mut body = String::with_capacity(300);
        let _ = write!(
            body,
            r#"{{"kind":"Job","apiVersion":"v3","metadata":{{"uid":"{id}","creationTimestamp":"{}","updateTimestamp":"{updated}"}},"spec":{{"type":"{}","clusterUID":"4d1ecb2c-229a-11e8-9c75-0255ac100ceb"}},"status":{{"phase":"{phase}","reason":""}}}}"#,
            job.created,
            job.kind.name(),
        );
        state.stats.max_gap = state.stats.max_gap.max(gap);
        state.stats.ends += u64::from(has_ended);
        drop(state);
        let mut reply = Response::new(Bytes::from(body));
        reply.headers_mut().insert(DATE, date);
        reply
    }
}

fn date(second: u64) -> HeaderValue {
    let now = SERVICE_START + SignedDuration::from_secs(i64::try_from(second).unwrap_or_default());
    date_header(now)
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
        Box::pin(async { Reading::from_response(self.reply(id)) })
    }
}

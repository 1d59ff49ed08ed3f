//! Waits for jobs whose list is wrong at random, and compares each result with the job.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use futures_core::future::BoxFuture;
use futures_util::{StreamExt, stream::FuturesUnordered};
use http::{Response, StatusCode, header::DATE};
use jiff::{SignedDuration, Timestamp};
use job_model::JobId;
use job_poller::{
    Fleet, Outcome, WaitPolicy,
    source::{JobSource, ListId},
};
use job_transport::{FetchError, ListReading, Reading};
use tokio::time::Instant;

use super::date_header::date_header;

/// The longest time from the end of a job until it is found, even if the list is wrong: the longest
/// gap between two readings of a job, and a request.
const MAX_DELAY: Duration = Duration::from_secs(310);

/// Waits for some jobs. Returns a description of the first result that is wrong or late.
pub(crate) async fn check_random_lists(seed: u64) -> Result<(), String> {
    let mut rng = Rng::with_seed(seed);
    let jobs: Vec<_> = (0..rng.usize(2..8)).map(|_| Job::random(&mut rng)).collect();
    #[expect(clippy::disallowed_methods, reason = "the paused clock")]
    let began = Instant::now();
    let service = Service { began, jobs, quality: rng.f64(), rng: Mutex::new(rng) };
    let service = Arc::new(service);
    let policy = WaitPolicy::new().no_timeout();
    let fleet = Fleet::builder(service.clone()).requests_per_second(20.0).policy(policy).start();
    let ids = (0..service.jobs.len()).map(id);
    let mut watches: FuturesUnordered<_> = ids.map(|id| fleet.watch(id)).collect();
    let mut seen = 0;
    while let Some(result) = watches.next().await {
        let now = service.began.elapsed();
        let finished = result.map_err(|error| format!("seed {seed}: {error}"))?;
        let number = finished.job.uid().map(number).unwrap_or_default();
        let job = &service.jobs[number];
        let has_failed = matches!(finished.outcome, Outcome::Failed(_));
        if has_failed != job.fails || now < job.ends_at || now > job.ends_at + MAX_DELAY {
            return Err(format!("seed {seed}: {:?} at {now:?} for {job:?}", finished.outcome));
        }
        seen += 1;
    }
    if seen == service.jobs.len() { Ok(()) } else { Err(format!("seed {seed}: {seen} results")) }
}

struct Service {
    began: Instant,
    jobs: Vec<Job>,
    /// The probability that a row or a list is right.
    quality: f64,
    rng: Mutex<Rng>,
}

#[derive(Debug)]
struct Job {
    /// When it starts to run, and when it ends.
    runs_at: Duration,
    ends_at: Duration,
    fails: bool,
}

/// The wall time at which the service started.
const SERVICE_START: Timestamp = Timestamp::constant(1_767_225_600, 0);

impl Job {
    fn random(rng: &mut Rng) -> Self {
        let runs_at = Duration::from_millis(rng.u64(0..60_000));
        let ends_at = runs_at + Duration::from_millis(rng.u64(1_000..1_200_000));
        Self { runs_at, ends_at, fails: rng.bool() }
    }

    /// Returns the phase, and when it began.
    fn state(&self, now: Duration) -> (&'static str, Duration) {
        match () {
            () if now < self.runs_at => ("Initializing", Duration::ZERO),
            () if now < self.ends_at => ("Running", self.runs_at),
            () if self.fails => ("Failed", self.ends_at),
            () => ("Success", self.ends_at),
        }
    }
}

impl Service {
    fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self) -> Response<Bytes> {
        let mut rng = self.rng();
        let now = self.began.elapsed();
        if rng.f64() > self.quality && rng.bool() {
            let status = rng.choice([400, 403, 404, 429, 500, 503]).unwrap_or_default();
            let mut reply = Response::new(Bytes::from_static(b"{}"));
            *reply.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
            return reply;
        }
        if rng.f64() > self.quality && rng.bool() {
            let bodies = ["", "[", "{}", "null", "<html>", r#"[{"metadata":{"uid":7}},3,[]]"#];
            return dated(rng.choice(bodies).unwrap_or_default().into(), now);
        }
        let mut rows = Vec::new();
        for (number, job) in self.jobs.iter().enumerate() {
            let is_right = rng.f64() < self.quality;
            let (phase, since) = match rng.u8(..6) {
                _ if is_right => job.state(now),
                0 => continue,
                1 => job.state(now.saturating_sub(Duration::from_secs(rng.u64(..400)))),
                2 => job.state(now + Duration::from_secs(rng.u64(..400))),
                3 => (rng.choice(["Success", "Failed"]).unwrap_or_default(), now),
                4 => ("Running", now),
                _ => ("Paused", Duration::ZERO),
            };
            let copies = if is_right { 1 } else { rng.usize(1..3) };
            let row = format!(
                r#"{{"apiVersion":"v2","metadata":{{"uid":"{}","creationTimestamp":"{SERVICE_START}","updateTimestamp":"{}"}},"spec":{{"type":"CreateCluster"}},"status":{{"status":"{phase}"}}}}"#,
                id(number),
                time(since),
            );
            rows.extend(std::iter::repeat_n(row, copies));
        }
        let date =
            if rng.f64() < self.quality { now } else { Duration::from_secs(rng.u64(..2_000)) };
        dated(format!("[{}]", rows.join(",")), date)
    }
}

impl JobSource for Service {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin(async move {
            let now = self.began.elapsed();
            let (phase, since) = self.jobs[number(id.as_str())].state(now);
            let body = format!(
                r#"{{"kind":"Job","apiVersion":"v3","metadata":{{"uid":"{id}","creationTimestamp":"{SERVICE_START}","updateTimestamp":"{}"}},"spec":{{"type":"CreateCluster"}},"status":{{"phase":"{phase}"}}}}"#,
                time(since),
            );
            Reading::from_response(dated(body, now))
        })
    }

    fn list_of(&self, _: &JobId) -> Option<ListId> {
        Some(ListId::default())
    }

    fn fetch_list(&self, _: ListId) -> BoxFuture<'_, Result<ListReading, FetchError>> {
        Box::pin(async {
            let is_slow = self.rng().f64() > self.quality;
            let latency = self.rng().u64(..if is_slow { 8_000 } else { 200 });
            #[expect(clippy::disallowed_methods, reason = "the paused clock")]
            tokio::time::sleep(Duration::from_millis(latency)).await;
            ListReading::from_response(&self.list())
        })
    }
}

fn time(at: Duration) -> Timestamp {
    SERVICE_START + SignedDuration::try_from(at).unwrap_or_default()
}

fn dated(body: String, now: Duration) -> Response<Bytes> {
    let mut reply = Response::new(Bytes::from(body));
    reply.headers_mut().insert(DATE, date_header(time(now)));
    reply
}

fn id(number: usize) -> JobId {
    #[expect(clippy::unwrap_used, reason = "a letter and digits are an id")]
    format!("job-{number}").parse().unwrap()
}

fn number(id: &str) -> usize {
    id.strip_prefix("job-").and_then(|number| number.parse().ok()).unwrap_or_default()
}

//! A service with a list of jobs, which may be wrong, and waits for all its jobs.

use std::sync::Mutex;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Response, StatusCode, header::DATE};
use jiff::{SignedDuration, Timestamp};
use job_poller::source::{JobSource, ListId};
use job_transport::{FetchError, ListReading, Reading};
use tokio::time::Instant;

use super::{lists::date_header, *};

/// How the list of the service replies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum List {
    Right,
    Status(u16),
    Garbage,
    Slow,
    /// The body has this many bytes.
    Large(usize),
    /// The rows show the jobs as they were this many seconds ago.
    Lag(u64),
    /// The same, but only after 1,100 s.
    LagLater(u64),
    /// The row of the first job is missing.
    FirstMissing,
}

/// A service whose jobs run for some seconds.
pub(super) struct ListService {
    pub(super) began: Instant,
    list: List,
    /// When each job ends, in seconds.
    ends_at: Vec<u64>,
    /// Jobs that ended before the fleet was started, and how long each took, in seconds.
    earlier: Vec<u64>,
    pub(super) requests: Mutex<Vec<(Duration, Option<usize>)>>,
}

const START: Timestamp = Timestamp::constant(1_767_225_600, 0);

impl ListService {
    pub(super) fn new(list: List, ends_at: impl IntoIterator<Item = u64>) -> Arc<Self> {
        Self::with_earlier(list, ends_at, [])
    }

    pub(super) fn with_earlier(
        list: List,
        ends_at: impl IntoIterator<Item = u64>,
        earlier: impl IntoIterator<Item = u64>,
    ) -> Arc<Self> {
        #[expect(clippy::disallowed_methods, reason = "the paused clock")]
        let began = Instant::now();
        let (ends_at, earlier) = (ends_at.into_iter().collect(), earlier.into_iter().collect());
        Arc::new(Self { began, list, ends_at, earlier, requests: Mutex::default() })
    }

    pub(super) fn ids(&self) -> Vec<JobId> {
        (0..self.ends_at.len()).map(|number| format!("job-{number}").parse().unwrap()).collect()
    }

    /// Returns the times of the requests: of a job, or of the list.
    pub(super) fn requests(&self, of: Option<usize>) -> Vec<f64> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|(_, job)| *job == of).map(|(at, _)| at.as_secs_f64()).collect()
    }

    /// Returns the longest time between two requests of a job.
    pub(super) fn max_gap(&self, of: Option<usize>) -> f64 {
        self.requests(of).windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max)
    }

    fn job(&self, number: usize, at: Duration) -> (&'static str, Timestamp) {
        let end = Duration::from_secs(self.ends_at[number]);
        if end <= at { ("Success", time(end)) } else { ("Running", START) }
    }

    fn row(&self, number: usize, at: Duration) -> String {
        let (phase, updated) = self.job(number, at);
        format!(
            r#"{{"metadata":{{"uid":"job-{number}","creationTimestamp":"{START}","updateTimestamp":"{updated}"}},"spec":{{"type":"CreateCluster"}},"status":{{"status":"{phase}"}}}}"#
        )
    }

    fn list_body(&self, now: Duration) -> String {
        let lag = match self.list {
            List::Lag(seconds) => seconds,
            List::LagLater(seconds) if now > 1_100 * SECOND => seconds,
            _ => 0,
        };
        let first = usize::from(self.list == List::FirstMissing);
        let at = now.saturating_sub(Duration::from_secs(lag));
        let rows = (first..self.ends_at.len()).map(|number| self.row(number, at));
        let earlier = self.earlier.iter().enumerate().map(|(number, took)| {
            let created = START - SignedDuration::from_hours(10);
            let ended = created + SignedDuration::from_secs((*took).try_into().unwrap());
            format!(
                r#"{{"metadata":{{"uid":"earlier-{number}","creationTimestamp":"{created}","updateTimestamp":"{ended}"}},"spec":{{"type":"CreateCluster"}},"status":{{"status":"Success","completionTime":"{ended}"}}}}"#
            )
        });
        let body = format!("[{}]", rows.chain(earlier).collect::<Vec<_>>().join(","));
        match self.list {
            List::Garbage => "{}".into(),
            List::Large(bytes) => format!("{body}{}", " ".repeat(bytes - body.len())),
            _ => body,
        }
    }
}

fn time(at: Duration) -> Timestamp {
    START + SignedDuration::try_from(at).unwrap()
}

fn dated(body: String, now: Duration) -> Response<Bytes> {
    let reply = Response::builder().header(DATE, date_header::date_header(time(now)));
    reply.body(Bytes::from(body)).unwrap()
}

impl JobSource for ListService {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        let (now, number) = (self.began.elapsed(), id.as_str()[4..].parse().unwrap());
        self.requests.lock().unwrap().push((now, Some(number)));
        let body = self.row(number, now).replace(r#""status":"#, r#""phase":"#);
        let body = body.replacen(r#""phase":{"phase""#, r#""status":{"phase""#, 1);
        Box::pin(async move { Reading::from_response(dated(body, now)) })
    }

    fn list_of(&self, _: &JobId) -> Option<ListId> {
        Some(ListId::default())
    }

    fn fetch_list(&self, _: ListId) -> BoxFuture<'_, Result<ListReading, FetchError>> {
        let now = self.began.elapsed();
        self.requests.lock().unwrap().push((now, None));
        Box::pin(async move {
            if self.list == List::Slow {
                sleep_for(6 * SECOND).await;
            }
            let mut reply = dated(self.list_body(now), now);
            if let List::Status(status) = self.list {
                *reply.status_mut() = StatusCode::from_u16(status).unwrap();
            }
            ListReading::from_response(&reply)
        })
    }
}

/// Runs a fleet until all jobs have ended. Returns its events, with the job's number.
pub(super) async fn run(service: &Arc<ListService>, fleet: &Fleet) -> Vec<(String, Event)> {
    let mut events = fleet.events();
    let watches: Vec<_> = service.ids().into_iter().map(|id| fleet.watch(id)).collect();
    let mut seen = Vec::new();
    let all = join_all(watches);
    let mut all = pin!(all);
    loop {
        tokio::select! {
            biased;
            Some(event) = events.next() => {
                let (id, event) = event.unwrap();
                seen.push((id.to_string(), event));
            }
            results = &mut all => {
                results.into_iter().for_each(|result| _ = result.unwrap().into_success().unwrap());
                return seen;
            }
        }
    }
}

/// Jobs that end one after the other, so that the list can be proven.
pub(super) fn one_after_the_other() -> impl Iterator<Item = u64> {
    (1..=30).map(|number| number * 100)
}

//! A store in memory, a clock that tests set, and a cloud that answers as in a script.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_core::future::BoxFuture;
use http::{Request, Response};
use jiff::Timestamp;
use job_notify::{Notification, Notifier, NotifierError};
use job_poller::durable::WaitKey;
use job_transport::{
    Client, Credentials,
    clock::Clock,
    transport::{RequestSent, Transport, TransportError, TransportErrorKind},
};
use sqlx::sqlite::SqlitePoolOptions;

use crate::{Store, Worker, database::Database};

/// A clock that the test sets. A sleep advances it.
#[derive(Clone, Default)]
pub(crate) struct TestClock(Arc<Mutex<Duration>>);

impl TestClock {
    pub(crate) fn advance(&self, span: Duration) {
        *self.0.lock().unwrap() += span;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.advance(span) })
    }
}

/// A reply of the cloud.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Body(&'static str),
    Status(u16, Option<u32>),
    /// A 429 that states a limit of 200 requests in five minutes.
    Quota,
    /// The jobs `j0`, `j10`, .. have succeeded from this second on. The list shows them.
    EndsAt(u64),
    Lost,
}

const QUOTA_BODY: &str = r#"{"error_code": "APIGW.0308",
    "error_msg": "Throttled: policy user over ratelimit,limit:200,time:5 minute"}"#;
const RUNNING_BODY: &str = r#"{"status": {"phase": "Running"}}"#;
const SUCCESS_BODY: &str = r#"{"status": {"phase": "Success"}}"#;
pub(crate) const RUNNING: Reply = Reply::Body(RUNNING_BODY);
pub(crate) const SUCCESS: Reply = Reply::Body(SUCCESS_BODY);
pub(crate) const FAILED: Reply =
    Reply::Body(r#"{"status": {"phase": "Failed", "reason": "no such flavor"}}"#);

/// A cloud that answers each request with the next reply. The last one is repeated.
#[derive(Clone)]
pub(crate) struct Cloud {
    inner: Arc<Mutex<CloudState>>,
    clock: TestClock,
    latency: Duration,
}

struct CloudState {
    replies: VecDeque<Reply>,
    requests: Vec<Duration>,
    /// The status of the list of jobs, and how often it was read.
    list: (u16, usize),
}

impl Cloud {
    pub(crate) fn new(clock: &TestClock, replies: &[Reply]) -> Self {
        let state = CloudState {
            replies: replies.iter().cloned().collect(),
            requests: Vec::new(),
            list: (404, 0),
        };
        let latency = Duration::from_millis(20);
        Self { inner: Arc::new(Mutex::new(state)), clock: clock.clone(), latency }
    }

    /// Sets the replies from now on.
    pub(crate) fn set(&self, replies: &[Reply]) {
        self.inner.lock().unwrap().replies = replies.iter().cloned().collect();
    }

    /// Sets the status with which the list of jobs answers. It is 404 at first.
    pub(crate) fn set_list(&self, status: u16) {
        self.inner.lock().unwrap().list.0 = status;
    }

    /// Returns how often the list was read.
    pub(crate) fn list_requests(&self) -> usize {
        self.inner.lock().unwrap().list.1
    }

    /// Returns the times of the requests.
    pub(crate) fn requests(&self) -> Vec<Duration> {
        self.inner.lock().unwrap().requests.clone()
    }

    pub(crate) fn client(&self) -> Client {
        let endpoint = "https://cce.example".parse().unwrap();
        let credentials = Credentials::token("token".to_owned()).unwrap();
        Client::with_clock(endpoint, credentials, self.clone(), self.clock.clone())
    }
}

impl Transport for Cloud {
    fn send(
        &self,
        request: Request<bytes::Bytes>,
    ) -> BoxFuture<'_, Result<Response<bytes::Bytes>, TransportError>> {
        let reply = {
            let mut state = self.inner.lock().unwrap();
            state.requests.push(self.clock.monotonic());
            let is_last = state.replies.len() == 1;
            if is_last { state.replies[0].clone() } else { state.replies.pop_front().unwrap() }
        };
        let now = self.clock.monotonic().as_secs();
        self.clock.advance(self.latency);
        if request.uri().path().ends_with("/jobs") {
            let mut state = self.inner.lock().unwrap();
            state.list.1 += 1;
            let status = state.list.0;
            return Box::pin(async move { Ok(list(status, now, &reply)) });
        }
        let is_tenth = request.uri().path().ends_with('0');
        Box::pin(async move {
            let (status, body, retry_after) = match reply {
                Reply::EndsAt(second) if now >= second && is_tenth => (200, SUCCESS_BODY, None),
                Reply::EndsAt(_) => (200, RUNNING_BODY, None),
                Reply::Body(body) => (200, body, None),
                Reply::Quota => (429, QUOTA_BODY, None),
                Reply::Status(status, retry_after) => (status, "{}", retry_after),
                Reply::Lost => {
                    return Err(TransportError::new(
                        TransportErrorKind::Connect,
                        RequestSent::Maybe,
                    ));
                }
            };
            let mut response = Response::builder().status(status);
            if let Some(seconds) = retry_after {
                response = response.header("retry-after", seconds);
            }
            Ok(response.body(body.into()).unwrap())
        })
    }
}

/// Returns the list of the jobs `j0` to `j59`.
fn list(status: u16, now: u64, reply: &Reply) -> Response<bytes::Bytes> {
    let has_ended = matches!(reply, Reply::EndsAt(second) if now >= *second);
    let row = |number| {
        let phase = if has_ended && number % 10 == 0 { "Success" } else { "Running" };
        format!(r#"{{"metadata": {{"uid": "j{number}"}}, "status": {{"status": "{phase}"}}}}"#)
    };
    let rows: Vec<_> = (0..60).map(row).collect();
    let body = if status == 200 { format!("[{}]", rows.join(",")) } else { "{}".to_owned() };
    Response::builder().status(status).body(body.into()).unwrap()
}

/// A notifier that records what it delivers. It fails as long as the test says so.
#[derive(Clone, Default)]
pub(crate) struct Receivers {
    pub(crate) delivered: Arc<Mutex<Vec<(String, Notification)>>>,
    pub(crate) error: Arc<Mutex<Option<NotifierError>>>,
}

impl Notifier for Receivers {
    fn deliver<'a>(
        &'a self,
        to: &'a str,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifierError>> {
        Box::pin(async move {
            if let Some(error) = self.error.lock().unwrap().clone() {
                return Err(error);
            }
            self.delivered.lock().unwrap().push((to.to_owned(), notification.clone()));
            Ok(())
        })
    }

    fn check(&self, to: &str) -> Result<(), NotifierError> {
        match to.strip_prefix("https://") {
            Some(_) => Ok(()),
            None => Err(NotifierError::permanent("only https is allowed")),
        }
    }
}

/// A store in memory with one worker.
pub(crate) struct TestBed {
    pub(crate) clock: TestClock,
    pub(crate) cloud: Cloud,
    pub(crate) receivers: Receivers,
    pub(crate) store: Store,
    pub(crate) worker: Worker,
}

impl TestBed {
    pub(crate) async fn new(replies: &[Reply]) -> Self {
        let bed = Self::empty(replies).await;
        bed.store.database.migrate().await.unwrap();
        bed
    }

    /// Creates a test bed whose database has no tables.
    pub(crate) async fn empty(replies: &[Reply]) -> Self {
        let clock = TestClock::default();
        let (cloud, receivers) = (Cloud::new(&clock, replies), Receivers::default());
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await;
        let database = Database::sqlite(pool.unwrap()).with_clock(Arc::new(clock.clone()));
        let store = Store { database, notifier: None, changed: Arc::default() };
        let store = store.notifier(receivers.clone());
        let worker = Worker::new(store.clone(), cloud.client()).with_clock(clock.clone());
        Self { clock, cloud, receivers, store, worker }
    }

    /// Makes the attempts that are due, one after the other, until `seconds` have passed since the
    /// start.
    pub(crate) async fn run_until(&self, seconds: u64) {
        let end = Duration::from_secs(seconds);
        let (mut next_search, mut next_list) = (self.clock.monotonic(), self.clock.monotonic());
        while self.clock.monotonic() < end {
            let now = self.clock.monotonic();
            if now >= next_list {
                let is_search = now >= next_search;
                next_list = now.saturating_add(self.worker.read_list(is_search).await);
                next_search = if is_search { now + Duration::from_secs(10) } else { next_search };
            }
            let idle = self.worker.run_once().await;
            let idle = idle.min(next_list.saturating_sub(self.clock.monotonic()));
            let left = end.saturating_sub(self.clock.monotonic());
            self.clock.advance(idle.min(left).max(Duration::from_micros(1)));
        }
    }
}

/// Returns the key of a job in the project `p`.
pub(crate) fn key(job: &str) -> WaitKey {
    format!("p:{job}").parse().unwrap()
}

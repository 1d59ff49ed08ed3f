//! Tests of a rate limit that the service enforces and states.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::{BoxFuture, join_all};
use http::{Response, StatusCode};
use jiff::Timestamp;
use job_model::{Job, JobId};
use job_poller::{
    Fleet, Outcome,
    budget::{MemoryQuotaStore, QuotaKey, QuotaRecord, QuotaRecords, QuotaStore, QuotaStoreError},
    machine::{QuotaPolicy, StatedQuota},
    source::JobSource,
};
use job_transport::{
    FetchError, Reading,
    clock::{Clock, TokioClock},
};
use tokio::time::Instant;

use crate::service::{SECOND, sleep_for};

/// A gateway in front of jobs that all end at the same time.
#[derive(Clone)]
struct Gateway(Arc<Inner>);

struct Inner {
    limit: Limit,
    latency: Duration,
    ends_at: Duration,
    started_at: Instant,
    state: Mutex<State>,
}

/// How the gateway counts.
#[derive(Clone, Copy, Debug)]
struct Limit {
    max_requests: usize,
    window: Duration,
    /// Whether the window slides. Otherwise windows follow each other.
    slides: bool,
    /// Whether a request that is refused counts as well.
    counts_refused: bool,
    /// The policy that a refusal states. `None` if it states no limit.
    policy: Option<&'static str>,
}

#[derive(Default)]
struct State {
    counted: VecDeque<Duration>,
    requests: usize,
    refused: usize,
}

impl Limit {
    /// 20 requests in 30 seconds.
    const fn new(slides: bool, counts_refused: bool) -> Self {
        let window = Duration::from_secs(30);
        Self { max_requests: 20, window, slides, counts_refused, policy: Some("user") }
    }
}

impl Gateway {
    fn new(limit: Limit, latency: Duration, ends_at: Duration) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the paused clock")]
        let started_at = Instant::now();
        Self(Arc::new(Inner { limit, latency, ends_at, started_at, state: Mutex::default() }))
    }

    /// Counts a request. Returns whether it is within the limit.
    fn try_acquire(&self) -> bool {
        let Limit { max_requests, window, slides, counts_refused, .. } = self.0.limit;
        let now = self.0.started_at.elapsed();
        let mut state = self.0.state.lock().unwrap();
        let is_over = |at: &Duration| {
            if slides {
                now - *at >= window
            } else {
                at.as_millis() / window.as_millis() < now.as_millis() / window.as_millis()
            }
        };
        while state.counted.front().is_some_and(is_over) {
            state.counted.pop_front();
        }
        let is_allowed = state.counted.len() < max_requests;
        if is_allowed || counts_refused {
            state.counted.push_back(now);
        }
        state.requests += 1;
        state.refused += usize::from(!is_allowed);
        is_allowed
    }

    fn refusal(&self) -> FetchError {
        let Limit { max_requests, window, policy, .. } = self.0.limit;
        let seconds = window.as_secs();
        let message = match policy {
            Some(policy) => {
                format!("policy {policy} over ratelimit,limit:{max_requests},time:{seconds} second")
            }
            None => "too many requests".to_owned(),
        };
        let body = format!(
            r#"{{"error_code": "APIG.0308", "error_msg": "Throttled: {message}", "request_id": "r"}}"#
        );
        let mut reply = Response::new(body.into());
        *reply.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        FetchError::from_response(&reply)
    }

    /// Returns the number of requests, and how many were refused.
    fn requests(&self) -> (usize, usize) {
        let state = self.0.state.lock().unwrap();
        (state.requests, state.refused)
    }
}

impl JobSource for Gateway {
    fn fetch<'a>(&'a self, _: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin(async {
            sleep_for(self.0.latency / 2).await;
            let is_allowed = self.try_acquire();
            let has_ended = self.0.started_at.elapsed() >= self.0.ends_at;
            sleep_for(self.0.latency / 2).await;
            if !is_allowed {
                return Err(self.refusal());
            }
            let phase = if has_ended { "Success" } else { "Running" };
            let body = format!(
                r#"{{"spec": {{"type": "CreateNode"}}, "status": {{"phase": "{phase}"}}}}"#
            );
            Ok(Reading::new(Job::from_slice(body.as_bytes()).unwrap()))
        })
    }
}

fn id(number: usize) -> JobId {
    format!("job-{number}").parse().unwrap()
}

/// Waits for 40 jobs. Returns the mean delay after their ends, in seconds.
async fn wait_for_all(gateway: &Gateway, fleet: &Fleet) -> f64 {
    let watches = (0..40).map(|number| {
        let watch = fleet.watch(id(number));
        async move {
            let outcome = watch.await.unwrap().outcome;
            (outcome, gateway.0.started_at.elapsed())
        }
    });
    let mut sum = 0.0;
    for (outcome, at) in join_all(watches).await {
        assert_eq!(outcome, Outcome::Succeeded);
        sum += at.as_secs_f64() - gateway.0.ends_at.as_secs_f64();
    }
    sum / 40.0
}

/// All jobs end at 60 s.
#[tokio::test(start_paused = true)]
async fn a_stated_quota_is_rarely_exceeded_and_used_up() {
    for (slides, counts_refused) in [(true, true), (true, false), (false, true), (false, false)] {
        for latency in [20, 200, 1_000].map(Duration::from_millis) {
            let limit = Limit::new(slides, counts_refused);
            let gateway = Gateway::new(limit, latency, 60 * SECOND);
            let fleet = Fleet::builder(gateway.clone()).start();
            let delay = wait_for_all(&gateway, &fleet).await;
            let (requests, refused) = gateway.requests();
            let shown = format!("{limit:?}, {latency:?}: {refused} of {requests}, {delay} s late");
            // Only requests that were sent before the first refusal had arrived.
            assert!(refused <= 20 && requests <= 110, "{shown}");
            assert!(delay <= 36.0, "{shown}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn most_requests_are_refused_if_the_limit_is_not_stated() {
    let limit = Limit { policy: None, ..Limit::new(true, false) };
    let gateway = Gateway::new(limit, Duration::from_millis(20), 60 * SECOND);
    let fleet = Fleet::builder(gateway.clone()).start();
    let delay = wait_for_all(&gateway, &fleet).await;
    let (requests, refused) = gateway.requests();
    assert!(refused > 200, "{refused} of {requests} refused, {delay} s late");
}

/// In the long run, the delay is that of polling all jobs in turn: half of 40 requests at 0.6 per
/// second.
#[tokio::test(start_paused = true)]
async fn the_requests_of_a_stated_quota_are_spread_over_its_window() {
    let (mut delays, limit) = (0.0, Limit::new(true, true));
    let ends = [600, 611, 622, 633, 644];
    for ends_at in ends {
        let gateway = Gateway::new(limit, Duration::from_millis(20), ends_at * SECOND);
        let fleet = Fleet::builder(gateway.clone()).start();
        let delay = wait_for_all(&gateway, &fleet).await;
        assert!(delay <= 45.0, "{ends_at}: {delay}");
        delays += delay;
        let (requests, refused) = gateway.requests();
        assert_eq!(refused, 1, "{ends_at}");
        let expected = 0.6 * ends_at as f64;
        assert!(requests as f64 > expected, "no request stays unused: {requests} {expected}");
    }
    assert!(delays / (ends.len() as f64) <= 36.0, "{delays}");
}

/// The rate still falls after a 429 without a limit, or with one that other callers share.
#[tokio::test(start_paused = true)]
async fn an_unusable_limit_only_reduces_the_rate() {
    for policy in [None, Some("api")] {
        let limit = Limit { policy, ..Limit::new(true, true) };
        let gateway = Gateway::new(limit, Duration::from_millis(20), 600 * SECOND);
        let fleet = Fleet::builder(gateway.clone()).requests_per_second(10.0).start();
        let _watches: Vec<_> = (0..40).map(|number| fleet.watch(id(number))).collect();
        sleep_for(4 * SECOND).await;
        let rate = fleet.stats().requests_per_second;
        assert!((0.6..9.0).contains(&rate), "{policy:?}: {rate}");
    }
}

/// The next fleet of the same caller starts with the quota, and exceeds it only if the window is not
/// empty yet.
#[tokio::test(start_paused = true)]
async fn fleets_of_a_caller_share_a_stated_quota() {
    let store = MemoryQuotaStore::new();
    let caller = |identity: &str| QuotaKey::new("cce.example", identity.as_bytes());
    let rows = [("a", 10), ("a", 0), ("b", 10)];
    for (identity, expected) in rows {
        let gateway = Gateway::new(Limit::new(true, true), SECOND / 5, 60 * SECOND);
        let fleet = Fleet::builder(gateway.clone()).quota_store(store.clone(), caller(identity));
        wait_for_all(&gateway, &fleet.start()).await;
        assert_eq!(gateway.requests().1, expected, "{identity}");
    }
    let now = TokioClock::new().now();
    let stored = store.merge(&caller("a"), now, &[]).await.unwrap();
    let quotas: Vec<_> = stored.as_slice().iter().map(|record| record.quota).collect();
    assert_eq!(quotas, [StatedQuota::new(QuotaPolicy::User, 20, 30 * SECOND)]);
    assert!(store.merge(&caller("c"), now, &[]).await.unwrap().is_empty());
}

/// A store that fails, or never answers.
struct BrokenStore {
    hangs: bool,
}

impl QuotaStore for BrokenStore {
    fn merge<'a>(
        &'a self,
        _: &'a QuotaKey,
        _: Timestamp,
        _: &'a [QuotaRecord],
    ) -> BoxFuture<'a, Result<QuotaRecords, QuotaStoreError>> {
        if self.hangs {
            return Box::pin(std::future::pending());
        }
        Box::pin(async { Err("the disk is full".into()) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_quota_store_changes_nothing() {
    for hangs in [false, true] {
        let gateway = Gateway::new(Limit::new(true, true), SECOND / 5, 60 * SECOND);
        let fleet = Fleet::builder(gateway.clone())
            .quota_store(BrokenStore { hangs }, QuotaKey::new("cce.example", b"a"))
            .start();
        let delay = wait_for_all(&gateway, &fleet).await;
        assert!(gateway.requests().1 <= 20 && delay <= 36.0, "{hangs}: {delay}");
        // The fleet's task ends as without a store.
        fleet.shutdown().await;
    }
}

//! Tests ticks against the simulated cloud, without an engine.

mod clock;

use std::{
    future::pending,
    sync::{Arc, Mutex},
};

use futures_core::future::BoxFuture;
use job_poller::{WaitPolicy, schedule::Fixed};
use job_sim::{ObjectPlan, Plan, Sim, SimTransport, TimeSource};
use job_transport::{Client, clock::Clock};

use super::*;
use crate::{
    budget::{ServiceBudget, Slot},
    metrics::Metrics,
    notify::DisabledNotifier,
    reference_clock::ReferenceClock,
    state::Receiver,
    status::WaitStatus,
};

/// A clock that the test sets.
#[derive(Clone)]
struct ManualClock(Arc<Mutex<Duration>>);

impl ManualClock {
    fn set(&self, seconds: f64) {
        *self.0.lock().unwrap() = Duration::from_secs_f64(seconds);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(pending())
    }
}

/// The same clock, but a sleep advances it.
struct SleepingClock(ManualClock);

impl Clock for SleepingClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.0.set((self.0.monotonic() + span).as_secs_f64()) })
    }
}

struct TestBed {
    sim: Arc<Sim>,
    wait: JobWait,
    clock: ManualClock,
    key: WaitKey,
}

impl TestBed {
    /// Creates a wait for a job that ends with the third reading.
    fn new() -> Self {
        let time_source = TimeSource::PerRequest(Duration::from_secs(3));
        Self::with_sim(|clock| Sim::with_clock(Plan::create_cluster(), time_source, clock))
    }

    fn with_sim(sim: impl FnOnce(ManualClock) -> Sim) -> Self {
        let clock = ManualClock(Arc::default());
        let sim = Arc::new(sim(clock.clone()));
        let client = Client::with_clock(
            "https://cce.example".parse().unwrap(),
            sim.credentials(),
            SimTransport::new(sim.clone()),
            clock.clone(),
        );
        let key = WaitKey { project: sim.project().clone(), job: sim.job().clone() };
        let wait = JobWait {
            client,
            clock: Arc::new(ReferenceClock::new(Arc::new(SleepingClock(clock.clone())))),
            schedule: Arc::new(Fixed::new(Duration::from_secs(10))),
            policy: WaitPolicy::new(),
            notifier: Arc::new(DisabledNotifier),
            retention: Duration::from_secs(99),
            budget: Arc::new(ServiceBudget::new(1, Arc::new(SleepingClock(clock.clone())))),
            metrics: Arc::new(Metrics::new()),
        };
        Self { sim, wait, clock, key }
    }

    fn waiting(&self, policy: WaitPolicy) -> ActiveWait {
        let mut waiting = ActiveWait::new(&self.key, policy, 7, 40, self.clock.now());
        waiting.receivers.push(Receiver::new("https://example.com/hook?token=secret"));
        waiting
    }

    async fn tick(&self, seconds: f64, waiting: &ActiveWait) -> TickResult {
        self.clock.set(seconds);
        self.wait.tick_once(&self.key, waiting, false).await
    }

    /// Gives the service a grant and the wait a slot, then calls [`tick`](Self::tick).
    async fn tick_with_slot(&self, seconds: f64, waiting: &ActiveWait) -> TickResult {
        self.grant(seconds);
        let at = self.wait.clock.now().max(waiting.next_tick_at);
        let slot = Some(Slot { at, generation: 0 });
        self.tick(seconds, &ActiveWait { slot, ..waiting.clone() }).await
    }

    fn grant(&self, seconds: f64) {
        self.clock.set(seconds);
        // It does not expire during an early tick.
        self.wait.budget.accept_test_grant(MAX_EARLY_PAUSE);
    }

    /// Returns the JSON that the handler `status` returns, indented.
    fn status(&self, state: &WaitState) -> String {
        let text =
            serde_json::to_string_pretty(&WaitStatus::from_state(&self.key, Some(state))).unwrap();
        text + "\n"
    }
}

fn expect_active(result: TickResult) -> (ActiveWait, f64) {
    match result.state {
        WaitState::Waiting(waiting) => (*waiting, result.delay.as_secs_f64()),
        WaitState::Finished(finished) => panic!("{finished:?}"),
    }
}

fn expect_finished(result: &TickResult) -> &FinishedWait {
    match &result.state {
        WaitState::Finished(finished) => finished,
        WaitState::Waiting(waiting) => panic!("{waiting:?}"),
    }
}

#[tokio::test]
async fn ticks_advance_a_wait_and_its_status() {
    let bed = TestBed::new();
    let mut statuses = bed.status(&WaitState::Waiting(bed.waiting(WaitPolicy::new()).into()));
    let (waiting, after) =
        expect_active(bed.tick_with_slot(0.0, &bed.waiting(WaitPolicy::new())).await);
    assert_eq!((after, waiting.tick, waiting.slot), (10.0, 41, None));
    assert_eq!(waiting.next_tick_at, bed.clock.now() + Duration::from_secs(10));
    statuses += &bed.status(&WaitState::Waiting(waiting.clone().into()));
    let stalled =
        WaitStatus::from_state(&bed.key, Some(&WaitState::Waiting(waiting.clone().into())));
    let stalled = serde_json::to_value(stalled.stalled()).unwrap();
    assert_eq!(stalled["state"], "stalled");
    // A tick that comes too early waits until it is due.
    let (waiting, after) = expect_active(bed.tick(4.0, &waiting).await);
    let until_slot = Duration::from_secs(3);
    assert_eq!((after, waiting.tick, bed.sim.requests()), (until_slot.as_secs_f64(), 42, 1));
    assert_eq!(bed.clock.monotonic(), Duration::from_secs(10) + until_slot);
    let (waiting, _) = expect_active(bed.tick_with_slot(16.0, &waiting).await);
    let result = bed.tick_with_slot(26.0, &waiting).await;
    let finished = expect_finished(&result);
    assert_eq!(
        (&*finished.result.outcome, finished.result.has_job_ended, finished.tick),
        ("succeeded", true, 44)
    );
    assert_eq!((result.delay.as_secs(), finished.receivers.len()), (99, 1));
    assert_eq!(finished.next_tick_at, Some(bed.clock.now() + Duration::from_secs(99)));
    statuses += &bed.status(&result.state);
    statuses += &serde_json::to_string_pretty(&WaitStatus::from_state(&bed.key, None)).unwrap();
    insta::assert_snapshot!(statuses);
}

#[tokio::test]
async fn each_object_is_read_in_a_tick_of_its_own() {
    let bed = TestBed::with_sim(|clock| {
        let plan = Plan::scale_up_cluster(3).with_duration(Duration::from_secs(25));
        let objects = ObjectPlan::ready_after(Duration::from_secs(20));
        Sim::with_clock(plan, TimeSource::Clock, clock).default_object_plan(objects)
    });
    let mut waiting = bed.waiting(WaitPolicy::new().until_ready());
    let (mut now, mut lines) = (0.0, Vec::new());
    let finished = loop {
        let before = (bed.sim.requests(), bed.sim.object_requests());
        // The engine stores the wait as text between two ticks.
        let text = serde_json::to_string(&WaitState::Waiting(waiting.clone().into())).unwrap();
        let WaitState::Waiting(stored) = serde_json::from_str(&text).unwrap() else {
            panic!("{text}")
        };
        let result = bed.tick_with_slot(now, &stored).await;
        let requests = bed.sim.requests() - before.0;
        assert!(requests <= 1, "{requests} requests in a tick");
        let what = match bed.sim.object_requests() > before.1 {
            _ if requests == 0 => "no slot",
            true => "object",
            false => "job",
        };
        lines.push(format!("{now:>5.2}  {what}"));
        match result.state {
            WaitState::Waiting(next) => {
                waiting = *next;
                now += result.delay.as_secs_f64();
            }
            WaitState::Finished(finished) => break finished,
        }
        if lines.len() == 6 {
            lines.push(bed.status(&WaitState::Waiting(waiting.clone().into())));
        }
    };
    assert_eq!((&*finished.result.outcome, finished.result.has_job_ended), ("ready", true));
    let body: serde_json::Value = serde_json::from_str(&finished.result.body).unwrap();
    assert_eq!(body["objects"].as_array().map(Vec::len), Some(3));
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn a_wait_without_a_slot_is_sent_away_unchanged() {
    let bed = TestBed::new();
    let before = bed.waiting(WaitPolicy::new());
    let (waiting, after) = expect_active(bed.tick(0.0, &before).await);
    assert_eq!((after, waiting.slot, waiting.tick), (3.0, None, 41));
    assert_eq!(waiting.stored.checkpoint(), before.stored.checkpoint());
    // A wait keeps a slot that is later.
    bed.grant(10.0);
    let slot = Slot { at: bed.clock.now() + Duration::from_secs(20), generation: 0 };
    let before = ActiveWait { slot: Some(slot), ..before };
    let (waiting, after) = expect_active(bed.tick(10.0, &before).await);
    assert_eq!((after, waiting.slot), (20.0, Some(slot)));
    // If the slot is after the deadline, the wait comes back at the deadline and finishes there
    // without a request.
    let short = bed.waiting(WaitPolicy::new().timeout(Duration::from_secs(12)));
    bed.grant(20.0);
    let slot = Slot { at: bed.clock.now() + Duration::from_secs(20), generation: 0 };
    let short = ActiveWait { slot: Some(slot), ..short };
    let (waiting, after) = expect_active(bed.tick(20.0, &short).await);
    assert_eq!(after, 2.0);
    let result = bed.tick(22.0, &waiting).await;
    assert_eq!(expect_finished(&result).result.outcome, "deadline_exceeded");
    assert!(!expect_finished(&result).result.has_job_ended);
    assert_eq!(bed.sim.requests(), 0);
}

#[tokio::test]
async fn an_advanced_tick_makes_its_attempt_before_it_is_due() {
    let bed = TestBed::new();
    let (waiting, _) =
        expect_active(bed.tick_with_slot(0.0, &bed.waiting(WaitPolicy::new())).await);
    bed.grant(4.0);
    let slot = Some(Slot { at: bed.clock.now(), generation: 0 });
    let advanced = ActiveWait { slot, ..waiting };
    let (waiting, after) = expect_active(bed.wait.tick_once(&bed.key, &advanced, true).await);
    assert_eq!((after, waiting.tick, bed.sim.requests()), (10.0, 42, 2));
}

#[tokio::test]
async fn a_stopped_wait_sends_no_notifications() {
    let bed = TestBed::new();
    let result = bed.wait.stop(&bed.key, bed.waiting(WaitPolicy::new()));
    let finished = expect_finished(&result);
    assert_eq!(
        (&*finished.result.outcome, finished.result.has_job_ended, finished.receivers.len()),
        ("stopped", false, 0)
    );
}

#[test]
fn bodies_of_requests_are_checked() {
    let error = |body: &'static str| {
        let parsed = crate::wait::watch_request::parse_request(Some(body.into()));
        parsed.err().map(|error| (error.code(), error.message().to_owned()))
    };
    for empty in ["", " \n", "{}"] {
        assert_eq!(error(empty), None, "{empty:?}");
    }
    let rows = [
        ("[", "the body is not a watch request: "),
        (r#"{"timout": "1h"}"#, "the body is not a watch request: unknown field `timout`"),
        (r#"{"attempt_timeout": "2m"}"#, "`attempt_timeout` is 2m; the maximum is 1m"),
    ];
    for (body, expected) in rows {
        let (code, message) = error(body).unwrap();
        assert!(code == 400 && message.starts_with(expected), "{message}");
    }
}

#[test]
fn a_request_that_contradicts_an_active_wait_is_refused() {
    let bed = TestBed::new();
    let request = serde_json::from_str(r#"{"fail_fast": true}"#).unwrap();
    let check = |policy| crate::wait::watch_request::check_conflict(&request, &bed.waiting(policy));
    assert!(check(WaitPolicy::new().fail_fast()).is_ok());
    let error = check(WaitPolicy::new()).unwrap_err();
    assert_eq!(error.code(), 409);
    assert!(error.message().contains("active with another `fail_fast`"), "{error}");
}

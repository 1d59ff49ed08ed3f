//! Ticks of a wait against the simulated cloud, without an engine.

use std::{
    future::pending,
    sync::{Arc, Mutex},
};

use futures_core::future::BoxFuture;
use job_poller::{Fixed, WaitPolicy};
use job_sim::{Plan, Sim, SimTransport, TimeSource};
use job_transport::{Client, Clock};

use super::*;
use crate::{
    budget::{Grant, Lease},
    metrics::Metrics,
    notify::DisabledNotifier,
    state::{Delivery, Receiver},
    status::WaitStatus,
};

/// A clock that is set by hand.
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

struct TestBed {
    wait: JobWait,
    clock: ManualClock,
    key: WaitKey,
}

impl TestBed {
    /// The job is done with the third reading.
    fn new() -> Self {
        let clock = ManualClock(Arc::default());
        let pace = TimeSource::PerRequest(Duration::from_secs(3));
        let sim = Arc::new(Sim::with_clock(Plan::create_cluster(), pace, clock.clone()));
        let client = Client::with_clock(
            "https://cce.example".parse().unwrap(),
            sim.credentials(),
            SimTransport::new(sim.clone()),
            clock.clone(),
        );
        let key = WaitKey { project: sim.project().clone(), job: sim.job().clone() };
        let wait = JobWait {
            client,
            clock: Arc::new(clock.clone()),
            schedule: Arc::new(Fixed::new(Duration::from_secs(10))),
            policy: WaitPolicy::new(),
            notifier: Arc::new(DisabledNotifier),
            retention: Duration::from_secs(99),
            lease: Arc::new(Lease::new(1, Arc::new(clock.clone()))),
            metrics: Arc::new(Metrics::new()),
        };
        Self { wait, clock, key }
    }

    fn waiting(&self, policy: WaitPolicy) -> ActiveWait {
        let mut waiting = ActiveWait::new(&self.key, policy, 7, 40, self.clock.now());
        waiting.receivers.push(Receiver { address: "x".into(), delivery: Delivery::Pending });
        waiting
    }

    async fn tick(&self, seconds: f64, waiting: &ActiveWait) -> TickResult {
        self.clock.set(seconds);
        self.wait.tick_once(&self.key, waiting).await
    }

    /// The same, where something is lent.
    async fn tick_with_lease(&self, seconds: f64, waiting: &ActiveWait) -> TickResult {
        self.clock.set(seconds);
        let lent =
            Grant { per_second: 50.0, in_flight: 1, blocked_for: Duration::ZERO, slot: Slot::NONE };
        self.wait.lease.accept_grant(lent);
        self.tick(seconds, waiting).await
    }

    /// Returns how it is, as `status` has it.
    fn status(&self, state: &WaitState) -> String {
        let text =
            serde_json::to_string_pretty(&WaitStatus::from_state(&self.key, Some(state))).unwrap();
        text + "\n"
    }
}

fn expect_active(ticked: TickResult) -> (ActiveWait, f64) {
    match ticked.state {
        WaitState::Waiting(waiting) => (*waiting, ticked.delay.as_secs_f64()),
        WaitState::Finished(over) => panic!("{over:?}"),
    }
}

fn expect_finished(ticked: &TickResult) -> &FinishedWait {
    match &ticked.state {
        WaitState::Finished(over) => over,
        WaitState::Waiting(waiting) => panic!("{waiting:?}"),
    }
}

#[tokio::test]
async fn ticks_advance_a_wait_and_its_status() {
    let stage = TestBed::new();
    let mut told = stage.status(&WaitState::Waiting(stage.waiting(WaitPolicy::new()).into()));
    let (waiting, after) =
        expect_active(stage.tick_with_lease(0.0, &stage.waiting(WaitPolicy::new())).await);
    assert_eq!((after, waiting.tick, waiting.has_reservation), (10.0, 41, false));
    assert_eq!(waiting.next_tick_at, stage.clock.now() + Duration::from_secs(10));
    told += &stage.status(&WaitState::Waiting(waiting.clone().into()));
    // One that comes too soon asks nobody.
    let (waiting, after) = expect_active(stage.tick(4.0, &waiting).await);
    assert_eq!((after, waiting.tick), (6.0, 42));
    let (waiting, _) = expect_active(stage.tick_with_lease(10.0, &waiting).await);
    let ticked = stage.tick_with_lease(20.0, &waiting).await;
    let over = expect_finished(&ticked);
    assert_eq!((&*over.outcome, over.has_job_ended, over.tick), ("succeeded", true, 44));
    assert_eq!((ticked.delay.as_secs(), over.receivers.len()), (99, 1));
    told += &stage.status(&ticked.state);
    told += &serde_json::to_string_pretty(&WaitStatus::from_state(&stage.key, None)).unwrap();
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn a_tick_without_a_slot_reschedules_the_wait_unchanged() {
    let stage = TestBed::new();
    let before = stage.waiting(WaitPolicy::new());
    let (waiting, after) = expect_active(stage.tick(0.0, &before).await);
    assert_eq!((after, waiting.has_reservation, waiting.tick), (3.0, true, 41));
    assert_eq!(waiting.checkpoint, before.checkpoint);
    // Told to come beyond the deadline, it comes then, takes nobody's turn, and ends.
    let short = stage.waiting(WaitPolicy::new().timeout(Duration::from_secs(2)));
    let (waiting, after) = expect_active(stage.tick(0.5, &short).await);
    assert_eq!((after, waiting.has_reservation), (1.5, false));
    let ticked = stage.tick(2.0, &waiting).await;
    assert_eq!(expect_finished(&ticked).outcome, "deadline_exceeded");
    assert!(!expect_finished(&ticked).has_job_ended);
}

#[tokio::test]
async fn a_stopped_wait_sends_no_notifications() {
    let stage = TestBed::new();
    let ticked = stage.wait.stop(&stage.key, stage.waiting(WaitPolicy::new()));
    let over = expect_finished(&ticked);
    assert_eq!((&*over.outcome, over.has_job_ended, over.receivers.len()), ("stopped", false, 0));
}

//! Ticks of a wait against the simulated cloud, without an engine.

use std::{
    future::pending,
    sync::{Arc, Mutex},
};

use futures_core::future::BoxFuture;
use job_poller::{Fixed, WaitPolicy};
use job_sim::{Pace, Plan, Sim, SimTransport};
use job_transport::{Client, Clock};

use super::*;
use crate::{
    budget::{Lease, Lent},
    notify::NoSink,
    serve::Metrics,
    state::{Delivery, Receiver},
    status::Status,
};

/// A clock that is set by hand.
#[derive(Clone)]
struct At(Arc<Mutex<Duration>>);

impl At {
    fn set(&self, seconds: f64) {
        *self.0.lock().unwrap() = Duration::from_secs_f64(seconds);
    }
}

impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + self.elapsed()
    }

    fn elapsed(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(pending())
    }
}

struct Stage {
    wait: JobWait,
    clock: At,
    key: WaitKey,
}

impl Stage {
    /// The job is done with the third reading.
    fn new() -> Self {
        let clock = At(Arc::default());
        let pace = Pace::PerReading(Duration::from_secs(3));
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
            sink: Arc::new(NoSink),
            keep: Duration::from_secs(99),
            lease: Arc::new(Lease::new(1, Arc::new(clock.clone()))),
            metrics: Arc::new(Metrics::new()),
        };
        Self { wait, clock, key }
    }

    fn waiting(&self, policy: WaitPolicy) -> Waiting {
        let mut waiting = Waiting::new(&self.key, policy, 7, 40, self.clock.now());
        waiting.receivers.push(Receiver { to: "x".into(), delivery: Delivery::Pending });
        waiting
    }

    async fn tick(&self, seconds: f64, waiting: &Waiting) -> Ticked {
        self.clock.set(seconds);
        self.wait.tick_once(&self.key, waiting).await
    }

    /// The same, where something is lent.
    async fn turn(&self, seconds: f64, waiting: &Waiting) -> Ticked {
        self.clock.set(seconds);
        let lent = Lent { per_second: 50.0, in_flight: 1, hold: Duration::ZERO, turn: Turn::NONE };
        self.wait.lease.take(lent);
        self.tick(seconds, waiting).await
    }

    /// Returns how it is, as `status` has it.
    fn status(&self, state: &WaitState) -> String {
        let text = serde_json::to_string_pretty(&Status::of(&self.key, Some(state))).unwrap();
        text + "\n"
    }
}

fn waits(ticked: Ticked) -> (Waiting, f64) {
    match ticked.state {
        WaitState::Waiting(waiting) => (*waiting, ticked.after.as_secs_f64()),
        WaitState::Over(over) => panic!("{over:?}"),
    }
}

fn is_over(ticked: &Ticked) -> &Over {
    match &ticked.state {
        WaitState::Over(over) => over,
        WaitState::Waiting(waiting) => panic!("{waiting:?}"),
    }
}

#[tokio::test]
async fn a_wait_from_tick_to_tick_and_what_status_says_of_it() {
    let stage = Stage::new();
    let mut told = stage.status(&WaitState::Waiting(stage.waiting(WaitPolicy::new()).into()));
    let (waiting, after) = waits(stage.turn(0.0, &stage.waiting(WaitPolicy::new())).await);
    assert_eq!((after, waiting.tick, waiting.was_told), (10.0, 41, false));
    assert_eq!(waiting.next, stage.clock.now() + Duration::from_secs(10));
    told += &stage.status(&WaitState::Waiting(waiting.clone().into()));
    // One that comes too soon asks nobody.
    let (waiting, after) = waits(stage.tick(4.0, &waiting).await);
    assert_eq!((after, waiting.tick), (6.0, 42));
    let (waiting, _) = waits(stage.turn(10.0, &waiting).await);
    let ticked = stage.turn(20.0, &waiting).await;
    let over = is_over(&ticked);
    assert_eq!((&*over.outcome, over.has_ended, over.tick), ("succeeded", true, 44));
    assert_eq!((ticked.after.as_secs(), over.receivers.len()), (99, 1));
    told += &stage.status(&ticked.state);
    told += &serde_json::to_string_pretty(&Status::of(&stage.key, None)).unwrap();
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn without_a_turn_it_comes_back_and_is_as_it_was() {
    let stage = Stage::new();
    let before = stage.waiting(WaitPolicy::new());
    let (waiting, after) = waits(stage.tick(0.0, &before).await);
    assert_eq!((after, waiting.was_told, waiting.tick), (3.0, true, 41));
    assert_eq!(waiting.checkpoint, before.checkpoint);
    // Told to come beyond the deadline, it comes then, takes nobody's turn, and ends.
    let short = stage.waiting(WaitPolicy::new().timeout(Duration::from_secs(2)));
    let (waiting, after) = waits(stage.tick(0.5, &short).await);
    assert_eq!((after, waiting.was_told), (1.5, false));
    let ticked = stage.tick(2.0, &waiting).await;
    assert_eq!(is_over(&ticked).outcome, "deadline_exceeded");
    assert!(!is_over(&ticked).has_ended);
}

#[tokio::test]
async fn nobody_is_told_of_a_wait_that_is_stopped() {
    let stage = Stage::new();
    let ticked = stage.wait.stop(&stage.key, stage.waiting(WaitPolicy::new()));
    let over = is_over(&ticked);
    assert_eq!((&*over.outcome, over.has_ended, over.receivers.len()), ("stopped", false, 0));
}

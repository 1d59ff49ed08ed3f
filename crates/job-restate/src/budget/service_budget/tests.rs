//! Tests services that share one budget, in virtual time: the waits of each, which the engine may tick
//! at any service, and the budget object.

use std::collections::HashMap;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response};
use job_transport::{clock::TokioClock, transport::TransportError};
use tokio::{sync::mpsc, task::JoinSet};

use super::*;
use crate::budget::shared_budget::SharedBudget;

/// Tokio's clock with a wall clock that only its pauses advance, so that all figures are the same in
/// each run.
#[derive(Clone, Copy)]
struct VirtualClock;

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        TokioClock::new().monotonic()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move { TokioClock::new().sleep(span).await })
    }
}

impl ServiceBudget {
    /// Accepts the grant of a budget of its own. It expires later by `delay` than a usual one.
    pub(crate) fn accept_test_grant(&self, delay: Duration) {
        let mut report = self.take_report();
        let grant = SharedBudget::new(50.0, 1).grant(&report);
        report.reported_at += delay;
        self.accept_grant(&report, grant);
    }
}

/// How long a call of the budget object takes.
const CALL_DURATION: Duration = Duration::from_millis(15);

/// The engine, with the budget object and the waits.
struct Engine {
    budget: Mutex<SharedBudget>,
    /// Sends the slots with which the attempts of waits are advanced.
    waits: HashMap<WaitKey, mpsc::UnboundedSender<(u64, Slot)>>,
}

impl Transport for Engine {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let report: Report = serde_json::from_slice(request.body()).unwrap();
            VirtualClock.sleep(CALL_DURATION).await;
            let mut budget = self.budget.lock().unwrap();
            // The engine stores the budget as text between two calls.
            *budget = serde_json::from_str(&serde_json::to_string(&*budget).unwrap()).unwrap();
            let grant = budget.grant(&report);
            for ((_, key, tick), slot) in report.candidates.iter().zip(grant.advanced_slots()) {
                self.waits[key].send((*tick, slot)).unwrap();
            }
            Ok(Response::new(serde_json::to_vec(&grant).unwrap().into()))
        })
    }
}

/// What a test runs.
#[derive(Clone, Copy, Debug)]
struct Load {
    services: usize,
    per_second: f64,
    max_in_flight: usize,
    waits: usize,
    latency: Duration,
    seconds: u64,
    /// How many waits end in each second after the first half of the test.
    ends_per_second: usize,
    /// The seconds in which the cloud answers each request with a 429.
    throttled: [u64; 2],
}

const LOAD: Load = Load {
    services: 2,
    per_second: 50.0,
    max_in_flight: 20,
    waits: 1000,
    latency: Duration::from_millis(50),
    seconds: 150,
    ends_per_second: 0,
    throttled: [0, 0],
};

/// What a test has counted.
#[derive(Debug, Default)]
struct Counts {
    /// The times of the requests of each wait, in seconds since the start.
    by_wait: Vec<Vec<f64>>,
    by_service: Vec<usize>,
    in_flight: usize,
    most_in_flight: usize,
    ticks: usize,
    /// The ticks in progress that send no request at the moment.
    waiting: usize,
    most_waiting: usize,
}

impl Counts {
    /// Checks the number of requests in each ten seconds between two times. It is a part of the budget.
    fn check_rate(&self, load: Load, [from, until]: [u64; 2], [low, high]: [f64; 2]) {
        for start in from..until - 10 {
            let window = start as f64..start as f64 + 10.0;
            let sent = self.by_wait.iter().flatten().filter(|at| window.contains(*at)).count();
            let part = sent as f64 / (load.per_second * 10.0);
            let one = 1.0 / (load.per_second * 10.0);
            assert!((low - one..=high + one).contains(&part), "{part} at {start}: {load:?}");
        }
    }

    fn requests(&self) -> usize {
        self.by_service.iter().sum()
    }

    fn ticks_per_request(&self) -> f64 {
        self.ticks as f64 / self.requests() as f64
    }

    /// Returns the longest gap between two requests of a wait, up to the time `end`.
    fn longest_gap(&self, end: f64) -> f64 {
        let gaps = self.by_wait.iter().flat_map(|times| {
            let next = times.iter().skip(1).copied().chain([end]);
            times.iter().zip(next).map(|(at, next)| next - at)
        });
        gaps.fold(0.0, f64::max)
    }
}

/// Runs a load and returns what it counted.
async fn run(load: Load) -> Counts {
    let clock = VirtualClock;
    let began = clock.monotonic();
    let keys = (0..load.waits).map(|number| format!("p:{number}").parse::<WaitKey>().unwrap());
    let (waits, inboxes): (HashMap<_, _>, Vec<_>) = keys
        .map(|key| {
            let (sender, inbox) = mpsc::unbounded_channel();
            ((key.clone(), sender), (key, inbox))
        })
        .unzip();
    let budget = Mutex::new(SharedBudget::new(load.per_second, load.max_in_flight));
    let engine = Arc::new(Engine { budget, waits });
    let services: Vec<_> = (0..load.services)
        .map(|number| Arc::new(ServiceBudget::new(number as u64, Arc::new(clock))))
        .collect();
    let mut tasks = JoinSet::new();
    for service in &services {
        let (service, engine) = (service.clone(), engine.clone());
        tasks.spawn(async move { match service.run(&*engine, "http://engine").await {} });
    }
    let counts = Arc::new(Mutex::new(Counts {
        by_service: vec![0; load.services],
        by_wait: vec![Vec::new(); load.waits],
        ..Counts::default()
    }));
    for (number, (key, mut inbox)) in inboxes.into_iter().enumerate() {
        let (services, counts) = (services.clone(), counts.clone());
        let ends_at = match number.checked_div(load.ends_per_second) {
            Some(second) => Duration::from_secs(load.seconds / 2 + second as u64),
            None => Duration::MAX,
        };
        tasks.spawn(async move {
            let count = || counts.lock().unwrap();
            let (mut slot, mut planned_for, mut random) = (None, clock.now(), number);
            for tick in 1.. {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let service = (random >> 33) % services.len();
                let budget = &services[service];
                {
                    let mut counts = count();
                    counts.ticks += 1;
                    counts.waiting += 1;
                    counts.most_waiting = counts.most_waiting.max(counts.waiting);
                }
                let acquired = budget.acquire(slot.take()).await;
                count().waiting -= 1;
                // The rate at which such jobs end.
                let rate = 0.02 * (1.0 + (number % 7) as f64);
                let (delay, earliest) = match acquired {
                    Ok(guard) => {
                        let sent = clock.monotonic() - began;
                        {
                            let mut counts = count();
                            counts.by_wait[number].push(sent.as_secs_f64());
                            counts.by_service[service] += 1;
                            counts.in_flight += 1;
                            counts.most_in_flight = counts.most_in_flight.max(counts.in_flight);
                        }
                        clock.sleep(load.latency).await;
                        count().in_flight -= 1;
                        let mut stats = AttemptStats::default();
                        (stats.attempts, stats.latency) = (1, load.latency);
                        let [from, until] = load.throttled;
                        stats.throttled = (from..until).contains(&sent.as_secs());
                        budget.record(stats, true);
                        if sent >= ends_at {
                            budget.replan(&key, planned_for, None);
                            return;
                        }
                        let min = Duration::from_secs(2);
                        let BudgetShare { request_price, max_gap, .. } = guard.share;
                        let delay = (2.0 * request_price.as_secs_f64() / rate).sqrt();
                        let delay = Duration::from_secs_f64(delay).clamp(min, max_gap.max(min));
                        (delay, clock.now() + min)
                    }
                    Err(away) => {
                        slot = away.slot;
                        (away.delay, clock.now())
                    }
                };
                let urgency = Some(UrgencyBucket::from_urgency(rate.sqrt()));
                let planned = PlannedWait { tick, urgency, earliest: Some(earliest) };
                let due = clock.now() + delay;
                budget.replan(&key, planned_for, Some((due, planned)));
                planned_for = due;
                let mut timer = clock.sleep(delay);
                loop {
                    tokio::select! {
                        () = &mut timer => break,
                        // An advance for another tick is ignored.
                        Some((of, advanced)) = inbox.recv() => if of == tick {
                            slot = Some(advanced);
                            break;
                        }
                    }
                }
            }
        });
    }
    clock.sleep(Duration::from_secs(load.seconds)).await;
    tasks.shutdown().await;
    Arc::into_inner(counts).unwrap().into_inner().unwrap()
}

#[tokio::test(start_paused = true)]
async fn services_use_exactly_the_budget_together() {
    let loads = [
        Load { services: 1, ..LOAD },
        LOAD,
        Load { services: 5, ..LOAD },
        Load { services: 3, per_second: 2.0, waits: 40, ..LOAD },
        Load { latency: Duration::from_millis(350), ..LOAD },
        // Half of the waits end.
        Load { ends_per_second: 10, ..LOAD },
    ];
    for load in loads {
        let counts = run(load).await;
        counts.check_rate(load, [40, load.seconds], [0.95, 1.05]);
        assert!(counts.most_in_flight <= load.max_in_flight, "{load:?}");
        let round_robin = load.waits as f64 / load.per_second;
        let gap = counts.longest_gap(load.seconds as f64);
        let has_ends = load.ends_per_second > 0;
        assert!(has_ends || gap <= (2.0 * round_robin).max(60.0), "{gap}: {load:?}");
        assert!(counts.by_service.iter().all(|sent| *sent > 10), "{counts:?}: {load:?}");
        assert!(counts.ticks_per_request() < 1.6, "{}: {load:?}", counts.ticks_per_request());
    }
}

/// The engine runs only a limited number of calls at the same time.
#[tokio::test(start_paused = true)]
async fn a_burst_of_waits_does_not_occupy_the_engine() {
    let load = Load { services: 1, per_second: 200.0, waits: 5000, seconds: 60, ..LOAD };
    let counts = run(load).await;
    // All waits begin at the same time. Those that may not wait are sent away at once.
    assert!(counts.most_waiting <= 2 * MAX_WAITING_TICKS, "{}", counts.most_waiting);
    assert!(counts.ticks_per_request() < 2.5, "{}", counts.ticks_per_request());
    counts.check_rate(load, [10, 60], [0.95, 1.05]);
    assert!(counts.by_wait.iter().all(|times| !times.is_empty()), "each wait had its turn");
}

/// Each service gets its turn, although only one of them may have a request in flight.
#[tokio::test(start_paused = true)]
async fn more_services_than_requests_in_flight_take_turns() {
    for (services, max_in_flight) in [(2, 1), (3, 1), (5, 2)] {
        let load = Load { services, max_in_flight, waits: 200, ..LOAD };
        let counts = run(load).await;
        assert_eq!(counts.most_in_flight, max_in_flight, "{load:?}");
        let possible = max_in_flight as f64 / load.latency.as_secs_f64() * load.seconds as f64;
        let used = counts.requests() as f64 / possible;
        assert!((0.5..=1.0).contains(&used), "{used} of what is possible: {load:?}");
        let least = counts.requests() / (2 * services);
        let fewest = counts.by_service.iter().min();
        assert!(fewest > Some(&least), "{:?}: {load:?}", counts.by_service);
        assert!(counts.by_wait.iter().all(|times| times.len() > 2), "{load:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_slows_all_services_and_ends_with_time() {
    let load = Load { throttled: [50, 110], seconds: 220, ..LOAD };
    let counts = run(load).await;
    counts.check_rate(load, [30, 50], [0.95, f64::INFINITY]);
    counts.check_rate(load, [70, 110], [0.0, 0.15]);
    counts.check_rate(load, [150, 220], [0.95, 1.05]);
}

#[tokio::test(start_paused = true)]
async fn a_service_without_the_budget_object_sends_waits_away() {
    let clock = VirtualClock;
    let budget = ServiceBudget::new(1, Arc::new(clock));
    assert!(budget.obstacle().unwrap().contains("cannot reach the engine's ingress"));
    let began = clock.monotonic();
    let slot = Slot { at: clock.now(), generation: 0 };
    for carried in [None, Some(slot)] {
        let away = SentAway { slot: None, delay: MAX_SLOT_WAIT };
        assert_eq!(budget.acquire(carried).await.err(), Some(away));
    }
    let took = (clock.monotonic() - began).as_secs_f64();
    assert!((took - 6.0).abs() < 0.01, "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_used_at_its_time_by_any_service() {
    let clock = VirtualClock;
    let budget = ServiceBudget::new(1, Arc::new(clock));
    // In milliseconds from now: the time of the slot, its generation, and when the request is sent, or
    // when the wait comes back with the slot or without it.
    let rows = [
        (0, 0, Ok(0)),
        (600, 0, Ok(600)),
        (-1_900, 0, Ok(0)),
        (1_600, 0, Err((true, 1_600))),
        (-2_100, 0, Err((false, 3_000))),
        (0, 1, Err((false, 3_000))),
    ];
    for (millis, generation, expected) in rows {
        clock.sleep(Duration::from_secs(1)).await;
        budget.accept_test_grant(Duration::ZERO);
        let (now, began) = (clock.now(), clock.monotonic());
        let slot = Slot { at: now + SignedDuration::from_millis(millis), generation };
        let acquired = budget.acquire(Some(slot)).await;
        // Timers have a resolution of a millisecond.
        let sent = acquired.map(|_| (clock.monotonic() - began).as_millis() / 10 * 10);
        let away = |away: SentAway| (away.slot == Some(slot), away.delay.as_millis());
        assert_eq!(sent.map_err(away), expected, "{millis} ms, generation {generation}");
    }
}

//! Tests services that share one budget, in virtual time: the waits of each, which the engine may tick
//! at any service, and the budget object.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response};
use job_poller::budget::UrgencyBucket;
use job_transport::{clock::TokioClock, transport::TransportError};
use tokio::{sync::mpsc, task::JoinSet};

use super::*;
use crate::budget::{SlotRun, shared_budget::SharedBudget};

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
            let grant = {
                let mut budget = self.budget.lock().unwrap();
                // The engine stores the budget as text between two calls.
                let text = serde_json::to_string(&*budget).unwrap();
                *budget = serde_json::from_str(&text).unwrap();
                budget.grant(&report)
            };
            for ((key, tick), slot) in report.candidates.iter().zip(grant.advanced.slots()) {
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

impl Default for Load {
    fn default() -> Self {
        Self {
            services: 2,
            per_second: 50.0,
            max_in_flight: 20,
            waits: 1000,
            latency: Duration::from_millis(50),
            seconds: 150,
            ends_per_second: 0,
            throttled: [0, 0],
        }
    }
}

/// What a test has counted.
#[derive(Debug, Default)]
struct Counts {
    /// The times of all requests, in seconds since the start.
    requests: Vec<f64>,
    by_service: Vec<u32>,
    by_wait: Vec<Vec<f64>>,
    most_in_flight: usize,
    ticks: usize,
    /// The ticks in progress that send no request at the moment.
    waiting: usize,
    most_waiting: usize,
}

impl Counts {
    /// Returns the smallest and the largest number of requests in any ten seconds between two times.
    fn windows(&self, from: f64, to: f64) -> (usize, usize) {
        let count = |start: f64| {
            self.requests.iter().filter(|at| (start..start + 10.0).contains(*at)).count()
        };
        let starts = (from as u64..to as u64 - 10).map(|start| count(start as f64));
        starts.fold((usize::MAX, 0), |(least, most), one| (least.min(one), most.max(one)))
    }

    /// Returns the longest gap between two requests of a wait, up to the time `end`.
    fn longest_gap(&self, end: f64) -> f64 {
        let gaps = self.by_wait.iter().map(|times| {
            let next = times.iter().skip(1).copied().chain([end]);
            times.iter().zip(next).map(|(at, next)| next - at).fold(0.0, f64::max)
        });
        gaps.fold(0.0, f64::max)
    }
}

/// Runs a load and returns what it counted.
async fn run(load: Load) -> Counts {
    let clock = VirtualClock;
    let began = clock.monotonic();
    let (mut waits, mut inboxes) = (HashMap::new(), Vec::new());
    for number in 0..load.waits {
        let key: WaitKey = format!("p:{number}").parse().unwrap();
        let (sender, inbox) = mpsc::unbounded_channel();
        waits.insert(key.clone(), sender);
        inboxes.push((key, inbox));
    }
    let budget = Mutex::new(SharedBudget::new(load.per_second, load.max_in_flight));
    let engine = Arc::new(Engine { budget, waits });
    let services: Arc<[_]> = (0..load.services)
        .map(|number| Arc::new(ServiceBudget::new(number as u64, Arc::new(clock))))
        .collect();
    let mut tasks = JoinSet::new();
    for service in services.iter() {
        let (service, engine) = (service.clone(), engine.clone());
        tasks.spawn(async move { match service.run(&*engine, "http://engine").await {} });
    }
    let counts = Arc::new(Mutex::new(Counts {
        by_service: vec![0; load.services],
        by_wait: vec![Vec::new(); load.waits],
        ..Counts::default()
    }));
    let in_flight = Arc::new(AtomicUsize::new(0));
    for (number, (key, mut inbox)) in inboxes.into_iter().enumerate() {
        let (services, counts, in_flight) = (services.clone(), counts.clone(), in_flight.clone());
        let ends_at = match number.checked_div(load.ends_per_second) {
            Some(second) => Duration::from_secs(load.seconds / 2 + second as u64),
            None => Duration::MAX,
        };
        tasks.spawn(async move {
            let (mut tick, mut slot, mut planned_for) = (0, None, clock.now());
            let mut random = number;
            loop {
                tick += 1;
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let service = (random >> 33) % services.len();
                let budget = &services[service];
                {
                    let mut counts = counts.lock().unwrap();
                    counts.ticks += 1;
                    counts.waiting += 1;
                    counts.most_waiting = counts.most_waiting.max(counts.waiting);
                }
                let acquired = budget.acquire(slot.take()).await;
                counts.lock().unwrap().waiting -= 1;
                let (delay, planned) = match acquired {
                    Ok(guard) => {
                        let sent = clock.monotonic() - began;
                        let flying = in_flight.fetch_add(1, Ordering::Relaxed) + 1;
                        {
                            let mut counts = counts.lock().unwrap();
                            counts.requests.push(sent.as_secs_f64());
                            counts.by_wait[number].push(sent.as_secs_f64());
                            counts.by_service[service] += 1;
                            counts.most_in_flight = counts.most_in_flight.max(flying);
                        }
                        clock.sleep(load.latency).await;
                        in_flight.fetch_sub(1, Ordering::Relaxed);
                        let mut stats = AttemptStats::default();
                        (stats.attempts, stats.latency) = (1, load.latency);
                        let [from, until] = load.throttled;
                        stats.throttled = (from..until).contains(&sent.as_secs());
                        let share = guard.share;
                        guard.complete(stats);
                        if sent >= ends_at {
                            budget.replan(&key, planned_for, None);
                            return;
                        }
                        // The delay of the schedule, for a job whose end has this rate.
                        let rate = 0.02 * (1.0 + (number % 7) as f64);
                        let delay = (2.0 * share.request_price.as_secs_f64() / rate).sqrt();
                        let delay = Duration::from_secs_f64(delay).clamp(
                            Duration::from_secs(2),
                            share.max_gap.max(Duration::from_secs(2)),
                        );
                        let urgency = Some(UrgencyBucket::from_urgency(rate.sqrt()));
                        let earliest = clock.now() + Duration::from_secs(2);
                        (delay, PlannedWait { tick, urgency, earliest: Some(earliest) })
                    }
                    Err(away) => {
                        let delay = match away {
                            SentAway::Until(of) => {
                                slot = Some(of);
                                of.at.duration_since(clock.now()).try_into().unwrap_or_default()
                            }
                            SentAway::For(delay) => delay,
                        };
                        let urgency = Some(UrgencyBucket::UNKNOWN);
                        (delay, PlannedWait { tick, urgency, earliest: Some(clock.now()) })
                    }
                };
                let due = clock.now() + delay;
                budget.replan(&key, planned_for, Some((due, planned)));
                planned_for = due;
                let mut timer = clock.sleep(delay);
                loop {
                    tokio::select! {
                        () = &mut timer => break,
                        advanced = inbox.recv() => {
                            // An advance for another tick is ignored.
                            if let Some((of, advanced)) = advanced && of == tick {
                                slot = Some(advanced);
                                break;
                            }
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
        Load { services: 1, ..Load::default() },
        Load::default(),
        Load { services: 5, ..Load::default() },
        Load { services: 3, per_second: 2.0, waits: 40, ..Load::default() },
        Load { latency: Duration::from_millis(350), ..Load::default() },
        // Half of the waits end.
        Load { ends_per_second: 10, ..Load::default() },
    ];
    for load in loads {
        let counts = run(load).await;
        let whole = load.per_second * 10.0;
        let end = load.seconds as f64;
        let (least, most) = counts.windows(40.0, end);
        assert!(most as f64 <= whole * 1.05 + 1.0, "{most} of {whole}: {load:?}");
        assert!(least as f64 >= whole * 0.95 - 1.0, "{least} of {whole}: {load:?}");
        assert!(counts.most_in_flight <= load.max_in_flight, "{load:?}");
        let round_robin = load.waits as f64 / load.per_second;
        let gap = counts.longest_gap(end);
        let has_ends = load.ends_per_second > 0;
        assert!(has_ends || gap <= (2.0 * round_robin).max(60.0), "{gap}: {load:?}");
        let fewest = counts.by_service.iter().min().unwrap();
        assert!(*fewest > 10, "{:?}: {load:?}", counts.by_service);
        let ticks = counts.ticks as f64 / counts.requests.len() as f64;
        assert!(ticks < 1.6, "{ticks} ticks for a request: {load:?}");
    }
}

/// The engine runs only a limited number of calls at the same time.
#[tokio::test(start_paused = true)]
async fn a_burst_of_waits_does_not_occupy_the_engine() {
    let load = Load { services: 1, per_second: 200.0, waits: 5000, seconds: 60, ..Load::default() };
    let counts = run(load).await;
    // All waits begin at the same time. Those that may not wait are sent away at once.
    assert!(counts.most_waiting <= 2 * MAX_WAITING_TICKS, "{}", counts.most_waiting);
    let ticks = counts.ticks as f64 / counts.requests.len() as f64;
    assert!(ticks < 2.5, "{ticks}");
    let (least, most) = counts.windows(10.0, 60.0);
    assert!(least >= 1900 && most <= 2100, "{least} {most}");
    assert!(counts.by_wait.iter().all(|times| !times.is_empty()), "each wait had its turn");
}

/// Each service gets its turn, although only one of them may have a request in flight.
#[tokio::test(start_paused = true)]
async fn more_services_than_requests_in_flight_take_turns() {
    for (services, max_in_flight) in [(2, 1), (3, 1), (5, 2)] {
        let load = Load { services, max_in_flight, waits: 200, ..Load::default() };
        let counts = run(load).await;
        assert_eq!(counts.most_in_flight, max_in_flight, "{load:?}");
        let possible = max_in_flight as f64 / load.latency.as_secs_f64() * load.seconds as f64;
        let used = counts.requests.len() as f64 / possible;
        assert!((0.5..=1.0).contains(&used), "{used} of what is possible: {load:?}");
        let all = counts.requests.len() as u32;
        for sent in &counts.by_service {
            assert!(*sent > all / (2 * services as u32), "{:?}: {load:?}", counts.by_service);
        }
        let starved = counts.by_wait.iter().map(Vec::len).min().unwrap();
        assert!(starved > 2, "{load:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_slows_all_services_and_ends_with_time() {
    let load = Load { throttled: [50, 110], seconds: 220, ..Load::default() };
    let counts = run(load).await;
    let whole = load.per_second * 10.0;
    let (least, _) = counts.windows(30.0, 50.0);
    assert!(least as f64 >= whole * 0.95, "{least}");
    let (_, most) = counts.windows(70.0, 110.0);
    assert!(most as f64 <= whole * 0.15, "{most}");
    let (least, most) = counts.windows(150.0, 220.0);
    assert!(least as f64 >= whole * 0.95 && most as f64 <= whole * 1.05, "{least} {most}");
}

#[tokio::test(start_paused = true)]
async fn a_service_without_the_budget_object_sends_waits_away() {
    let clock = VirtualClock;
    let budget = ServiceBudget::new(1, Arc::new(clock));
    assert!(budget.obstacle().unwrap().contains("cannot reach the engine's ingress"));
    let began = clock.monotonic();
    let slot = Slot { at: clock.now(), generation: 0 };
    for carried in [None, Some(slot)] {
        assert_eq!(budget.acquire(carried).await.err(), Some(SentAway::For(MAX_SLOT_WAIT)));
    }
    let took = (clock.monotonic() - began).as_secs_f64();
    assert!((took - 6.0).abs() < 0.01, "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_used_at_its_time_by_any_service() {
    let clock = VirtualClock;
    let budget = ServiceBudget::new(1, Arc::new(clock));
    let run =
        SlotRun { first: clock.now(), gap: Duration::from_millis(20), count: 0, generation: 3 };
    let grant = Grant {
        slots: run,
        retry_after: Duration::from_secs(60),
        advanced: run,
        max_in_flight: 1,
        min_gap: Duration::ZERO,
        blocked_for: Duration::ZERO,
        share: BudgetShare::new(Duration::ZERO, Duration::MAX),
        is_budget_spent: false,
        rotation: None,
    };
    budget.accept_grant(clock.monotonic(), 0, grant);
    // In milliseconds from now: the time of the slot, its generation, and when the request is sent, in
    // tenths of a second.
    let rows = [
        (0, 3, Ok(0)),
        (600, 3, Ok(6)),
        (-1_900, 3, Ok(0)),
        (1_600, 3, Err(SentAway::Until(Slot { at: Timestamp::UNIX_EPOCH, generation: 3 }))),
        (-2_100, 3, Err(SentAway::For(MAX_SLOT_WAIT))),
        (0, 2, Err(SentAway::For(MAX_SLOT_WAIT))),
    ];
    for (millis, generation, expected) in rows {
        clock.sleep(Duration::from_secs(1)).await;
        budget.accept_grant(clock.monotonic(), 0, grant);
        let (now, began) = (clock.now(), clock.monotonic());
        let at = now + jiff::SignedDuration::from_millis(millis);
        let acquired = budget.acquire(Some(Slot { at, generation })).await;
        let sent =
            acquired.map(|_| ((clock.monotonic() - began).as_secs_f64() * 10.0).round() as u32);
        let expected = expected.map_err(|away| match away {
            SentAway::Until(slot) => SentAway::Until(Slot { at, ..slot }),
            other => other,
        });
        assert_eq!(sent, expected, "{millis} ms, generation {generation}");
    }
}

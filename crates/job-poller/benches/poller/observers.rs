//! Measures how much an observer and the span of each wait add to the processor time of a poll.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use job_poller::{
    fleet::FleetBuilder,
    observer::{
        AttemptFinished, BudgetStatus, MetricsObserver, Observer, WaitFinished, WaitStarted,
    },
    schedule::{PollPlan, PollState, Schedule},
};
use tokio::runtime::Builder;
use tracing::{Dispatch, dispatcher, subscriber::NoSubscriber};
use tracing_subscriber::{Layer, Registry, filter::filter_fn, layer::SubscriberExt};

use crate::{
    baselines::{self, Service},
    bounds::Bounds,
    clock::processor_time,
};

/// The maximum processor time of a poll with an observer or a subscriber, as a multiple of the time
/// without it.
const MAX_TIME_RATIO: f64 = 1.01;

/// Number of polls of each wait that are measured.
const POLLS: usize = 25;

/// Counts everything.
#[derive(Default)]
struct Counting {
    waits_started: AtomicU64,
    attempts: AtomicU64,
    latency_nanos: AtomicU64,
    waits_finished: AtomicU64,
    in_flight: AtomicU64,
}

impl Observer for Counting {
    fn wait_started(&self, _: &WaitStarted) {
        self.waits_started.fetch_add(1, Ordering::Relaxed);
    }

    fn attempt_finished(&self, attempt: &AttemptFinished) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        let nanos = attempt.latency.as_nanos() as u64;
        self.latency_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    fn wait_finished(&self, _: &WaitFinished) {
        self.waits_finished.fetch_add(1, Ordering::Relaxed);
    }

    fn budget_changed(&self, budget: &BudgetStatus) {
        self.in_flight.store(budget.in_flight as u64, Ordering::Relaxed);
    }
}

/// A layer that does nothing.
struct Ignore;

impl<S: tracing::Subscriber> Layer<S> for Ignore {}

/// A way to observe a fleet.
struct Variant {
    name: &'static str,
    observe: fn(FleetBuilder) -> FleetBuilder,
    /// Creates the subscriber. There is only one at a time, as in most programs, because the interest of
    /// all of them is combined.
    subscriber: fn() -> Dispatch,
}

fn variants() -> [Variant; 5] {
    let observed = |name, observe| {
        let subscriber: fn() -> Dispatch = || Dispatch::new(NoSubscriber::default());
        Variant { name, observe, subscriber }
    };
    let traced = |name, subscriber| {
        let observe: fn(FleetBuilder) -> FleetBuilder = |fleet| fleet;
        Variant { name, observe, subscriber }
    };
    [
        // Shows how precise the figures are.
        observed("nothing", |fleet| fleet),
        observed("an observer that counts", |fleet| fleet.observer(Arc::<Counting>::default())),
        observed("MetricsObserver, no recorder", |fleet| fleet.observer(MetricsObserver::new())),
        traced("a layer that filters all spans", || {
            Dispatch::new(Registry::default().with(Ignore.with_filter(filter_fn(|_| false))))
        }),
        traced("a layer that ignores each span", || {
            Dispatch::new(Registry::default().with(Ignore))
        }),
    ]
}

/// Delays the second reading by half a second more than the others.
struct HalfASecondLater;

impl Schedule for HalfASecondLater {
    fn plan(&self, state: &PollState<'_>) -> PollPlan {
        PollPlan::after(Duration::from_millis(if state.count == 1 { 1500 } else { 1000 }))
    }
}

/// Measures fleets of `waits` waits with each variant, and checks the bounds.
pub(crate) fn cost(
    waits: usize,
    running: &Arc<[Bytes]>,
    bounds: &mut Bounds,
) -> Result<(), Box<dyn Error>> {
    println!("{waits} waits in a fleet, observed in several ways; the median of {POLLS} polls");
    for Variant { name, observe, subscriber } in variants() {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let (nanos, mut ratios) = runtime.block_on(async {
            let service = Arc::new(Service::new(running.clone()));
            let plain = baselines::fleet_builder(service.clone()).start();
            let observed = baselines::fleet_builder(service.clone()).schedule(HalfASecondLater);
            let observed = observe(observed).start();
            let subscriber = subscriber();
            let mut watches = Vec::with_capacity(2 * waits);
            for number in 0..waits {
                watches.push(plain.watch(baselines::id(number)?));
                let id = baselines::id(number)?;
                watches.push(dispatcher::with_default(&subscriber, || observed.watch(id)));
            }
            pause(750).await;
            compare(&service, waits).await
        })?;
        ratios.sort_by(f64::total_cmp);
        println!("  {nanos:.0} ns a poll without it");
        bounds.check(&format!("{name} / nothing"), ratios[ratios.len() / 2], 0.0..=MAX_TIME_RATIO);
    }
    println!();
    Ok(())
}

/// Returns the processor time of a poll in nanoseconds, and for each poll the ratio between the
/// fleets.
///
/// Each fleet polls all its jobs once a second, and half a second after the other one. So other load
/// on the machine affects both in the same way. Their waits were created in turns, so both are spread
/// over the memory in the same way.
async fn compare(service: &Service, waits: usize) -> Result<(f64, Vec<f64>), Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..=2 * POLLS {
        let (before, polls) = (processor_time(), service.polls());
        pause(500).await;
        let polls = service.polls() - polls;
        if polls as usize != waits {
            return Err(format!("{polls} polls of {waits} waits").into());
        }
        times.push((processor_time() - before) / f64::from(polls));
    }
    let ratio = |times: &[f64]| times[1] / f64::midpoint(times[0], times[2]);
    let ratios = times.windows(3).step_by(2).map(ratio).collect();
    let plain = times.iter().step_by(2).copied().fold(f64::INFINITY, f64::min);
    Ok((plain, ratios))
}

async fn pause(milliseconds: u64) {
    #[expect(clippy::disallowed_methods, reason = "the paused clock")]
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

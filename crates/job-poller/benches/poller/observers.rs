//! Measures how much an observer and the span of each wait add to the processor time of a poll.

use std::{
    error::Error,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use job_model::IdError;
use job_poller::{
    Fleet,
    fleet::{FleetBuilder, FleetWait},
    observer::{
        AttemptFinished, BudgetStatus, MetricsObserver, Observer, WaitFinished, WaitStarted,
    },
};
use tokio::runtime::Builder;
use tracing::{Dispatch, dispatcher, subscriber::NoSubscriber};
use tracing_subscriber::{Layer, Registry, filter::filter_fn, layer::SubscriberExt};

use crate::{
    baselines::{self, Service},
    bounds::Bounds,
    clock::processor_time,
};

/// The maximum processor time of a poll with an observer, or with a subscriber that wants no spans, as
/// a multiple of the time without it.
const MAX_OBSERVED_TIME_RATIO: f64 = 1.01;

/// The same for a subscriber that keeps the span of each wait, and does nothing else. A poll enters
/// the span once.
const MAX_SPAN_TIME_RATIO: f64 = 1.05;

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
    max_ratio: f64,
}

fn variants() -> [Variant; 5] {
    let observed = |name, observe| {
        let subscriber: fn() -> Dispatch = || Dispatch::new(NoSubscriber::default());
        Variant { name, observe, subscriber, max_ratio: MAX_OBSERVED_TIME_RATIO }
    };
    let traced = |name, subscriber, max_ratio| {
        let observe: fn(FleetBuilder) -> FleetBuilder = |fleet| fleet;
        Variant { name, observe, subscriber, max_ratio }
    };
    [
        // Shows how precise the figures are.
        observed("nothing", |fleet| fleet),
        observed("an observer that counts", |fleet| fleet.observer(Arc::<Counting>::default())),
        observed("MetricsObserver, no recorder", |fleet| fleet.observer(MetricsObserver::new())),
        traced(
            "a layer that filters all spans",
            || Dispatch::new(Registry::default().with(Ignore.with_filter(filter_fn(|_| false)))),
            MAX_OBSERVED_TIME_RATIO,
        ),
        traced(
            "a layer that ignores each span",
            || Dispatch::new(Registry::default().with(Ignore)),
            MAX_SPAN_TIME_RATIO,
        ),
    ]
}

/// Measures fleets of `waits` waits with each variant, and checks the bounds.
pub(crate) fn cost(
    waits: usize,
    running: &Arc<[Bytes]>,
    bounds: &mut Bounds,
) -> Result<(), Box<dyn Error>> {
    println!("{waits} waits in a fleet, observed in several ways; the median of {POLLS} polls");
    for Variant { name, observe, subscriber, max_ratio } in variants() {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let (nanos, mut ratios) = runtime.block_on(async {
            let service = Arc::new(Service::new(running.clone()));
            let plain = baselines::fleet_builder(service.clone()).start();
            let _plain = watch_all(&plain, 0..waits)?;
            pause(500).await;
            let fleet = observe(baselines::fleet_builder(service.clone())).start();
            let _observed =
                dispatcher::with_default(&subscriber(), || watch_all(&fleet, 0..waits))?;
            pause(250).await;
            compare(&service, waits).await
        })?;
        ratios.sort_by(f64::total_cmp);
        println!("  {nanos:.0} ns a poll without it");
        bounds.check(&format!("{name} / nothing"), ratios[ratios.len() / 2], 0.0..=max_ratio);
    }
    println!();
    Ok(())
}

fn watch_all(fleet: &Fleet, ids: Range<usize>) -> Result<Vec<FleetWait>, IdError> {
    ids.map(|number| Ok(fleet.watch(baselines::id(number)?))).collect()
}

/// Returns the processor time of a poll in nanoseconds, and for each poll the ratio between the
/// fleets.
///
/// Each fleet polls all its jobs once a second, and half a second after the other one. So other load
/// on the machine affects both in the same way.
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

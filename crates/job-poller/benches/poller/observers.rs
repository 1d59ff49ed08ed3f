//! Measures how much an observer and the span of each wait add to the processor time of a poll.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use job_poller::{
    AttemptFinished, BudgetStatus, FleetBuilder, MetricsObserver, Observer, WaitFinished,
    WaitStarted,
};
use tracing::{Dispatch, dispatcher, subscriber::NoSubscriber};
use tracing_subscriber::{Layer, Registry, filter::filter_fn, layer::SubscriberExt};

use crate::{DISTINCT_JOB_IDS, await_watch, baselines, bounds::Bounds, measure};

/// The maximum processor time that an observer, or a subscriber that wants no spans, adds to a poll,
/// as a multiple of the time without it.
const MAX_OBSERVED_TIME_RATIO: f64 = 1.01;

/// The same for a subscriber that keeps the span of each wait, and does nothing else.
const MAX_SPAN_TIME_RATIO: f64 = 1.1;

/// The number of rounds. There are more rounds until two measurements of the same fleet agree, so
/// that the noise is smaller than what is measured.
const MIN_ROUNDS: usize = 5;
const MAX_ROUNDS: usize = 40;
const MAX_NOISE: f64 = 0.003;

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
    subscriber: Dispatch,
    max_ratio: f64,
}

fn variants() -> Vec<Variant> {
    let observed = |name, observe| {
        let subscriber = Dispatch::new(NoSubscriber::default());
        Variant { name, observe, subscriber, max_ratio: MAX_OBSERVED_TIME_RATIO }
    };
    let traced = |name, subscriber, max_ratio| {
        let observe: fn(FleetBuilder) -> FleetBuilder = |fleet| fleet;
        Variant { name, observe, subscriber, max_ratio }
    };
    let no_spans = Registry::default().with(Ignore.with_filter(filter_fn(|_| false)));
    let all_spans = Registry::default().with(Ignore);
    vec![
        observed("nothing", |fleet| fleet),
        observed("nothing, again", |fleet| fleet),
        observed("an observer that counts", |fleet| fleet.observer(Arc::<Counting>::default())),
        observed("MetricsObserver, no recorder", |fleet| fleet.observer(MetricsObserver::new())),
        traced(
            "a layer whose filter ignores everything",
            Dispatch::new(no_spans),
            MAX_OBSERVED_TIME_RATIO,
        ),
        traced("a layer that ignores each span", Dispatch::new(all_spans), MAX_SPAN_TIME_RATIO),
    ]
}

/// Measures a fleet of `waits` waits with each variant, and checks the bounds.
pub(crate) fn cost(
    waits: usize,
    running: &Arc<[Bytes]>,
    bounds: &mut Bounds,
) -> Result<(), Box<dyn Error>> {
    let variants = variants();
    let mut nanoseconds = vec![f64::INFINITY; variants.len()];
    let mut rounds = 0;
    let is_noisy = |nanoseconds: &[f64]| (nanoseconds[0] / nanoseconds[1] - 1.0).abs() > MAX_NOISE;
    while rounds < MIN_ROUNDS || (is_noisy(&nanoseconds) && rounds < MAX_ROUNDS) {
        for (variant, fastest) in variants.iter().zip(&mut nanoseconds) {
            let cost = dispatcher::with_default(&variant.subscriber, || {
                measure(DISTINCT_JOB_IDS, waits, running, |service| {
                    let fleet = (variant.observe)(baselines::fleet_builder(service)).start();
                    move |id| await_watch(fleet.watch(id))
                })
            })?;
            *fastest = fastest.min(cost.nanoseconds);
        }
        rounds += 1;
    }
    println!("{waits} waits in a fleet, observed in several ways; the fastest of {rounds} rounds");
    // Both measurements of the first variant are valid.
    let base = nanoseconds[0].min(nanoseconds[1]);
    for (Variant { name, max_ratio, .. }, nanoseconds) in variants.iter().zip(&nanoseconds) {
        println!("{name:>44} {nanoseconds:>8.0} ns a poll");
        bounds.check(&format!("{name} / nothing"), nanoseconds / base, 0.0..=*max_ratio);
    }
    println!();
    Ok(())
}

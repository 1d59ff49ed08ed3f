//! A random simulation: its jobs, host crashes, partitions, expired tokens and service errors, all
//! drawn from a seed.

use std::{cell::RefCell, fmt, rc::Rc, sync::Arc, time::Duration};

use fastrand::Rng;
use job_sim::{Fault, Plan, Sim, SimService, TimeSource};
use tokio::task::JoinSet;
use turmoil::{Builder, net::TcpListener};

use crate::{
    network::{PORT, SERVICE, SimulationClock},
    watch::WatchingHost,
};

/// Number of hosts that wait for jobs.
const WATCHER_COUNT: usize = 3;

/// A tick of one millisecond would need a thousand ticks per simulated second, and would find
/// nothing more.
const TICK_DURATION: Duration = Duration::from_millis(250);

/// Faults that a wait must survive at any time. Replies of other jobs are not included: two in a
/// row end a wait, and random faults can produce two in a row.
const FAULTS: &str = "refuse, stall-handshake, reset, stall, stall-body, truncated, goaway, garbage, \
    html, page:502, 408, 409, 425, 429, 500, 503, 504, throttled:20, phase-back, phase:, \
    phase:Paused, stale:20";

/// One simulation.
pub(crate) struct Scenario {
    seed: u64,
    hours: u64,
}

/// What happened in a simulation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) succeeded: u32,
    pub(crate) failed: u32,
    /// Waits that ended at their deadline, as expected.
    pub(crate) expired: u32,
    /// Waits that were stopped and resumed from a checkpoint.
    pub(crate) resumed: u32,
    pub(crate) attempts: u32,
    pub(crate) errors: u32,
    pub(crate) partitions: u32,
    pub(crate) crashes: u32,
}

impl Scenario {
    pub(crate) const fn new(seed: u64, hours: u64) -> Self {
        Self { seed, hours }
    }

    /// Runs the simulation to its end. Returns what happened, and the events of all waits.
    pub(crate) fn run(&self) -> (Figures, String) {
        let mut random = Rng::with_seed(self.seed);
        let length = Duration::from_secs(self.hours * 60 * 60);
        let mut network = Builder::new()
            .rng_seed(self.seed)
            .tick_duration(TICK_DURATION)
            .simulation_duration(length + MAX_OVERRUN)
            .min_message_latency(Duration::from_millis(10))
            .max_message_latency(Duration::from_millis(random.u64(50..2_000)))
            .build();

        let service = Arc::new(SimService::new(Arc::new(self.sim(&mut random, length))).unwrap());
        let hosted = service.clone();
        network.host(SERVICE, move || serve(hosted.clone()));

        let figures = Rc::new(RefCell::new(Figures::default()));
        let transcript = Rc::new(RefCell::new(String::new()));
        let watchers: Vec<String> = (0..WATCHER_COUNT).map(|n| format!("watcher-{n}")).collect();
        for (number, name) in watchers.iter().enumerate() {
            let watch = WatchingHost {
                service: service.clone(),
                random: Rng::with_seed(random.u64(..)),
                number,
                last_submission: length,
                figures: figures.clone(),
                transcript: transcript.clone(),
            };
            network.client(name.as_str(), watch.run());
        }

        let mut troubles = Troubles::random(&mut random, length);
        loop {
            while let Some(trouble) = troubles.next_due(network.elapsed()) {
                let mut figures = figures.borrow_mut();
                match trouble {
                    Trouble::Crash => {
                        figures.crashes += 1;
                        network.crash(SERVICE);
                    }
                    Trouble::Restart => network.bounce(SERVICE),
                    Trouble::Partition(watcher) => {
                        figures.partitions += 1;
                        network.partition(&*watchers[watcher], SERVICE);
                    }
                    Trouble::Repair(watcher) => network.repair(&*watchers[watcher], SERVICE),
                    Trouble::Expire => service.sim().expire_tokens(),
                }
            }
            if network.step().unwrap() {
                break;
            }
        }
        drop(network);
        (Rc::into_inner(figures).unwrap().into_inner(), transcript.take())
    }

    /// Creates the service, with random faults and up to three outages.
    fn sim(&self, random: &mut Rng, length: Duration) -> Sim {
        let faults = Fault::parse_script(FAULTS).unwrap().into_iter().flatten().collect();
        let probability = f64::from(random.u32(0..20)) / 100.0;
        let sim = Sim::with_clock(Plan::create_cluster(), TimeSource::Clock, SimulationClock)
            .map_submitted(|plan| plan)
            .random_faults(self.seed, probability, faults)
            .token_lifetime(jiff::SignedDuration::from_mins(random.i64(5..120)));
        let storms = ["503", "429", "throttled:45", "page:502", "stall", "reset"];
        (0..random.u32(0..4)).fold(sim, |sim, _| {
            let from = random_time(random, length);
            let storm = random.choice(storms).unwrap();
            sim.outage(
                from..from + Duration::from_secs(random.u64(30..900)),
                storm.parse().unwrap(),
            )
        })
    }
}

/// Serves all connections. When the host crashes, this future is dropped with its connections.
async fn serve(service: Arc<SimService>) -> turmoil::Result {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service.clone();
        connections.spawn(async move { service.serve(stream).await });
    }
}

/// A disturbance of the network.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Crash,
    Restart,
    Partition(usize),
    Repair(usize),
    Expire,
}

/// The disturbances to come, latest first.
struct Troubles(Vec<(Duration, Trouble)>);

impl Troubles {
    fn random(random: &mut Rng, length: Duration) -> Self {
        let mut troubles = Vec::new();
        let hours = u32::try_from(length.as_secs() / 3600).unwrap();
        for _ in 0..random.u32(0..=3 * hours) {
            let from = random_time(random, length);
            let to = from + Duration::from_secs(random.u64(1..600));
            let watcher = random.usize(0..WATCHER_COUNT);
            match random.u32(0..3) {
                0 => troubles.extend([(from, Trouble::Crash), (to, Trouble::Restart)]),
                1 => troubles
                    .extend([(from, Trouble::Partition(watcher)), (to, Trouble::Repair(watcher))]),
                _ => troubles.push((from, Trouble::Expire)),
            }
        }
        // In the end the service is up and all links work.
        let end = length + Duration::from_secs(1);
        troubles.push((end, Trouble::Restart));
        troubles.extend((0..WATCHER_COUNT).map(|watcher| (end, Trouble::Repair(watcher))));
        troubles.sort_by_key(|(at, _)| *at);
        troubles.reverse();
        Self(troubles)
    }

    fn next_due(&mut self, elapsed: Duration) -> Option<Trouble> {
        let (at, _) = self.0.last()?;
        if *at > elapsed { None } else { self.0.pop().map(|(_, trouble)| trouble) }
    }
}

fn random_time(random: &mut Rng, length: Duration) -> Duration {
    Duration::from_secs(random.u64(0..length.as_secs()))
}

impl Figures {
    pub(crate) fn add(&mut self, other: &Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.expired += other.expired;
        self.resumed += other.resumed;
        self.attempts += other.attempts;
        self.errors += other.errors;
        self.partitions += other.partitions;
        self.crashes += other.crashes;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { succeeded, failed, expired, resumed, attempts, errors, partitions, crashes } =
            self;
        write!(
            f,
            "{} waits ({succeeded} jobs succeeded, {failed} failed, {expired} deadlines passed), \
             {resumed} resumed, {attempts} attempts, {errors} failed attempts, {partitions} partitions, \
             {crashes} crashes",
            succeeded + failed + expired
        )
    }
}

/// How long the last waits may take after all disturbances have ended: the rest of a job, and the
/// last delays of its wait.
const MAX_OVERRUN: Duration = Duration::from_secs(2 * 60 * 60);

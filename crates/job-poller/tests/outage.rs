//! Many waits during an outage of ten minutes, in virtual time. Each ends with the right outcome,
//! and together they send at most 1.2 times the requests of a run without an outage.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../benches/common/counting_transport.rs"]
mod counting_transport;

use std::{
    env, fmt,
    io::{self, Write},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use job_poller::{Outcome, Wait};
use job_sim::{Fault, Plan, Sim, TimeSource};
use tokio::task::JoinSet;

use counting_transport::CountingTransport;

/// Number of simultaneous waits, unless `OUTAGE_WAITS` is set.
const DEFAULT_WAIT_COUNT: u64 = 200;

const OUTAGE: Range<Duration> = Duration::from_secs(5 * 60)..Duration::from_secs(15 * 60);

/// Maximum number of requests during the outage, relative to a run without one.
const MAX_LOAD_RATIO: f64 = 1.2;

/// The load of a run: all requests, the requests during the outage, and the maximum per second
/// before, during and after the outage.
struct Load {
    total: u32,
    during: u32,
    peaks: [u32; 3],
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total: all, during, peaks: [before, within, after] } = self;
        write!(f, "{all} requests, {during} during the outage; maximum per second: ")?;
        write!(f, "{before} before, {within} during, {after} after")
    }
}

/// Waits for `waits` jobs, which take 25 minutes (median). A quarter of them fails.
async fn measure_load(waits: u64, fault: Option<Fault>) -> Load {
    let first = Sim::new(Plan::create_cluster(), TimeSource::Clock);
    let sim = Arc::new(match fault {
        Some(fault) => first.outage(OUTAGE, fault),
        None => first,
    });
    let transport = CountingTransport::new(sim.clone());
    let client = sim.client("https://cce.example".parse().unwrap(), transport.clone());
    let mut ended = JoinSet::new();
    for seed in 0..waits {
        let plan = Plan::create_cluster().slower(300).with_random_durations(seed);
        let fails = seed % 4 == 0;
        let plan = if fails { plan.with_failure("no such flavor") } else { plan };
        let wait = Wait::new(client.clone(), sim.add(plan)).seed(seed);
        let wait = wait.timeout(Duration::from_secs(4 * 60 * 60));
        ended.spawn(async move { (fails, wait.await.unwrap().outcome) });
    }
    while let Some(one) = ended.join_next().await {
        let (fails, outcome) = one.unwrap();
        match outcome {
            Outcome::Succeeded => assert!(!fails),
            Outcome::Failed(failure) => {
                assert!(fails);
                assert_eq!(failure.reason.as_deref(), Some("no such flavor"));
            }
            outcome => panic!("a wait for the end of a job ended as {outcome:?}"),
        }
    }
    let seconds = transport.requests_per_second();
    let [from, to] = [OUTAGE.start, OUTAGE.end].map(|at| usize::try_from(at.as_secs()).unwrap());
    let peak = |seconds: &[u32]| seconds.iter().max().copied().unwrap_or_default();
    Load {
        total: seconds.iter().sum(),
        during: seconds[from..to].iter().sum(),
        peaks: [&seconds[..from], &seconds[from..to], &seconds[to..]].map(peak),
    }
}

#[tokio::test(start_paused = true)]
async fn waits_survive_an_outage_without_overloading_the_service() {
    let waits = env::var("OUTAGE_WAITS").map_or(DEFAULT_WAIT_COUNT, |waits| waits.parse().unwrap());
    let well = measure_load(waits, None).await;
    // Written to stderr directly, because the test harness hides the output of a passing test.
    let _ = writeln!(io::stderr(), "outage: {waits} waits, no outage: {well}");
    for outage in ["refuse", "reset", "503", "429", "throttled:60", "stall"] {
        let load = measure_load(waits, Some(outage.parse().unwrap())).await;
        let ratio = f64::from(load.during) / f64::from(well.during);
        let _ = writeln!(
            io::stderr(),
            "outage: {waits} waits, {outage}: {load}; {ratio:.2} of the requests without one"
        );
        assert!(
            ratio <= MAX_LOAD_RATIO,
            "{outage}: {ratio:.2} times as many requests as without an outage"
        );
        // The waits did not all poll at the same time when the outage ended.
        assert!(load.peaks[2] <= 2 * well.peaks[1], "{outage}: {load}");
    }
}

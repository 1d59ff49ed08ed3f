//! Measures a fleet of ten thousand jobs during an outage of ten minutes.

use std::{error::Error, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use job_poller::{Fleet, Outcome, WaitPolicy};
use job_sim::{Fault, Plan, Sim, TimeSource};

use crate::{bounds::Bounds, counting_transport::CountingTransport};

const JOB_COUNT: u64 = 10_000;
const REQUESTS_PER_SECOND: f64 = 1_000.0;
const OUTAGE_START_SECS: u64 = 300;
const OUTAGE_END_SECS: u64 = 900;

/// Runs the fleet through an outage of each kind.
pub(crate) async fn outage(bounds: &mut Bounds) -> Result<(), Box<dyn Error>> {
    for fault in ["refuse", "503", "429", "throttled:60", "stall"] {
        println!(
            "{JOB_COUNT} jobs at {REQUESTS_PER_SECOND} requests a second, {fault} from {OUTAGE_START_SECS} s to {OUTAGE_END_SECS} s"
        );
        let during = Duration::from_secs(OUTAGE_START_SECS)..Duration::from_secs(OUTAGE_END_SECS);
        let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock)
            .outage(during, fault.parse::<Fault>()?);
        let sim = Arc::new(sim);
        let transport = CountingTransport::new(sim.clone());
        let client = sim.client("https://cce.example".parse()?, transport.clone());
        let fleet = Fleet::builder(client)
            .requests_per_second(REQUESTS_PER_SECOND)
            .max_in_flight(usize::MAX)
            .policy(WaitPolicy::new().timeout(Duration::from_secs(4 * 60 * 60)))
            .start();
        let mut watches = FuturesUnordered::new();
        for seed in 0..JOB_COUNT {
            let plan = Plan::create_cluster().slower(300).with_random_durations(seed);
            let fails = seed.is_multiple_of(4);
            let plan = if fails { plan.with_failure("no such flavor") } else { plan };
            let watch = fleet.watch(sim.add(plan));
            watches.push(async move { (fails, watch.await) });
        }
        let mut right = 0_u64;
        while let Some((fails, result)) = watches.next().await {
            let failed = matches!(result?.outcome, Outcome::Failed(_));
            right += u64::from(failed == fails);
        }
        let seconds = transport.requests_per_second();
        let [from, to] =
            [OUTAGE_START_SECS, OUTAGE_END_SECS].map(|at| usize::try_from(at).unwrap_or_default());
        let peak = |of: &[u32]| f64::from(of.iter().max().copied().unwrap_or_default());
        let (within, after) = (peak(&seconds[from..to]), peak(&seconds[to..]));
        println!(
            "  maximum per second: {} before, {within} during, {after} after the outage",
            peak(&seconds[..from])
        );
        bounds.check("correct outcomes", right as f64, JOB_COUNT as f64..=JOB_COUNT as f64);
        bounds.check(
            "maximum per second after the outage / budget",
            after / REQUESTS_PER_SECOND,
            0.0..=1.01,
        );
    }
    Ok(())
}

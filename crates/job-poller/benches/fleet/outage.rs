//! Ten minutes in which the service lets nobody in, with a fleet of ten thousand jobs. Tests nothing else.

use std::{error::Error, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use job_poller::{Fleet, Outcome, WaitPolicy};
use job_sim::{Fault, Pace, Plan, Sim};

use crate::{bounds::Bounds, counted::Counted};

const JOBS: u64 = 10_000;
const PER_SECOND: f64 = 1_000.0;
const FROM: u64 = 300;
const TO: u64 = 900;

/// Lets a fleet go through an outage of each kind.
pub(crate) async fn outage(bounds: &mut Bounds) -> Result<(), Box<dyn Error>> {
    for fault in ["refuse", "503", "429", "throttled:60", "stall"] {
        println!("{JOBS} jobs at {PER_SECOND} requests a second, {fault} from {FROM} s to {TO} s");
        let during = Duration::from_secs(FROM)..Duration::from_secs(TO);
        let sim =
            Sim::new(Plan::create_cluster(), Pace::Clock).outage(during, fault.parse::<Fault>()?);
        let sim = Arc::new(sim);
        let transport = Counted::new(sim.clone());
        let client = sim.client("https://cce.example".parse()?, transport.clone());
        let fleet = Fleet::builder(client)
            .requests_per_second(PER_SECOND)
            .in_flight(usize::MAX)
            .policy(WaitPolicy::new().timeout(Duration::from_secs(4 * 60 * 60)))
            .start();
        let mut watches = FuturesUnordered::new();
        for seed in 0..JOBS {
            let plan = Plan::create_cluster().slower(300).drawn(seed);
            let fails = seed.is_multiple_of(4);
            let plan = if fails { plan.failing("no such flavor") } else { plan };
            let watch = fleet.watch(sim.add(plan));
            watches.push(async move { (fails, watch.await) });
        }
        let mut right = 0_u64;
        while let Some((fails, result)) = watches.next().await {
            let failed = matches!(result?.outcome, Outcome::Failed(_));
            right += u64::from(failed == fails);
        }
        let seconds = transport.seconds();
        let [from, to] = [FROM, TO].map(|at| usize::try_from(at).unwrap_or_default());
        let peak = |of: &[u32]| f64::from(of.iter().max().copied().unwrap_or_default());
        let (within, after) = (peak(&seconds[from..to]), peak(&seconds[to..]));
        println!(
            "  the most in a second: {} before, {within} in it, {after} after",
            peak(&seconds[..from])
        );
        bounds.within("ended right", right as f64, JOBS as f64..=JOBS as f64);
        bounds.within("the most in a second after it / the budget", after / PER_SECOND, 0.0..=1.01);
    }
    Ok(())
}

//! Prints the events of a wait as log lines. The simulated service resets a connection and fails
//! the job.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{error::Error, sync::Arc, time::Duration};

use job_poller::{Event, Wait, schedule::Exponential};
use job_sim::{Fault, Plan, Sim, SimTransport, TimeSource};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let sim =
        Arc::new(Sim::new(Plan::create_cluster().with_failure("sold out"), TimeSource::Clock));
    let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
    sim.inject_fault(Fault::Reset);

    let pauses = Exponential::new(Duration::from_millis(500)..=Duration::from_secs(2));
    let mut events = Wait::new(client, sim.job().clone()).schedule(pauses).events();
    while let Some((at, event)) = events.next().await {
        let level = match event {
            Event::AttemptFailed { .. } | Event::Stalled { .. } | Event::StaleReply { .. } => {
                "WARN "
            }
            Event::NextAttempt { .. } | Event::Heartbeat => "DEBUG",
            _ => "INFO ",
        };
        println!("{level} job={} at={:.1}s {event}", sim.job(), at.as_secs_f64());
    }
    let ended = events.finish().await?;
    match ended.into_success() {
        Ok(_) => println!("INFO  job={} succeeded", sim.job()),
        Err(error) => println!("ERROR {error}"),
    }
    Ok(())
}

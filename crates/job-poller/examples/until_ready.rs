//! Creates a cluster in a simulated service, and waits until it is ready while another client reads it.
//! `cargo xtask interop` runs this beside the vendor's SDK.
//!
//! Writes the endpoint and the credentials to the file STARTED, and the CA certificate to CA_FILE:
//!
//! ```sh
//! cargo run --example until_ready -- STARTED CA_FILE
//! ```
#![expect(clippy::print_stdout, reason = "another program reads the times")]

use std::{env, fs, io, sync::Arc, time::Duration};

use anyhow::Context as _;
use jiff::Timestamp;
use job_poller::{Outcome, Wait, schedule::Fixed};
use job_sim::{ObjectPlan, Plan, Sim, SimServer, TimeSource};
use job_transport::{
    clock::{Clock as _, TokioClock},
    hyper::{HyperTransport, TlsConfig, TlsProvider},
};
use serde_json::json;

/// How long the job takes, and how long after its end the cluster is ready. The other client needs
/// some seconds to start.
const JOB: Duration = Duration::from_secs(8);
const LAG: Duration = Duration::from_secs(6);

const INTERVAL: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let (started, ca_file) =
        arguments.next().zip(arguments.next()).context("expected STARTED and CA_FILE")?;
    let began = TokioClock::new().now();
    let sim = Sim::new(Plan::create_cluster().with_duration(JOB), TimeSource::Clock);
    let sim = Arc::new(sim.default_object_plan(ObjectPlan::ready_after(LAG)));
    let server = SimServer::start(sim.clone()).await?;
    let tls = TlsConfig::ca_pem(TlsProvider::aws_lc_rs(), server.ca_pem())?;
    let client = sim.client(server.endpoint().parse()?, HyperTransport::new(tls));
    let reading = client.job(sim.job()).await?;
    let cluster = reading.job().spec.as_ref().and_then(|spec| spec.cluster_uid.clone());
    let cluster = cluster.context("the job names no cluster")?;

    let account = sim.account();
    let details = json!({
        "endpoint": server.endpoint(),
        "project": sim.project().as_str(),
        "cluster": cluster,
        "access_key": account.access_key,
        "secret_key": account.secret_key,
        "interval": INTERVAL.as_secs_f64(),
    });
    fs::write(ca_file, server.ca_pem())?;
    fs::write(started, details.to_string())?;
    println!("started");

    let wait = Wait::new(client, sim.job().clone()).until_ready();
    let finished = wait.schedule(Fixed::new(INTERVAL)).await?;
    anyhow::ensure!(finished.outcome == Outcome::Ready, "{}", finished.object_summary());
    println!("ready {}", unix_seconds(TokioClock::new().now()));
    let truth = sim.first_ready_at(&cluster).context("the cluster is never ready")?;
    println!("truth {}", unix_seconds(began + truth));

    // Serves the other client until this process should end.
    tokio::task::spawn_blocking(|| io::read_to_string(io::stdin())).await??;
    Ok(())
}

fn unix_seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

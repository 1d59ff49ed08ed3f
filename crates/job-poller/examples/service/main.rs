//! A service that waits for jobs in the background and reports their state:
//!
//! ```sh
//! cargo run -p job-poller --example service
//! curl -X PUT 127.0.0.1:8080/jobs/354331b2c-229a-11e8-9c75-0255ac100ceb   # wait for it
//! curl 127.0.0.1:8080/jobs/354331b2c-229a-11e8-9c75-0255ac100ceb          # read its state
//! ```
//!
//! On Ctrl-C the service stops its waits and saves their checkpoints. When it is started again, it
//! resumes the waits, even if it was killed. The cloud is simulated: its only job ends 50 s after
//! the start of this process.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod api;
mod watch;

use std::{env, error::Error, sync::Arc};

use job_sim::{Plan, Sim, SimTransport, TimeSource};
use tokio::{net::TcpListener, signal};

use crate::watch::JobService;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let sim = Arc::new(Sim::new(Plan::create_cluster().slower(10), TimeSource::Clock));
    let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
    let service = JobService::start(client, env::temp_dir().join("cce-jobs"))?;

    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    println!("job {} is at http://{}/jobs/", sim.job(), listener.local_addr()?);
    axum::serve(listener, api::routes(service.clone()))
        .with_graceful_shutdown(async { drop(signal::ctrl_c().await) })
        .await?;
    service.stop().await;
    Ok(())
}

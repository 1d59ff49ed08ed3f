//! The example of the README: waits for the job whose id is in the environment variable `JOB_ID`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use job_poller::Wait;
use job_transport::{
    Client, Credentials,
    hyper::{HyperTransport, TlsConfig, TlsProvider},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = Client::new(
        "https://cce.eu-de.otc.t-systems.com".parse()?,
        Credentials::token(std::env::var("OS_TOKEN")?)?,
        HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?),
    )
    .project(std::env::var("OS_PROJECT_ID")?.parse()?);
    let ended = Wait::new(client, std::env::var("JOB_ID")?.parse()?).await?; // Err: the wait itself failed
    let job = ended.into_success()?; // Err: the job failed (with the failing step)
    println!("{} succeeded", job.label());
    Ok(())
}

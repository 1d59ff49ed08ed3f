//! Reads a job with reqwest from a simulated service on localhost.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod transport;

use std::{error::Error, sync::Arc};

use job_sim::{Plan, Sim, SimServer, TimeSource};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use transport::Reqwest;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
    let server = SimServer::start(sim.clone()).await?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.ca_pem())?)?;
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();

    let client = sim.client(server.endpoint().parse()?, Reqwest::new(tls)?);
    let reading = client.job(sim.job()).await?;
    println!("{}: {:?}", reading.job().label(), reading.job().phase());
    Ok(())
}

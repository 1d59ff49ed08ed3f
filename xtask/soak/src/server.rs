//! The simulated service in a process of its own, which ends when this one does.

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Context;
use http::StatusCode;
use job_model::{JobId, ProjectId};
use job_sim::{Fault, Plan, Sim, SimServer, TimeSource};
use job_transport::{
    Client, Credentials, Endpoint,
    hyper::{HyperTransport, TlsConfig, TlsProvider},
    transport::Transport,
};
use serde::{Deserialize, Serialize};
use tokio::{runtime, sync::oneshot};

use crate::{fleets::WAITS, polls::JOBS};

/// The argument that makes this program the server.
pub(crate) const ARGUMENT: &str = "serve";

/// The time that each reading of a job adds to its age. A job of the simulated plan ends after five
/// seconds, and therefore at the thousand and first reading.
const TIME_PER_READING: Duration = Duration::from_millis(5);

/// The share of requests that meet a fault.
const FAULT_PROBABILITY: f64 = 0.002;

/// What a client needs, as a line of JSON.
#[derive(Serialize, Deserialize)]
struct Access {
    endpoint: String,
    ca_pem: String,
    token: String,
    project: String,
    /// Jobs that end.
    jobs: Vec<String>,
    /// Jobs that do not end.
    endless_jobs: Vec<String>,
}

/// A running server. Dropping it ends the process.
pub(crate) struct Server {
    process: Child,
    access: Access,
}

impl Server {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("the server does not start")?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("stdout is piped")?).read_line(&mut line)?;
        let access = serde_json::from_str(&line).context("the server does not start")?;
        Ok(Self { process, access })
    }

    /// Returns a transport without a connection.
    pub(crate) fn transport(&self) -> anyhow::Result<HyperTransport> {
        let ca_pem = self.access.ca_pem.as_bytes();
        Ok(HyperTransport::new(TlsConfig::ca_pem(TlsProvider::aws_lc_rs(), ca_pem)?))
    }

    /// Returns a client that sends its requests through `transport`.
    pub(crate) fn client(&self, transport: impl Transport + 'static) -> anyhow::Result<Client> {
        let Access { endpoint, token, project, .. } = &self.access;
        let endpoint: Endpoint = endpoint.parse()?;
        let client = Client::new(endpoint, Credentials::token(token.as_str())?, transport);
        Ok(client.project(project.parse::<ProjectId>()?))
    }

    /// Returns the jobs that end after a thousand readings.
    pub(crate) fn jobs(&self) -> anyhow::Result<Vec<JobId>> {
        ids(&self.access.jobs)
    }

    /// Returns the jobs that do not end.
    pub(crate) fn endless_jobs(&self) -> anyhow::Result<Vec<JobId>> {
        ids(&self.access.endless_jobs)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server ends at the end of its input, so an error is one of a server that has ended.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn ids(texts: &[String]) -> anyhow::Result<Vec<JobId>> {
    texts.iter().map(|text| Ok(text.parse()?)).collect()
}

/// Runs the server until its input ends.
pub(crate) fn serve() -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let faults = vec![
            Fault::Reset,
            Fault::GoAway,
            Fault::Truncated,
            Fault::ErrorReply(StatusCode::SERVICE_UNAVAILABLE),
        ];
        let sim = Sim::new(Plan::delete_node(), TimeSource::PerRequest(TIME_PER_READING));
        let sim = Arc::new(sim.random_faults(7, FAULT_PROBABILITY, faults));
        let add = |plan: Plan| sim.add(plan).to_string();
        let jobs = (0..JOBS).map(|_| add(Plan::create_cluster())).collect();
        let endless = || Plan::create_cluster().slower(u32::MAX);
        let endless_jobs = (0..WAITS).map(|_| add(endless())).collect();
        let server = SimServer::start(sim.clone()).await?;
        let access = Access {
            endpoint: server.endpoint(),
            ca_pem: String::from_utf8(server.ca_pem().to_vec())?,
            token: sim.account().token,
            project: sim.project().to_string(),
            jobs,
            endless_jobs,
        };
        let mut line = serde_json::to_string(&access)?;
        line.push('\n');
        io::stdout().write_all(line.as_bytes())?;
        io::stdout().flush()?;
        input_end().await;
        Ok(())
    })
}

/// Waits for the end of the input.
async fn input_end() {
    let (sender, ended) = oneshot::channel::<()>();
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        drop(sender);
    });
    // The sender sends nothing: it is dropped.
    let _ = ended.await;
}

//! `cce-job wait`: waits until every job has ended. Progress to stderr, one line a job to stdout.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, anyhow};
use clap::Args;
use job_model::{JobId, ProjectId};
use job_poller::{Event, Wait};
use job_transport::{Client, Conventions, Endpoint, HyperTransport, Tls, TlsProvider};
use tokio::task::JoinSet;

use crate::{exit::Exit, signals::stopped, told};

/// What `--help` says below the flags.
pub(crate) const HELP: &str = "\
Credentials are those of the environment, by the conventions of the vendor's SDKs
(HUAWEICLOUD_SDK_AK, ..), Terraform (HW_ACCESS_KEY, ..) or OpenStack (OS_TOKEN, OS_USERNAME, ..).
With several jobs the exit code is the highest of theirs.

Example, beside `cce-job sim --ca-file ca.pem`:
  OS_TOKEN=.. OS_PROJECT_ID=.. cce-job wait --endpoint https://127.0.0.1:PORT --ca-file ca.pem JOB";

#[derive(Args)]
pub(crate) struct Arguments {
    /// The jobs' ids
    #[arg(required = true, value_name = "ID")]
    jobs: Vec<JobId>,
    /// Where the service is, such as <https://cce.eu-de.otc.t-systems.com>
    #[arg(long, value_name = "URL")]
    endpoint: Endpoint,
    /// The project's id; by default the one that the credentials name
    #[arg(long, value_name = "ID")]
    project: Option<ProjectId>,
    /// Trust this CA alone (PEM); by default whom this machine trusts
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Wait so many seconds at most; 0 asks once
    #[arg(long, value_name = "SECONDS", default_value_t = 60 * 60)]
    timeout: u64,
}

impl Arguments {
    fn client(&self) -> anyhow::Result<Client> {
        let provider = TlsProvider::aws_lc_rs();
        let tls = match &self.ca_file {
            Some(file) => {
                let pem = fs::read(file)
                    .with_context(|| format!("cannot read the CA in {}", file.display()))?;
                Tls::ca_pem(provider, &pem)?
            }
            None => Tls::platform(provider)?,
        };
        let transport = HyperTransport::new(tls);
        let found = Conventions::from_environment().find()?;
        let found = found.ok_or_else(|| anyhow!("no credentials: set OS_TOKEN, or see --help"))?;
        let project = self.project.clone().or_else(|| found.project.clone());
        let credentials = found.credentials(transport.clone());
        let client = Client::new(self.endpoint.clone(), credentials, transport);
        Ok(match project {
            Some(project) => client.project(project),
            None => client,
        })
    }
}

/// Waits for all; the exit code is the worst of theirs.
///
/// # Errors
///
/// Where there are no credentials, or stdout is closed.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    let stopped = stopped()?;
    let client = arguments.client()?;
    let mut waits = JoinSet::new();
    for job in arguments.jobs {
        let wait = Wait::new(client.clone(), job.clone())
            .timeout(Duration::from_secs(arguments.timeout))
            .on_event(progress(job.clone()));
        waits.spawn(async move { (job, wait.await) });
    }
    let all = async {
        let mut worst = Exit::Done;
        while let Some(ended) = waits.join_next().await {
            let (job, result) = ended.context("a wait has panicked")?;
            let exit = match result {
                Ok(ended) => {
                    writeln!(io::stdout(), "{job} {}", told::outcome(&ended))?;
                    Exit::from(&ended.outcome)
                }
                Err(error) => {
                    let error = anyhow::Error::from(error);
                    told::progress(&format!("{job} {error:#}"));
                    Exit::of(&error)
                }
            };
            worst = worst.max(exit);
        }
        Ok(worst)
    };
    tokio::select! {
        worst = all => worst,
        exit = stopped => {
            told::progress("stopped; the jobs go on");
            Ok(exit)
        }
    }
}

/// Tells what changes, but for each attempt.
fn progress(job: JobId) -> impl FnMut(Duration, &Event) {
    move |at, event| match event {
        Event::NextAttempt { .. } => {}
        event => told::progress(&format!("{job} {:>5.1} s  {event}", at.as_secs_f64())),
    }
}

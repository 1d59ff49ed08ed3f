//! `cce-job sim`: serves a simulated service over TLS on localhost, until a signal stops it. The
//! credentials that it prints are valid only for this service.

use std::{
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    ops::Range,
    path::PathBuf,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use job_sim::{Fault, ListFault, ObjectPlan, Plan, Sim, SimServer, TestAccount, TimeSource};
use serde::Serialize;

use crate::{
    exit::{Exit, OrExit},
    files::{NewFileMode, OwnerRule, TargetFile},
    runtime::shutdown_signal,
    terminal::{DurationArg, print},
};

/// Returns the section of `--help` below the flags.
pub(crate) fn help() -> String {
    HELP.replace("{faults}", Fault::SYNTAX).replace("{list_faults}", ListFault::SYNTAX)
}

const HELP: &str = "\
The first line on stdout is a JSON object with the endpoint, the job id, and all credentials that
a client can use: a token, an access key, a password (POST {endpoint}/v3/auth/tokens), an ID token,
an agency, and the token of a pod. Clients must trust the CA in --ca-file. The service implements
GET .../jobs/{id}, the list of jobs, and the calls that create, read and delete clusters and nodes.
With --metadata, it also serves the metadata service and pod identity ({metadata}/v1/credentials)
over plain http.

Faults: {faults}.
To add faults at run time, POST a script to {endpoint}/simulation/faults. To expire all tokens,
POST to {endpoint}/simulation/expire-tokens.

Faults of the list: {list_faults}.
To replace them at run time, POST others to {endpoint}/simulation/list-faults.

Clusters and nodes follow their job. What they do --object-lag after its end, with --objects:
  ready        are ready, or gone if the job deletes them
  flapping     are ready for 10 s and broken for 10 s, three times, and then ready
  recovering   are broken for 10 s, and then ready
  broken       are broken for ever
  vanishing    are ready for 10 s, and then answer 404
  never-ready  stay Creating, Installing or Deleting for ever
To add faults of their requests at run time, POST a script to {endpoint}/simulation/object-faults.

Examples:
  cce-job sim --ca-file ca.pem                          create a cluster in 5 s
  cce-job sim --ca-file ca.pem --speed 1                create it in real time (eight minutes)
  cce-job sim --ca-file ca.pem --script '2*ok, 503'     answer the third request with 503
  cce-job sim --ca-file ca.pem --outage 10..30=refuse   refuse connections from 10 s to 30 s";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Port on 127.0.0.1 to listen on; 0 picks a free port
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Also serve the metadata and pod identity services over plain http, at this address
    #[arg(long, value_name = "ADDRESS:PORT")]
    metadata: Option<SocketAddr>,
    /// Write the CA certificate that clients must trust to this file (PEM)
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Type of the initial jobs
    #[arg(long, value_enum, default_value_t = JobType::CreateCluster)]
    job_type: JobType,
    /// Number of initial jobs
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    jobs: u32,
    /// Let the initial jobs fail, with this reason
    #[arg(long, value_name = "REASON", num_args = 0..=1, default_missing_value = "the flavor is sold out")]
    fail: Option<String>,
    /// Speed-up factor of jobs; at 360, an hour takes 10 s
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    speed: u32,
    /// Levels of sub-jobs in a reply; the live service often shows 1 [default: all]
    #[arg(long, value_name = "DEPTH")]
    visible_depth: Option<usize>,
    /// Use random step durations with this seed; it also seeds --fault-rate
    #[arg(long)]
    seed: Option<u64>,
    /// Fault for each request in turn, for example 'ok, 3*503, reset'
    #[arg(long, value_parser = Fault::parse_script)]
    script: Option<FaultScript>,
    /// Probability, from 0 to 1, that a request meets one of --faults
    #[arg(long, value_name = "PROBABILITY", value_parser = parse_probability)]
    fault_rate: Option<f64>,
    /// Faults that --fault-rate picks from
    #[arg(long, value_parser = Fault::parse_script, default_value = "reset, 503, 429, garbage, truncated")]
    faults: FaultScript,
    /// Apply a fault to all requests in a period, in seconds since the start; can be repeated
    #[arg(long, value_name = "FROM..TO=FAULT")]
    outage: Vec<Outage>,
    /// Faults of the list of jobs, such as 'lag:30, missing:0.1'; they apply together
    #[arg(long, value_name = "FAULTS", value_parser = ListFault::parse_list)]
    list_faults: Option<ListFaults>,
    /// Number of jobs in the list that ended before the start
    #[arg(long, value_name = "COUNT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100_000))]
    finished_jobs: u32,
    /// Time from the end of a job until its cluster or nodes are ready or gone, not divided by --speed
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    object_lag: DurationArg,
    /// What clusters and nodes do after --object-lag
    #[arg(long, value_enum, value_name = "COURSE", default_value_t = ObjectCourse::Ready)]
    objects: ObjectCourse,
    /// Answer 404 for a job this long after its end, for example 30s [default: never]
    #[arg(long, value_name = "DURATION")]
    forget_jobs_after: Option<DurationArg>,
    /// Maximum number of requests per second; further requests are answered with 429
    #[arg(long, value_name = "PER_SECOND")]
    rate_limit: Option<u32>,
    /// Lifetime of the tokens that a login returns, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 24 * 60 * 60)]
    token_lifetime: u32,
    /// Seconds by which the service's clock is ahead of this machine's; negative if behind
    #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_negative_numbers = true)]
    clock_offset: i32,
}

/// The parsed value of a flag. The alias keeps clap from treating the flag as repeatable.
type FaultScript = Vec<Option<Fault>>;
type ListFaults = Vec<ListFault>;

#[derive(Clone, Copy, ValueEnum)]
enum JobType {
    CreateCluster,
    ScaleUpCluster,
    DeleteCluster,
    DeleteNode,
}

// The values are explained in `HELP`, because doc comments would make all of `--help` longer.
#[derive(Clone, Copy, ValueEnum)]
enum ObjectCourse {
    Ready,
    Flapping,
    Recovering,
    Broken,
    Vanishing,
    NeverReady,
}

/// The time between two changes of a cluster or node.
const OBJECT_PERIOD: Duration = Duration::from_secs(10);

/// How often a flapping cluster or node is broken.
const FLAP_COUNT: u32 = 3;

impl ObjectCourse {
    fn plan(self, lag: Duration) -> ObjectPlan {
        let ready = ObjectPlan::ready_after(lag);
        match self {
            Self::Ready => ready,
            Self::Flapping => ready.flaps(FLAP_COUNT, OBJECT_PERIOD),
            Self::Recovering => ready.recovers_after(OBJECT_PERIOD),
            Self::Broken => ready.breaks_after(lag),
            Self::Vanishing => ready.vanishes_after(lag.saturating_add(OBJECT_PERIOD)),
            Self::NeverReady => ObjectPlan::never_ready(),
        }
    }
}

/// A fault that applies to every request in a period.
#[derive(Clone)]
struct Outage {
    during: Range<Duration>,
    fault: Fault,
}

impl FromStr for Outage {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let form = || anyhow!("expected FROM..TO=FAULT, such as 10..30=503");
        let (during, fault) = text.split_once('=').ok_or_else(form)?;
        let (from, to) = during.split_once("..").ok_or_else(form)?;
        let seconds = |text: &str| text.parse().map(Duration::from_secs).map_err(|_| form());
        let during = seconds(from)?..seconds(to)?;
        anyhow::ensure!(!during.is_empty(), "the end of {from}..{to} must be after its start");
        Ok(Self { during, fault: fault.parse()? })
    }
}

fn parse_probability(text: &str) -> Result<f64, String> {
    let probability: f64 = text.parse().map_err(|_| "expected a number from 0 to 1")?;
    let is_in_range = (0.0..=1.0).contains(&probability);
    if is_in_range { Ok(probability) } else { Err("expected a number from 0 to 1".into()) }
}

/// The first line on stdout: the endpoint and the credentials.
#[derive(Serialize)]
struct Started<'a> {
    endpoint: String,
    /// The address of the metadata and pod identity services.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    job: &'a str,
    jobs: Vec<String>,
    #[serde(flatten)]
    account: TestAccount,
}

impl Arguments {
    fn plan(&self, number: u32) -> Plan {
        let plan = match self.job_type {
            JobType::CreateCluster => Plan::create_cluster(),
            JobType::ScaleUpCluster => Plan::scale_up_cluster(2),
            JobType::DeleteCluster => Plan::delete_cluster(),
            JobType::DeleteNode => Plan::delete_node(),
        };
        let plan = match &self.fail {
            Some(reason) => plan.with_failure(reason),
            None => plan,
        };
        self.adjustments().apply(plan.number(number))
    }

    const fn adjustments(&self) -> PlanAdjustments {
        PlanAdjustments { speed: self.speed, visible_depth: self.visible_depth, seed: self.seed }
    }

    fn sim(&self) -> Sim {
        let adjustments = self.adjustments();
        let mut sim = Sim::new(self.plan(0), TimeSource::Clock)
            .map_submitted(move |plan| adjustments.apply(plan))
            .clock_offset(jiff::SignedDuration::from_secs(self.clock_offset.into()))
            .token_lifetime(jiff::SignedDuration::from_secs(self.token_lifetime.into()))
            .default_object_plan(self.objects.plan(self.object_lag.0));
        if let Some(DurationArg(retention)) = self.forget_jobs_after {
            sim = sim.forget_jobs_after(retention);
        }
        if let Some(limit) = self.rate_limit {
            sim = sim.rate_limit(limit);
        }
        if let Some(chance) = self.fault_rate {
            let faults = self.faults.iter().flatten().cloned().collect();
            sim = sim.random_faults(self.seed.unwrap_or_default(), chance, faults);
        }
        for Outage { during, fault } in self.outage.iter().cloned() {
            sim = sim.outage(during, fault);
        }
        sim.inject_faults(self.script.iter().flatten().cloned());
        sim.set_list_faults(self.list_faults.iter().flatten().cloned());
        sim
    }
}

/// The time between the ends of the jobs that ended before the start.
const FINISHED_INTERVAL: Duration = Duration::from_secs(60);

/// The changes to the plan of every job.
struct PlanAdjustments {
    speed: u32,
    visible_depth: Option<usize>,
    seed: Option<u64>,
}

impl PlanAdjustments {
    fn apply(&self, plan: Plan) -> Plan {
        // The templates run at a hundred times the real speed.
        let mut plan = plan.slower(100).faster(self.speed);
        if let Some(depth) = self.visible_depth {
            plan = plan.visible_depth(depth);
        }
        match self.seed {
            Some(seed) => plan.with_random_durations(seed),
            None => plan,
        }
    }
}

/// Starts the server for the metadata and pod identity services. It is not encrypted, so only this
/// machine may reach it.
async fn start_metadata(sim: &Arc<Sim>, address: SocketAddr) -> anyhow::Result<SimServer> {
    let is_local = match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback(),
    };
    let refused = || anyhow!("--metadata: {address} is not a loopback or link-local address");
    is_local.then_some(()).ok_or_else(refused).or_exit(Exit::Usage)?;
    let server = SimServer::start_plain(sim.clone(), address).await;
    server.with_context(|| format!("cannot listen on {address}")).or_exit(Exit::Usage)
}

/// Serves until a signal stops it.
///
/// # Errors
///
/// Returns an error if the port is not available, if the CA cannot be written, or if writing to
/// stdout fails.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    // Set up before the first line is printed, because a script may send a signal as soon as it
    // reads that line.
    let stopped = shutdown_signal()?;
    let sim = Arc::new(arguments.sim());
    let added = (1..arguments.jobs).map(|number| sim.add(arguments.plan(number)).to_string());
    let jobs = [sim.job().to_string()].into_iter().chain(added).collect();
    // One ended every minute.
    for number in 1..=arguments.finished_jobs {
        sim.add_finished(arguments.plan(number), FINISHED_INTERVAL * number);
    }
    let server = SimServer::start_on(sim.clone(), arguments.port).await;
    let server = server
        .with_context(|| format!("cannot listen on port {}", arguments.port))
        .or_exit(Exit::Usage)?;
    if let Some(file) = &arguments.ca_file {
        let ca_pem = |file: &mut dyn Write| file.write_all(server.ca_pem());
        TargetFile::new(file)
            .and_then(|file| file.write(NewFileMode::Umask, OwnerRule::WriteInPlace, ca_pem))
            .with_context(|| format!("cannot write the CA to {}", file.display()))
            .or_exit(Exit::Usage)?;
    }
    let metadata = match arguments.metadata {
        Some(address) => Some(start_metadata(&sim, address).await?),
        None => None,
    };
    let (endpoint, account) = (server.endpoint(), sim.account());
    let metadata_url = metadata.as_ref().map(SimServer::endpoint);
    let started =
        Started { endpoint, metadata: metadata_url, job: sim.job().as_str(), jobs, account };
    print::write_stdout(serde_json::to_string(&started)? + "\n")?;
    let exit = stopped.await;
    let _ = writeln!(io::stderr(), "{} requests, {} logins", sim.requests(), sim.logins());
    Ok(exit)
}

#[cfg(test)]
mod tests;

//! Measures the processor time of a request, as a ratio to a baseline in the same run, and counts
//! its allocations. Only the client's thread counts. Exits with 1 if a figure is above its bound.
#![expect(clippy::print_stdout, reason = "the figures are for a terminal")]

mod allocations;
mod bare;
mod signing;

use std::{
    error::Error,
    fmt::Display,
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderName, HeaderValue, Request, Uri};
use job_model::JobId;
use job_sim::{Plan, Sim, SimServer, TimeSource};
use job_transport::{
    Client, Credentials,
    hyper::{HyperTransport, TlsConfig, TlsProvider},
    transport::Transport,
};
use rustix::time::{ClockId, clock_gettime};
use tokio::{runtime, sync::oneshot};

/// Number of rounds. Each measurement runs once per round, and the fastest round counts, because
/// other programs on the machine only add time, and add more to memory access than to hashing.
const ROUNDS: usize = 15;

/// Number of requests of a measurement in a round, and of concurrent requests.
const REQUESTS: usize = 2_000;
const CONCURRENCY: usize = 20;

/// The bounded ratios: measurement, baseline, and maximum ratio.
const MAX_RATIOS: [(&str, &str, f64); 2] =
    [("HyperTransport", "bare hyper-util", 1.10), ("sign", "SHA-256 and HMAC", 2.0)];

/// The ratios without a bound: measurement and baseline.
const UNBOUNDED_RATIOS: [(&str, &str); 2] =
    [("Client, token", "HyperTransport"), ("Client, signing", "HyperTransport")];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let service = Service::start()?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let targets = Targets::new(&service)?;
    let rounds = runtime.block_on(run(&targets))?;
    let is_within = report(&rounds) & allocations::report(&runtime, &targets)?;
    drop(targets);
    drop(service);
    Ok(if is_within { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The result of each measurement in a round, in nanoseconds per operation.
type Round = Vec<(&'static str, f64)>;

const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// The ways to send a request that are measured.
struct Targets {
    job: JobId,
    uri: Uri,
    bare: bare::Bare,
    transport: HyperTransport,
    with_token: Client,
    with_key: Client,
}

const TARGETS: [&str; 4] =
    ["bare hyper-util", "HyperTransport", "Client, token", "Client, signing"];

impl Targets {
    fn new(service: &Service) -> Result<Self, Box<dyn Error>> {
        let Service { sim, endpoint, ca_pem, .. } = service;
        let transport = || {
            let tls = TlsConfig::ca_pem(TlsProvider::aws_lc_rs(), ca_pem)?;
            Ok::<_, Box<dyn Error>>(HyperTransport::new(tls))
        };
        let client = |credentials: Credentials| -> Result<_, Box<dyn Error>> {
            let client = Client::new(endpoint.parse()?, credentials, transport()?);
            Ok(client.project(sim.project().clone()))
        };
        let uri = format!("{endpoint}/api/v3/projects/{}/jobs/{}", sim.project(), sim.job());
        Ok(Self {
            job: sim.job().clone(),
            uri: uri.parse()?,
            bare: bare::client(ca_pem)?,
            transport: transport()?,
            with_token: client(sim.credentials())?,
            with_key: client(Credentials::access_key(sim.access_key()))?,
        })
    }

    fn request(&self) -> Request<Bytes> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = self.uri.clone();
        let mut token = HeaderValue::from_static(TOKEN);
        token.set_sensitive(true);
        request.headers_mut().insert(X_AUTH_TOKEN, token);
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert("content-type", json);
        request
    }

    /// Sends [`CONCURRENCY`] requests to one of the [`TARGETS`], and returns their processor time.
    async fn batch(&self, target: usize) -> Result<f64, Box<dyn Error>> {
        match target {
            0 => batch(|| bare::get(&self.bare, self.request())).await,
            1 => batch(|| self.transport.send(self.request())).await,
            2 => batch(|| self.with_token.job(&self.job)).await,
            _ => batch(|| self.with_key.job(&self.job)).await,
        }
    }
}

async fn run(targets: &Targets) -> Result<Vec<Round>, Box<dyn Error>> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut times = [0.0; 4];
        // The measurements alternate, so that a machine that slows down affects all of them.
        for _ in 0..REQUESTS / CONCURRENCY {
            for (target, time) in times.iter_mut().enumerate() {
                *time += targets.batch(target).await?;
            }
        }
        let times = times.map(|time| time / REQUESTS as f64);
        let mut round: Round = TARGETS.into_iter().zip(times).collect();
        // In a new thread, so that the memory state after the requests does not affect it.
        let signed = thread::spawn(|| signing::round().map_err(|error| error.to_string()));
        round.extend(signed.join().map_err(|_| "the signing panicked")??);
        rounds.push(round);
    }
    Ok(rounds)
}

/// The token that the simulated service accepts.
const TOKEN: &str = "simulated-token/+=";

/// Sends [`CONCURRENCY`] requests at a time, and returns their processor time.
async fn batch<T, E, F>(request: impl Fn() -> F) -> Result<f64, Box<dyn Error>>
where
    F: Future<Output = Result<T, E>>,
    E: Display,
{
    let before = processor_time();
    for reply in join_all((0..CONCURRENCY).map(|_| request())).await {
        reply.map_err(|error| error.to_string())?;
    }
    Ok(processor_time() - before)
}

/// Returns the processor time of this thread, in nanoseconds.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// The simulated service, in its own thread until it is dropped.
struct Service {
    sim: Arc<Sim>,
    endpoint: String,
    ca_pem: Vec<u8>,
    _alive: oneshot::Sender<()>,
}

impl Service {
    fn start() -> Result<Self, Box<dyn Error>> {
        let (tell, told) = mpsc::channel();
        let (alive, dead) = oneshot::channel::<()>();
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let served = runtime.map(|runtime| {
                runtime.block_on(async {
                    let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
                    let server = SimServer::start(sim.clone()).await;
                    let _ = tell.send(
                        server
                            .as_ref()
                            .ok()
                            .map(|server| (sim, server.endpoint(), server.ca_pem().to_vec())),
                    );
                    // The server is dropped when the benchmark ends.
                    let _ = dead.await;
                });
            });
            drop(served);
        });
        let (sim, endpoint, ca_pem) = told.recv()?.ok_or("the service does not start")?;
        Ok(Self { sim, endpoint, ca_pem, _alive: alive })
    }
}

/// Prints the figures; returns whether each ratio is within its bound.
fn report(rounds: &[Round]) -> bool {
    let fastest = |name: &str| -> f64 {
        let times = rounds.iter().flatten().filter(|(known, _)| *known == name);
        times.map(|(_, time)| *time).fold(f64::INFINITY, f64::min)
    };
    println!("the fastest of {ROUNDS} rounds, processor time of the client's thread");
    for (name, _) in &rounds[0] {
        println!("{name:>20} {:>10.0} ns", fastest(name));
    }
    println!("\nratios");
    let mut within = true;
    for (name, other, bound) in MAX_RATIOS {
        let ratio = fastest(name) / fastest(other);
        let verdict = if ratio <= bound { "ok" } else { "ABOVE ITS BOUND" };
        println!("{:>50} {ratio:>6.3} (at most {bound}) {verdict}", format!("{name} / {other}"));
        within &= ratio <= bound;
    }
    for (name, other) in UNBOUNDED_RATIOS {
        let ratio = fastest(name) / fastest(other);
        println!("{:>50} {ratio:>6.3} (no bound)", format!("{name} / {other}"));
    }
    within
}

//! Measures `cce-job wait` with many jobs on a pseudo-terminal: requests per second, processor time,
//! memory, output, and the times until the first request and from a signal to the exit. The service
//! is simulated in this process. Exits with 1 if a figure is out of its bounds. Needs Linux.
#![expect(clippy::print_stdout, reason = "the figures are for a terminal")]

mod process;

use std::{fs, io, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use job_sim::{Plan, Sim, SimServer, TimeSource};
use job_transport::clock::{Clock, TokioClock};
use tempfile::{TempDir, tempdir};
use tokio::runtime::Runtime;

use process::{Options, Process};

/// The jobs of the runs that measure the waits, and those of the runs that measure the start. Polling
/// 80,000 jobs once takes almost half an hour.
const JOBS: usize = 20_000;
const JOBS_AT_START: usize = 80_000;

/// The request budget of the command.
const REQUESTS_PER_SECOND: f64 = 50.0;

/// The command must use this share of its budget, with or without the tree. The rest is for requests
/// at the start and the end of a measurement.
const MIN_USED_BUDGET: f64 = 0.97;

/// Maximum processor time, as a share of one core. Drawing may take 2 %, and polling takes about as
/// much on a slow core.
const MAX_PROCESSOR_SHARE: f64 = 0.05;

/// Maximum memory with 20,000 waits, as in the test with 1,000 waits. Most of it is code and TLS.
const MAX_MEMORY_KIB: u64 = 100 << 10;

/// Maximum time until the first request of 80,000 waits that are resumed from a file. A user expects
/// progress after a few seconds.
const MAX_START: Duration = Duration::from_secs(5);

/// A thread ends the command this long after a signal, even if the checkpoint is not complete.
const MAX_EXIT: Duration = Duration::from_secs(2);

/// The time before a measurement, in which the waits start, and the time of the measurement.
const WARM_UP: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(15);

/// Maximum number of measurements of a run that is out of its bounds. Only if every measurement is,
/// the command is slow, and not the machine.
const MAX_MEASUREMENTS: usize = 3;

const RUNS: [Options; 5] = [
    Options { progress: "none", with_checkpoint: false, max_descriptors: None },
    Options { progress: "tree", with_checkpoint: false, max_descriptors: None },
    Options { progress: "none", with_checkpoint: true, max_descriptors: None },
    Options { progress: "tree", with_checkpoint: true, max_descriptors: None },
    Options { progress: "tree", with_checkpoint: true, max_descriptors: Some(256) },
];

fn main() -> io::Result<ExitCode> {
    let runtime = Runtime::new()?;
    let mut failed = measure_runs(&Service::new(&runtime, JOBS)?)?;
    failed += measure_start(&Service::new(&runtime, JOBS_AT_START)?)?;
    println!("{failed} out of bounds");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A service with jobs that do not end.
struct Service {
    sim: Arc<Sim>,
    server: SimServer,
    folder: TempDir,
}

impl Service {
    fn new(runtime: &Runtime, jobs: usize) -> io::Result<Self> {
        let plan = || Plan::create_cluster().slower(1_000);
        let sim = Arc::new(Sim::new(plan(), TimeSource::Clock));
        let more = (1..jobs).map(|_| sim.add(plan()));
        let ids: String =
            [sim.job().clone()].into_iter().chain(more).map(|id| format!("{id}\n")).collect();
        let server = runtime.block_on(SimServer::start(sim.clone()))?;
        let folder = tempdir()?;
        fs::write(folder.path().join("ids"), ids)?;
        fs::write(folder.path().join("ca.pem"), server.ca_pem())?;
        Ok(Self { sim, server, folder })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn checkpoint(&self) -> PathBuf {
        self.file("wait.json")
    }

    fn start(&self, options: &Options) -> io::Result<Process> {
        Process::start(self, options)
    }

    /// Waits until the service has received another request, and returns how long that took.
    fn time_to_request(&self, process: &mut Process) -> io::Result<Duration> {
        let (clock, before) = (TokioClock::new(), self.sim.requests());
        let start = clock.monotonic();
        while self.sim.requests() == before {
            process.check_running()?;
            pause(Duration::from_millis(1));
        }
        Ok(clock.monotonic().saturating_sub(start))
    }
}

/// Measures waits with each of the options. Returns the number of runs that are out of bounds.
fn measure_runs(service: &Service) -> io::Result<u32> {
    println!("{JOBS} jobs, at most {REQUESTS_PER_SECOND} requests per second");
    println!(
        "progress  checkpoint  descriptors  requests/s    CPU    memory  output/s  exit after"
    );
    let mut failed = 0;
    for options in RUNS {
        let mut run = measure_run(service, &options)?;
        for _ in 1..MAX_MEASUREMENTS {
            if run.is_within_bounds() {
                break;
            }
            run = measure_run(service, &options)?;
        }
        let Options { progress, with_checkpoint, max_descriptors } = options;
        let Run { requests, share, memory_kib, output, exit } = run;
        println!(
            "{progress:8}  {:10}  {:>11}  {requests:>10.1}  {:>4.1}%  {:>4} MiB  {:>5.1} kB  {:>8.2} s{}",
            if with_checkpoint { "yes" } else { "no" },
            max_descriptors.map_or_else(|| "-".into(), |max| max.to_string()),
            100.0 * share,
            memory_kib >> 10,
            output / 1e3,
            exit.as_secs_f64(),
            if run.is_within_bounds() { "" } else { "  OUT OF BOUNDS" },
        );
        failed += u32::from(!run.is_within_bounds());
    }
    Ok(failed)
}

/// What a run used.
#[derive(Clone, Copy)]
struct Run {
    /// Requests per second.
    requests: f64,
    /// The processor time, as a share of one core.
    share: f64,
    memory_kib: u64,
    /// Bytes per second that were written to the terminal.
    output: f64,
    /// The time from SIGTERM to the exit.
    exit: Duration,
}

impl Run {
    fn is_within_bounds(&self) -> bool {
        self.requests >= MIN_USED_BUDGET * REQUESTS_PER_SECOND
            && self.share <= MAX_PROCESSOR_SHARE
            && self.memory_kib <= MAX_MEMORY_KIB
            && self.exit <= MAX_EXIT
    }
}

fn measure_run(service: &Service, options: &Options) -> io::Result<Run> {
    let clock = TokioClock::new();
    let mut process = service.start(options)?;
    service.time_to_request(&mut process)?;
    pause(WARM_UP);
    let sample = |process: &Process| -> io::Result<_> {
        let (requests, output) = (f64::from(service.sim.requests()), process.output());
        Ok((clock.monotonic(), requests, process.processor_time()?, output))
    };
    let before = sample(&process)?;
    pause(MEASURED);
    let after = sample(&process)?;
    let memory_kib = process.peak_memory_kib()?;
    let seconds = after.0.saturating_sub(before.0).as_secs_f64();
    let exit = process.stop()?;
    if options.with_checkpoint {
        fs::remove_file(service.checkpoint())?;
    }
    Ok(Run {
        requests: (after.1 - before.1) / seconds,
        share: after.2.saturating_sub(before.2).as_secs_f64() / seconds,
        memory_kib,
        output: (after.3 - before.3) as f64 / seconds,
        exit,
    })
}

/// Measures the time until the first request, without a checkpoint file and resumed from one.
/// Returns the number of times that are out of bounds.
fn measure_start(service: &Service) -> io::Result<u32> {
    println!("\n{JOBS_AT_START} jobs: time until the first request");
    let without = Options { progress: "tree", with_checkpoint: false, max_descriptors: None };
    let with = Options { with_checkpoint: true, ..without };
    let mut failed = 0;
    for (name, options) in [("without a file", without), ("new file", with), ("resumed", with)] {
        let len = fs::metadata(service.checkpoint()).map_or(0, |file| file.len());
        let mut process = service.start(&options)?;
        let time = service.time_to_request(&mut process)?;
        // The file then also has states with jobs.
        pause(WARM_UP);
        let exit = process.stop()?;
        let is_slow = time > MAX_START || exit > MAX_EXIT;
        failed += u32::from(is_slow);
        println!(
            "{name:16} {:>6.2} s  (file of {:>5.1} MB; exit after {:.2} s){}",
            time.as_secs_f64(),
            len as f64 / 1e6,
            exit.as_secs_f64(),
            if is_slow { "  OUT OF BOUNDS" } else { "" },
        );
    }
    Ok(failed)
}

#[expect(clippy::disallowed_methods, reason = "another process runs in real time")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

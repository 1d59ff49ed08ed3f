//! Measures the resident memory of many waits on hostile replies of 8 MiB. Exits with 1 if it
//! exceeds its bound.
//!
//! Each row runs in a process of its own, because the peak of a process never falls.
#![expect(clippy::print_stdout, reason = "the table is for a terminal")]

use std::{
    env, fs, io,
    process::{Command, ExitCode},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::future::join_all;
use http::{Request, Response};
use job_model::JobId;
use job_poller::{Wait, schedule::Fixed};
use job_transport::{
    Client, Credentials,
    transport::{Transport, TransportError},
};

/// Number of waits.
const WAITS: usize = 40;

/// Size of a reply, in bytes: the maximum of a body.
const BODY_BYTES: usize = 8 << 20;

/// Maximum peak of the resident memory, in MiB.
const MAX_PEAK_MIB: u64 = 600;

/// Number of replies after which a job ends, in the rows with that end.
const REPLIES: u32 = 3;

/// The shapes of replies: a name, and the text that is repeated inside the job's `spec`.
const SHAPES: &[(&str, &str, Unit, &str)] = &[
    ("one long text", "\"text\": \"", Unit::Fixed("x"), "\""),
    ("tiny unknown fields", "", Unit::Numbered("\"#\":1,"), "\"last\": 1"),
    ("parameters", "\"extendParam\": {", Unit::Numbered("\"#\":\"\","), "\"last\": \"\"}"),
    ("a long list", "\"list\": [", Unit::Fixed("[],"), "1]"),
    (
        "sub-jobs with long reasons",
        "\"subJobs\": [",
        Unit::Fixed(concat!(
            r#"{"metadata": {"uid": "a"}, "status": {"phase": "Failed", "reason": ""#,
            "................................................................................",
            "................................................................................",
            "................................................................................",
            "................................................................................",
            "................................................................................",
            "................................................................................",
            "................................................................................",
            "................................................................................",
            "................................................................................",
            "................................................................................",
            r#""}},"#
        )),
        "{}]",
    ),
];

/// A text that is repeated, with a number in place of `#`.
#[derive(Clone, Copy)]
enum Unit {
    Fixed(&'static str),
    Numbered(&'static str),
}

/// A service whose replies all have the same shape, and differ in one number.
struct Service {
    /// The parts of a reply: before and after the phase and the number.
    before: &'static str,
    after: String,
    ends: bool,
    replies: AtomicU32,
}

impl Service {
    fn new(shape: usize, ends: bool) -> Self {
        let (_, start, unit, end) = SHAPES[shape];
        let (Unit::Fixed(text) | Unit::Numbered(text)) = unit;
        let longest = text.len() + 10 + end.len() + 200;
        let mut after = format!(r#""}}, "spec": {{{start}"#);
        let mut count = 0_u32;
        while after.len() + longest < BODY_BYTES {
            match unit {
                Unit::Fixed(text) => after.push_str(text),
                Unit::Numbered(text) => after.push_str(&text.replace('#', &count.to_string())),
            }
            count += 1;
        }
        let (before, after) = (r#"{"status": {"phase": ""#, after + end + "}}");
        Self { before, after, ends, replies: AtomicU32::new(0) }
    }

    fn body(&self) -> String {
        let number = self.replies.fetch_add(1, Ordering::Relaxed);
        let has_ended = self.ends && number >= REPLIES * u32::try_from(WAITS).unwrap_or(u32::MAX);
        let phase = if has_ended { "Failed" } else { "Running" };
        let number = number.to_string();
        [self.before, phase, r#"", "message": ""#, &number, &self.after].concat()
    }
}

impl Transport for Service {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async { Ok(Response::new(self.body().into())) })
    }
}

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [shape, ends] = &arguments[..] {
        return run(shape.parse().map_err(io::Error::other)?, ends == "true");
    }
    println!("{WAITS} waits, replies of 8 MiB, memory limit 256 MiB; bound {MAX_PEAK_MIB} MiB");
    println!("{:<28} {:<8} {:>10} {:>10}", "shape", "job", "peak MiB", "truncated");
    let mut exceeded = 0;
    for (index, (name, ..)) in SHAPES.iter().enumerate() {
        for (ends, job) in [(false, "running"), (true, "ended")] {
            let run = Command::new(env::current_exe()?)
                .args([index.to_string(), ends.to_string()])
                .output()?;
            let output = String::from_utf8_lossy(&run.stdout);
            let numbers: Vec<u64> =
                output.split(' ').filter_map(|text| text.trim().parse().ok()).collect();
            let [peak, truncated] = numbers[..] else {
                return Err(io::Error::other(String::from_utf8_lossy(&run.stderr)));
            };
            exceeded += u32::from(peak > MAX_PEAK_MIB);
            let mark = if peak > MAX_PEAK_MIB { " TOO MUCH" } else { "" };
            println!("{name:<28} {job:<8} {peak:>10} {truncated:>10}{mark}");
        }
    }
    Ok(if exceeded == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one row, and prints the peak in MiB and the number of results that are truncated.
fn run(shape: usize, ends: bool) -> io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let truncated = runtime.block_on(async {
        let service = Service::new(shape, ends);
        let credentials = Credentials::token("token").map_err(io::Error::other)?;
        let endpoint = "https://cce.example".parse().map_err(io::Error::other)?;
        let project = "p".parse().map_err(io::Error::other)?;
        let client = Client::new(endpoint, credentials, service).project(project);
        let waits = (0..WAITS).map(|number| {
            let id: JobId = format!("job-{number}").parse().map_err(io::Error::other)?;
            let schedule = Fixed::new(Duration::from_secs(2));
            let timeout = Duration::from_secs(if ends { 600 } else { 11 });
            let wait = Wait::new(client.clone(), id).schedule(schedule).timeout(timeout);
            Ok(tokio::spawn(wait))
        });
        let waits: Vec<_> = waits.collect::<io::Result<_>>()?;
        let results = join_all(waits).await;
        // All results are kept until here, as a caller may keep them.
        Ok::<_, io::Error>(
            results
                .iter()
                .flatten()
                .filter(|result| match result {
                    Ok(finished) => finished.is_truncated,
                    Err(error) => error.is_truncated(),
                })
                .count(),
        )
    })?;
    let status = fs::read_to_string("/proc/self/status")?;
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
    let peak: u64 = peak.and_then(|peak| peak.parse().ok()).unwrap_or(u64::MAX);
    println!("{} {truncated}", peak / 1024);
    Ok(ExitCode::SUCCESS)
}

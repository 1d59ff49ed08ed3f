//! What a wait costs, as ratios to a loop written by hand that does the same work, measured in one
//! run: processor time a poll, and heap a wait; and by how much a deadline is overshot. Exits with 1
//! where a figure is above its bound.
#![expect(clippy::print_stdout, reason = "the figures are for a terminal")]

mod contenders;

use std::{error::Error, process::ExitCode, sync::Arc, time::Duration};

use bytes::Bytes;
use job_model::{Job, JobId};
use job_poller::Wait;
use job_sim::Plan;
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};
use tokio::{runtime, task::JoinHandle, time::Instant};

use contenders::{Service, Silent};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// How many waits go on at once, and in how many rounds each contender runs them. It counts by its
/// fastest round: what else runs on the machine only ever adds.
const CASES: [(usize, usize); 2] = [(10_000, 7), (100_000, 3)];

/// The most that a poll may take of what it takes the loop written by hand.
const MOST_TIME: f64 = 1.4;

/// The most bytes of heap that a wait may take in a pause, its task included, and its last job not.
const MOST_HEAP: f64 = 768.0;

/// The most by which a deadline may be overshot.
const MOST_OVERSHOOT: Duration = Duration::from_millis(20);

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // The reference page's example in the middle of its course: two sub-jobs, 1 KiB.
    let running = serde_json::to_vec(&Plan::create_cluster().job_at(Duration::from_secs(3)))?;
    let running = Bytes::from(running);
    let mut within = true;
    for (waits, rounds) in CASES {
        within &= cost(waits, rounds, &running)?;
    }
    within &= overshoot()?;
    Ok(if within { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what polls and waits cost; returns whether that is within the bounds.
fn cost(waits: usize, rounds: usize, running: &Bytes) -> Result<bool, Box<dyn Error>> {
    let job = job_bytes(running)?;
    println!("{waits} waits at once; the fastest of {rounds} rounds; a job of {job:.0} bytes");
    let contenders: [(&str, &Measure<'_>); 3] = [
        ("Wait", &|| measure(waits, running, contenders::wait)),
        ("by hand", &|| measure(waits, running, contenders::by_hand)),
        ("backon", &|| measure(waits, running, contenders::with_backon)),
    ];
    let mut costs = [Cost { nanoseconds: f64::INFINITY, bytes: 0.0 }; 3];
    for _ in 0..rounds {
        // By turns, so that a machine that slows down slows all of them.
        for ((_, measure), cost) in contenders.iter().zip(&mut costs) {
            let round = measure()?;
            cost.nanoseconds = cost.nanoseconds.min(round.nanoseconds);
            cost.bytes = round.bytes;
        }
    }
    for ((name, _), Cost { nanoseconds, bytes }) in contenders.iter().zip(costs) {
        println!("{name:>20} {nanoseconds:>8.0} ns a poll {bytes:>8.0} bytes a wait");
    }
    let [wait, by_hand, ..] = costs;
    let time = verdict("Wait / by hand", wait.nanoseconds / by_hand.nanoseconds, MOST_TIME);
    let heap = verdict("bytes a wait, without its job", wait.bytes - job, MOST_HEAP);
    println!();
    Ok(time && heap)
}

type Measure<'a> = dyn Fn() -> Result<Cost, Box<dyn Error>> + 'a;

#[derive(Clone, Copy)]
struct Cost {
    nanoseconds: f64,
    bytes: f64,
}

/// Lets so many waits go on for half a minute, on a paused clock, in one thread.
fn measure<T, E: Into<Box<dyn Error>>>(
    waits: usize,
    running: &Bytes,
    start: impl Fn(Arc<Service>, JobId) -> JoinHandle<Result<T, E>>,
) -> Result<Cost, Box<dyn Error>> {
    let runtime =
        runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let id = contenders::id()?;
    let heap = HEAP.current_usage();
    let before = processor_time();
    let (polls, bytes) = runtime.block_on(async {
        let service = Arc::new(Service::new(running.clone()));
        let start = |_| start(service.clone(), id.clone());
        let mut tasks: Vec<_> = (0..waits).map(start).collect();
        let list = tasks.capacity() * size_of_val(&tasks[0]);
        #[expect(
            clippy::disallowed_methods,
            reason = "to look at the heap in the middle of a pause"
        )]
        tokio::time::sleep(Duration::from_millis(5500)).await;
        let bytes = (HEAP.current_usage() - heap - list) as f64 / waits as f64;
        for task in tasks.drain(..) {
            task.await?.map_err(Into::into)?;
        }
        Ok::<_, Box<dyn Error>>((service.polls(), bytes))
    })?;
    let nanoseconds = (processor_time() - before) / f64::from(polls);
    Ok(Cost { nanoseconds, bytes })
}

/// Returns the heap that a job takes which was read, on average.
fn job_bytes(running: &[u8]) -> Result<f64, Box<dyn Error>> {
    const MANY: usize = 1000;
    let before = HEAP.current_usage();
    let jobs = (0..MANY).map(|_| Job::from_slice(running).map(Box::new));
    let jobs = jobs.collect::<Result<Vec<_>, _>>()?;
    let list = jobs.capacity() * size_of_val(&jobs[0]);
    Ok((HEAP.current_usage() - before - list) as f64 / MANY as f64)
}

/// Prints by how much deadlines are overshot, on a paused clock and on a real one; returns whether
/// that is nothing, and little.
fn overshoot() -> Result<bool, Box<dyn Error>> {
    println!("30 deadlines of 50 to 95 ms, with an attempt in flight; the worst");
    let milliseconds = |span: Duration| span.as_secs_f64() * 1e3;
    let worst = |paused| {
        let mut runtime = runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(paused).build()?;
        runtime.block_on(worst_overshoot())
    };
    let paused = verdict("ms overshot, paused clock", milliseconds(worst(true)?), 0.0);
    let real = worst(false)?;
    Ok(verdict("ms overshot", milliseconds(real), milliseconds(MOST_OVERSHOOT)) && paused)
}

async fn worst_overshoot() -> Result<Duration, Box<dyn Error>> {
    let mut worst = Duration::ZERO;
    for timeout in (50..100).step_by(5).cycle().take(30).map(Duration::from_millis) {
        let wait = Wait::new(Silent, contenders::id()?).timeout(timeout);
        #[expect(clippy::disallowed_methods, reason = "what is measured")]
        let began = Instant::now();
        if wait.await.is_ok() {
            return Err("the service is silent".into());
        }
        worst = worst.max(began.elapsed().saturating_sub(timeout));
    }
    Ok(worst)
}

/// Prints a figure and its bound; returns whether it is within.
fn verdict(what: &str, figure: f64, most: f64) -> bool {
    let within = figure <= most;
    let verdict = if within { "ok" } else { "ABOVE ITS BOUND" };
    println!("{what:>40} {figure:>8.3} (at most {most}) {verdict}");
    within
}

/// Returns the processor time of this thread, in nanoseconds.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

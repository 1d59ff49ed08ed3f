//! Measures the cost of a wait: the processor time per poll, the heap per wait, and how late a wait
//! ends after its deadline. The processor time is given as a ratio to a hand-written loop that does
//! the same work in the same run. Exits with 1 if a result exceeds its bound. With the argument
//! `observers` it measures only what observers and spans add.
#![expect(clippy::print_stdout, reason = "prints the results")]

#[path = "../common/bounds.rs"]
mod bounds;
#[path = "../common/clock.rs"]
mod clock;
mod baselines;
mod observers;

use std::{
    env,
    error::Error,
    process::ExitCode,
    sync::{Arc, LazyLock},
    time::Duration,
};

use bytes::Bytes;
use job_model::{IdError, JobId};
use job_poller::{Wait, fleet::FleetWait};
use job_sim::Plan;
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use tokio::{runtime, task::JoinHandle, time::Instant};

use baselines::{Service, Silent};
use bounds::Bounds;
use clock::processor_time;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// The number of concurrent waits, and the number of rounds for each baseline. The fastest round
/// counts, because other load on the machine only adds time.
const FEW_WAITS: Waits = Waits { count: 1_000, rounds: 40 };
const MANY_WAITS: Waits = Waits { count: 100_000, rounds: 3 };

/// The maximum processor time of a poll, as a multiple of that of a hand-written loop, which
/// decodes each reply. `Wait` does not decode a reply that equals the last one.
const MAX_UNCHANGED_TIME_RATIO: f64 = 0.5;
const MAX_CHANGED_TIME_RATIO: f64 = 1.3;

/// The same for many waits. A wait keeps 2 KB between polls and the loop keeps 400 bytes, so the
/// waits no longer fit into the processor's caches.
const MAX_UNCACHED_TIME_RATIO: f64 = 1.6;
const MAX_UNCACHED_UNCHANGED_TIME_RATIO: f64 = 0.6;
const MAX_UNCACHED_LEARNED_TIME_RATIO: f64 = 2.3;

/// The same if each reply has another phase, which an event reports. This decodes the last job
/// again.
const MAX_NEW_PHASE_TIME_RATIO: f64 = 2.8;

/// The maximum heap of a wait during a delay, in bytes. This includes its task and excludes the
/// text of its last job.
const MAX_HEAP_BYTES: f64 = 790.0;

/// The same for a wait in a fleet, which needs no task of its own.
const MAX_FLEET_TIME_RATIO: f64 = 1.8;
const MAX_FLEET_HEAP_BYTES: f64 = 663.0;

/// The maximum time by which a wait may exceed its deadline.
const MAX_OVERSHOOT: Duration = Duration::from_millis(20);

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // The reference page's example halfway through: two sub-jobs, 1 KiB. It has no uid, because all
    // waits share it.
    let mut example = Plan::create_cluster().job_at(Duration::from_secs(3));
    example.metadata.get_or_insert_default().uid = None;
    let example = serde_json::to_value(&example)?;
    let mut bounds = Bounds::new();
    if env::args().any(|argument| argument == "observers") {
        observers::cost(MANY_WAITS.count, &bodies(&example, Change::Time)?, &mut bounds)?;
        return Ok(bounds.exit_code());
    }
    let cases = [
        (
            FEW_WAITS,
            "the reference example",
            &example,
            &[Change::None, Change::Time, Change::Phase][..],
        ),
        (FEW_WAITS, "20 nodes", &twenty_nodes(), &[Change::None, Change::Time, Change::Phase]),
        (MANY_WAITS, "the reference example", &example, &[Change::None, Change::Time]),
    ];
    for (waits, name, body, changes) in cases {
        for change in changes {
            cost(waits, name, *change, &bodies(body, *change)?, &mut bounds)?;
        }
    }
    observers::cost(MANY_WAITS.count, &bodies(&example, Change::Time)?, &mut bounds)?;
    overshoot(&mut bounds)?;
    Ok(bounds.exit_code())
}

/// Returns a job that adds 20 nodes.
fn twenty_nodes() -> Value {
    let node = |number: u32| {
        json!({
            "kind": "Job",
            "apiVersion": "v3",
            "metadata": {
                "uid": format!("{number:08}-229a-11e8-9c75-0255ac100ceb"),
                "creationTimestamp": "2018-03-01 07:06:12.3 +0000 UTC",
                "updateTimestamp": "2018-03-01 07:08:12.3 +0000 UTC",
            },
            "spec": {
                "type": "CreateNode",
                "clusterUID": "4d1ecb2c-229a-11e8-9c75-0255ac100ceb",
                "resourceName": format!("pool-blue-{number:02}"),
            },
            "status": {"phase": "Running"},
        })
    };
    json!({
        "kind": "Job",
        "apiVersion": "v3",
        "metadata": {"creationTimestamp": "2018-03-01 07:06:12.3 +0000 UTC"},
        "spec": {"type": "ScaleupCluster", "subJobs": (0..20).map(node).collect::<Vec<_>>()},
        "status": {"phase": "Running"},
    })
}

/// What differs between a reply and the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    /// The `updateTimestamp`.
    Time,
    /// The `updateTimestamp`, and the phase of a sub-job.
    Phase,
}

/// Returns the bodies of a running job, one for each second.
fn bodies(body: &Value, change: Change) -> Result<Arc<[Bytes]>, Box<dyn Error>> {
    let body = |second: u32| {
        let mut body = body.clone();
        let updated = format!("2018-03-01 08:00:{second:02}.3 +0000 UTC");
        body["metadata"]["updateTimestamp"] = updated.into();
        if change == Change::Phase {
            let phase = if second.is_multiple_of(2) { "Running" } else { "Initializing" };
            body["spec"]["subJobs"][0]["status"]["phase"] = phase.into();
        }
        Ok(Bytes::from(serde_json::to_vec(&body)?))
    };
    (0..if change == Change::None { 1 } else { 40 }).map(body).collect()
}

/// The number of concurrent waits, and the number of measurements.
#[derive(Clone, Copy)]
struct Waits {
    count: usize,
    rounds: usize,
}

/// Measures the cost of polls and waits, and checks the bounds.
fn cost(
    Waits { count: waits, rounds }: Waits,
    name: &str,
    change: Change,
    running: &Arc<[Bytes]>,
    bounds: &mut Bounds,
) -> Result<(), Box<dyn Error>> {
    // A wait keeps the text of its last job.
    let job = running[0].len() as f64;
    println!(
        "{waits} waits at once; the fastest of {rounds} rounds; {name}: {job:.0} bytes; change: {change:?}"
    );
    let measures: [(&str, &Measure<'_>); 5] = [
        ("Wait", &|| {
            measure(SHARED_JOB_ID, waits, running, |service| {
                move |id| await_task(baselines::wait(service.clone(), id))
            })
        }),
        ("by hand", &|| {
            measure(SHARED_JOB_ID, waits, running, |service| {
                move |id| await_task(baselines::hand_written_loop(service.clone(), id))
            })
        }),
        ("backon", &|| {
            measure(SHARED_JOB_ID, waits, running, |service| {
                move |id| await_task(baselines::with_backon(service.clone(), id))
            })
        }),
        ("Fleet", &|| {
            measure(DISTINCT_JOB_IDS, waits, running, |service| {
                let fleet = baselines::fleet(service);
                move |id| await_watch(fleet.watch(id))
            })
        }),
        ("Fleet, learned", &|| {
            measure(DISTINCT_JOB_IDS, waits, running, |service| {
                let fleet = baselines::fleet_with_history(service);
                move |id| await_watch(fleet.watch(id))
            })
        }),
    ];
    let mut costs = [Cost { nanoseconds: f64::INFINITY, bytes: 0.0 }; 5];
    for _ in 0..rounds {
        // The baselines alternate, so that a slowdown of the machine affects all of them.
        for ((_, measure), cost) in measures.iter().zip(&mut costs) {
            let round = measure()?;
            cost.nanoseconds = cost.nanoseconds.min(round.nanoseconds);
            cost.bytes = round.bytes;
        }
    }
    for ((name, _), Cost { nanoseconds, bytes }) in measures.iter().zip(costs) {
        println!("{name:>20} {nanoseconds:>8.0} ns a poll {bytes:>8.0} bytes a wait");
    }
    let [wait, by_hand, _, fleet, learned] = costs;
    let mut check_max = |what: &str, figure, max| bounds.check(what, figure, 0.0..=max);
    let is_cached = waits == FEW_WAITS.count;
    let [max_ratio, max_fleet_ratio, max_learned_ratio] = match change {
        Change::None if is_cached => {
            [MAX_UNCHANGED_TIME_RATIO, MAX_UNCHANGED_TIME_RATIO, MAX_FLEET_TIME_RATIO]
        }
        Change::None => {
            [MAX_UNCACHED_UNCHANGED_TIME_RATIO, MAX_UNCHANGED_TIME_RATIO, MAX_FLEET_TIME_RATIO]
        }
        Change::Time if is_cached => {
            [MAX_CHANGED_TIME_RATIO, MAX_FLEET_TIME_RATIO, MAX_FLEET_TIME_RATIO]
        }
        Change::Time => {
            [MAX_UNCACHED_TIME_RATIO, MAX_FLEET_TIME_RATIO, MAX_UNCACHED_LEARNED_TIME_RATIO]
        }
        Change::Phase => [MAX_NEW_PHASE_TIME_RATIO; 3],
    };
    check_max("Wait / by hand", wait.nanoseconds / by_hand.nanoseconds, max_ratio);
    check_max("bytes a wait, without its job", wait.bytes - job, MAX_HEAP_BYTES);
    let fleets =
        [("Fleet", fleet, max_fleet_ratio), ("Fleet, learned", learned, max_learned_ratio)];
    for (name, fleet, max_ratio) in fleets {
        let time = fleet.nanoseconds / by_hand.nanoseconds;
        check_max(&format!("{name} / by hand"), time, max_ratio);
        check_max(
            &format!("bytes of it, without its job ({name})"),
            fleet.bytes - job,
            MAX_FLEET_HEAP_BYTES,
        );
    }
    println!();
    Ok(())
}

type Measure<'a> = dyn Fn() -> Result<Cost, Box<dyn Error>> + 'a;

/// Returns the job id of a wait. A fleet merges waits with the same id, so its waits have distinct
/// ids.
const SHARED_JOB_ID: fn(usize) -> Result<JobId, IdError> = |_| ID.clone();
const DISTINCT_JOB_IDS: fn(usize) -> Result<JobId, IdError> = baselines::id;

static ID: LazyLock<Result<JobId, IdError>> = LazyLock::new(|| baselines::id(0));

/// Waits for a job in a fleet.
async fn await_watch(watch: FleetWait) -> Result<(), Box<dyn Error>> {
    Ok(watch.await.map(drop)?)
}

/// Waits for a task to end.
async fn await_task<T, E: Into<Box<dyn Error>>>(
    task: JoinHandle<Result<T, E>>,
) -> Result<(), Box<dyn Error>> {
    task.await?.map(drop).map_err(Into::into)
}

#[derive(Clone, Copy)]
struct Cost {
    nanoseconds: f64,
    bytes: f64,
}

/// Runs `waits` waits for half a minute of paused time in one thread.
fn measure<S, F>(
    ids: fn(usize) -> Result<JobId, IdError>,
    waits: usize,
    running: &Arc<[Bytes]>,
    begin: impl Fn(Arc<Service>) -> S,
) -> Result<Cost, Box<dyn Error>>
where
    S: Fn(JobId) -> F,
    F: Future<Output = Result<(), Box<dyn Error>>>,
{
    let runtime =
        runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let ids: Vec<JobId> = (0..waits).map(ids).collect::<Result<_, _>>()?;
    let heap = HEAP.current_usage();
    let before = processor_time();
    let (polls, bytes) = runtime.block_on(async {
        let service = Arc::new(Service::new(running.clone()));
        let start = begin(service.clone());
        let mut tasks: Vec<_> = ids.iter().cloned().map(start).collect();
        let list = tasks.capacity() * size_of_val(&tasks[0]);
        #[expect(
            clippy::disallowed_methods,
            reason = "measures the heap in the middle of a delay"
        )]
        tokio::time::sleep(Duration::from_millis(5500)).await;
        let bytes = (HEAP.current_usage() - heap - list) as f64 / waits as f64;
        for task in tasks.drain(..) {
            task.await?;
        }
        Ok::<_, Box<dyn Error>>((service.polls(), bytes))
    })?;
    let nanoseconds = (processor_time() - before) / f64::from(polls);
    Ok(Cost { nanoseconds, bytes })
}

/// Measures how late waits end after their deadlines, with a paused clock and with a real one.
fn overshoot(bounds: &mut Bounds) -> Result<(), Box<dyn Error>> {
    println!("30 deadlines of 50 to 95 ms, with an attempt in flight; the worst");
    let milliseconds = |span: Duration| span.as_secs_f64() * 1e3;
    let worst = |paused| {
        let mut runtime = runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(paused).build()?;
        runtime.block_on(worst_overshoot())
    };
    bounds.check("ms overshot, paused clock", milliseconds(worst(true)?), 0.0..=0.0);
    bounds.check("ms overshot", milliseconds(worst(false)?), 0.0..=milliseconds(MAX_OVERSHOOT));
    Ok(())
}

async fn worst_overshoot() -> Result<Duration, Box<dyn Error>> {
    let mut worst = Duration::ZERO;
    for timeout in (50..100).step_by(5).cycle().take(30).map(Duration::from_millis) {
        let wait = Wait::new(Silent, baselines::id(0)?).timeout(timeout);
        #[expect(clippy::disallowed_methods, reason = "measures elapsed time")]
        let began = Instant::now();
        if wait.await.is_ok() {
            return Err("the service is silent".into());
        }
        worst = worst.max(began.elapsed().saturating_sub(timeout));
    }
    Ok(worst)
}

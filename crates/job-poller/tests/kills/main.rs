//! Kills waits for clusters and nodes at each request, and resumes them, over TLS. The outcome must be
//! the same, and agree with what the simulated service did.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fragile_source;
mod run;

use std::{collections::BTreeSet, time::Duration};

use job_poller::Until;
use job_sim::{Fault, ObjectPlan, Plan, Sim, TimeSource};

use run::{Kill, Moment, check_past_deadline, check_result, run};

/// One wait, and how it must end.
struct Row {
    name: &'static str,
    sim: Sim,
    target: Target,
    until: Until,
    timeout: Duration,
    /// The outcome, and the phase of each object.
    expected: &'static str,
    truth: Truth,
    /// The states in which the wait must have been killed.
    states: &'static [&'static str],
}

/// What the wait is for.
enum Target {
    /// The first job of the service.
    Job,
    Cluster(&'static str),
    /// A node of the cluster `c`.
    Node(&'static str),
}

/// When the wait may end at the earliest.
enum Truth {
    /// When the objects are ready.
    Ready,
    /// 10 s after the objects are gone.
    Gone,
    /// At this time.
    At(Duration),
    /// At the deadline.
    Deadline,
}

const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// The job takes this long.
const JOB: Duration = seconds(30);

/// The time of a plan's object counts from the end of the job.
fn sim(plan: Plan, objects: ObjectPlan) -> Sim {
    Sim::new(plan.with_duration(JOB), TimeSource::Clock).default_object_plan(objects)
}

fn row(name: &'static str, sim: Sim, expected: &'static str, truth: Truth) -> Row {
    let (target, until, timeout) = (Target::Job, Until::Ready, seconds(600));
    Row { name, sim, target, until, timeout, expected, truth, states: &[] }
}

/// Runs each wait without a kill, killed at each request in each way, killed after each request, and
/// killed at each request until the deadline has passed.
async fn check(rows: fn() -> Vec<Row>) {
    for index in 0..rows().len() {
        let row = || rows().swap_remove(index);
        let mut states = BTreeSet::new();
        let ended = run(row(), []).await;
        check_result(&row(), &ended, "not killed");
        let ended = run(row(), [Kill::new(0, Moment::InPause)]).await;
        check_result(&row(), &ended, "killed before it began");
        let ended = run(row(), (0..).map(|_| Kill::new(1, Moment::InPause))).await;
        check_result(&row(), &ended, "killed after each request");
        states.extend(ended.states);
        for moment in [Moment::BeforeRequest, Moment::ReplyLost, Moment::InPause] {
            for number in 1.. {
                let ended = run(row(), [Kill::new(number, moment)]).await;
                if ended.states.is_empty() {
                    break;
                }
                check_result(&row(), &ended, &format!("killed at request {number}, {moment:?}"));
                states.extend(ended.states);
            }
        }
        for number in 1.. {
            let kill = Kill::new(number, Moment::InPause).until_after(row().timeout);
            let ended = run(row(), [kill]).await;
            if ended.states.is_empty() {
                break;
            }
            check_past_deadline(&row(), &ended, number);
        }
        let states: Vec<_> = states.iter().map(String::as_str).collect();
        let mut expected = row().states.to_vec();
        expected.sort_unstable();
        assert_eq!(states, expected, "{}: the states in which it was killed", row().name);
    }
}

const ACTIVE: &str = "job active";
const MISSING_JOB: &str = "job not found";
const UNREAD_JOB: &str = "job not read";
const LOOKING_UP: &str = "sub-jobs looked up";
const SETTLING: &str = "settling";
const UNREAD: &str = "objects not read";
const UNDER_WAY: &str = "objects under way";
const BROKEN: &str = "an object broken";
const MISSING: &str = "an object not found";

#[tokio::test(start_paused = true)]
async fn a_killed_wait_until_a_new_cluster_is_ready_has_the_same_outcome() {
    check(|| {
        let cluster = |objects| sim(Plan::create_cluster(), objects);
        let slow = || ObjectPlan::ready_after(seconds(25));
        let faulty = cluster(slow());
        let faults = "503, reset, truncated, wrong-uid, stale:15, throttled:12";
        faulty.inject_object_faults(Fault::parse_script(faults).unwrap());
        let settling =
            Sim::new(Plan::create_cluster().with_duration(seconds(60)), TimeSource::Clock);
        settling.inject_faults(Fault::parse_script("3*ok, 2*phase:Success").unwrap());
        vec![
            Row {
                states: &[UNREAD_JOB, ACTIVE, UNREAD, UNDER_WAY],
                ..row("lag", cluster(slow()), "ready: Available", Truth::Ready)
            },
            Row {
                states: &[UNREAD_JOB, ACTIVE, UNREAD, UNDER_WAY],
                ..row(
                    "flaps",
                    cluster(slow().flaps(3, seconds(9))),
                    "ready: Available",
                    Truth::Ready,
                )
            },
            Row {
                states: &[UNREAD_JOB, ACTIVE, UNREAD, UNDER_WAY],
                ..row("faults", faulty, "ready: Available", Truth::Ready)
            },
            Row {
                states: &[UNREAD_JOB, ACTIVE, UNREAD, UNDER_WAY, BROKEN],
                ..row(
                    "recovers",
                    cluster(ObjectPlan::ready_after(seconds(10)).recovers_after(seconds(40))),
                    "ready: Available",
                    Truth::Ready,
                )
            },
            Row {
                states: &[UNREAD_JOB, ACTIVE, UNREAD, UNDER_WAY, BROKEN],
                ..row(
                    "breaks",
                    cluster(ObjectPlan::never_ready().breaks_after(seconds(10))),
                    "broken: Unavailable",
                    Truth::At(JOB + seconds(10 + 120)),
                )
            },
            Row {
                states: &[UNREAD_JOB, ACTIVE, UNREAD, UNDER_WAY, MISSING],
                ..row(
                    "vanishes",
                    cluster(ObjectPlan::never_ready().vanishes_after(seconds(15))),
                    "gone: gone",
                    Truth::At(JOB + seconds(15 + 10)),
                )
            },
            Row {
                states: &[UNREAD_JOB, ACTIVE, UNREAD, UNDER_WAY],
                timeout: seconds(75),
                ..row(
                    "never ready",
                    cluster(ObjectPlan::never_ready()),
                    "not_ready: Creating",
                    Truth::Deadline,
                )
            },
            Row {
                states: &[UNREAD_JOB, ACTIVE, SETTLING, UNREAD],
                ..row("settles", settling, "ready: Available", Truth::Ready)
            },
        ]
    })
    .await;
}

/// Returns the id of a node that the first job creates or deletes.
fn node(number: u32) -> String {
    format!("{number:08x}-2338-11e8-825b-0255ac100c13")
}

#[tokio::test(start_paused = true)]
async fn a_killed_wait_until_new_nodes_are_ready_has_the_same_outcome() {
    check(|| {
        let nodes = |depth| {
            let plan = Plan::scale_up_cluster(3).visible_depth(depth);
            sim(plan, ObjectPlan::ready_after(seconds(12)))
        };
        let (lag, breaks, stale) = (nodes(1), nodes(9), nodes(9));
        lag.set_object_plan(&node(2), ObjectPlan::ready_after(seconds(25)));
        breaks.set_object_plan(&node(1), ObjectPlan::ready().breaks_after(Duration::ZERO));
        stale.set_object_plan(&node(3), ObjectPlan::ready().stale_probe_until(seconds(35)));
        vec![
            Row {
                states: &[UNREAD_JOB, ACTIVE, LOOKING_UP, UNREAD, UNDER_WAY],
                ..row("lag", lag, "ready: Active, Active, Active", Truth::Ready)
            },
            Row {
                states: &[UNREAD_JOB, ACTIVE, UNREAD, UNDER_WAY, BROKEN],
                ..row(
                    "one breaks",
                    breaks,
                    "broken: Active, Active, Abnormal",
                    Truth::At(JOB + seconds(120)),
                )
            },
            Row {
                states: &[UNREAD_JOB, ACTIVE, UNREAD, UNDER_WAY],
                ..row("stale probe", stale, "ready: Active, Active, Active", Truth::Ready)
            },
        ]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_wait_until_objects_are_deleted_has_the_same_outcome() {
    check(|| {
        let slow = || ObjectPlan::ready_after(seconds(25));
        let states = &[UNREAD_JOB, ACTIVE, UNREAD, UNDER_WAY, MISSING];
        vec![
            Row {
                states,
                ..row("cluster", sim(Plan::delete_cluster(), slow()), "gone: gone", Truth::Gone)
            },
            Row {
                states,
                until: Until::Gone,
                ..row("node", sim(Plan::delete_node(), slow()), "gone: gone", Truth::Gone)
            },
            Row {
                states,
                ..row(
                    "cluster that comes back",
                    sim(
                        Plan::delete_cluster(),
                        ObjectPlan::ready_after(seconds(10)).flaps(1, seconds(6)),
                    ),
                    "gone: gone",
                    // It may not be seen while it is back.
                    Truth::At(JOB + seconds(10 + 6 + 6)),
                )
            },
            Row {
                states: &[UNREAD_JOB, ACTIVE, UNREAD, UNDER_WAY],
                timeout: seconds(75),
                ..row(
                    "never gone",
                    sim(Plan::delete_node(), ObjectPlan::never_ready()),
                    "deadline_exceeded: Deleting",
                    Truth::Deadline,
                )
            },
        ]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_wait_for_a_job_that_is_deleted_has_the_same_outcome() {
    check(|| {
        let slow = || ObjectPlan::ready_after(seconds(70));
        let forgotten = |plan| sim(plan, slow()).forget_jobs_after(Duration::ZERO);
        let states = &[UNREAD_JOB, ACTIVE, MISSING_JOB, UNREAD, UNDER_WAY];
        let deleted = &[UNREAD_JOB, ACTIVE, MISSING_JOB, UNREAD, UNDER_WAY, MISSING];
        vec![
            Row {
                states,
                ..row(
                    "cluster",
                    forgotten(Plan::create_cluster()),
                    "ready, job gone: Available",
                    Truth::Ready,
                )
            },
            Row {
                states,
                ..row(
                    "nodes",
                    forgotten(Plan::scale_up_cluster(2)),
                    "ready, job gone: Active, Active",
                    Truth::Ready,
                )
            },
            Row {
                states: deleted,
                ..row(
                    "deleted cluster",
                    forgotten(Plan::delete_cluster()),
                    "gone, job gone: gone",
                    Truth::Gone,
                )
            },
            Row {
                states: deleted,
                ..row(
                    "deleted node",
                    forgotten(Plan::delete_node()),
                    "gone, job gone: gone",
                    Truth::Gone,
                )
            },
        ]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_wait_without_a_job_has_the_same_outcome() {
    check(|| {
        let unused = || sim(Plan::create_cluster(), ObjectPlan::ready());
        let resized = unused();
        let phases = [(Duration::ZERO, "Resizing"), (seconds(25), "Available")];
        resized.add_cluster("c", ObjectPlan::phases(phases));
        let (removed, hibernated) = (unused(), unused());
        removed.add_node("c", "n", ObjectPlan::ready().vanishes_after(seconds(25)));
        hibernated.add_cluster("c", ObjectPlan::phases([(Duration::ZERO, "Hibernation")]));
        vec![
            Row {
                target: Target::Cluster("c"),
                states: &[UNREAD, UNDER_WAY],
                ..row("resized", resized, "ready: Available", Truth::Ready)
            },
            Row {
                target: Target::Node("n"),
                until: Until::Gone,
                states: &[UNREAD, UNDER_WAY, MISSING],
                ..row("removed", removed, "gone: gone", Truth::Gone)
            },
            Row {
                target: Target::Cluster("c"),
                timeout: seconds(45),
                states: &[UNREAD, UNDER_WAY],
                ..row("hibernated", hibernated, "not_ready: Hibernation", Truth::Deadline)
            },
        ]
    })
    .await;
}

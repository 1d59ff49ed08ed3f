//! Tests the phases of clusters and nodes over time.

use proptest::prelude::*;

use super::*;

/// Each row: the plan, the phases of the cluster whose creation ends at 5 s, and when it is first ready,
/// stays ready, and stays gone.
#[tokio::test(start_paused = true)]
async fn a_created_cluster_follows_its_job_and_then_its_plan() {
    let ready = ObjectPlan::ready;
    let after = |lag| ObjectPlan::ready_after(seconds(lag));
    let rows = [
        (ready(), "5.0 Available", [Some(5), Some(5), None]),
        (after(7), "12.0 Available", [Some(12), Some(12), None]),
        (ObjectPlan::never_ready(), "", [None; 3]),
        (
            after(1).flaps(2, seconds(3)),
            "6.0 Available, 9.0 Unavailable, 12.0 Available, 15.0 Unavailable, 18.0 Available",
            [Some(6), Some(18), None],
        ),
        (
            after(2).breaks_after(seconds(4)),
            "7.0 Available, 9.0 Unavailable",
            [Some(7), None, None],
        ),
        (ready().breaks_after(Duration::ZERO), "5.0 Unavailable", [None; 3]),
        (
            after(1).recovers_after(seconds(8)),
            "6.0 Unavailable, 14.0 Available",
            [Some(14), Some(14), None],
        ),
        (ready().vanishes_after(seconds(6)), "5.0 Available, 11.0 404", [Some(5), None, Some(11)]),
        (
            ObjectPlan::phases([(seconds(4), "Available"), (seconds(1), "Frozen2")]),
            "6.0 Frozen2, 9.0 Available",
            [Some(9), Some(9), None],
        ),
        // The last probe is that of nodes.
        (ready().stale_probe_until(seconds(9)), "5.0 Available", [Some(5), Some(5), None]),
        (
            after(1).flaps(1, seconds(2)).recovers_after(seconds(3)),
            "6.0 Unavailable, 9.0 Available, 11.0 Unavailable, 13.0 Available",
            [Some(9), Some(13), None],
        ),
        (
            after(4).breaks_after(seconds(2)).recovers_after(seconds(3)).flaps(1, seconds(1)),
            "7.0 Unavailable",
            [None; 3],
        ),
        // There are at most 1,000 flaps.
        (after(15).flaps(u32::MAX, seconds(1)), "20.0 Available", [Some(20), Some(2_020), None]),
        (
            after(1).flaps(9, seconds(1)).breaks_after(seconds(3)),
            "6.0 Available, 7.0 Unavailable",
            [Some(6), None, None],
        ),
    ];
    for (plan, expected, times) in rows {
        let sim = five_seconds(Plan::create_cluster()).default_object_plan(plan.clone());
        let phases = phases_over_time(&sim, CLUSTER, None, 20).await;
        let expected = format!("0.0 Creating, {expected}");
        assert_eq!(phases, expected.trim_end_matches(", "), "{plan:?}");
        let shown = [sim.first_ready_at(CLUSTER), sim.ready_at(CLUSTER), sim.gone_at(CLUSTER)];
        assert_eq!(shown, times.map(|time| time.map(seconds)), "{plan:?}");
    }
}

/// Each row: the plan, the phases of a node, and when it is first ready, stays ready and stays gone.
/// The nodes are installed from 2.2 s on, and the job ends at 5 s.
#[tokio::test(start_paused = true)]
async fn created_nodes_follow_their_job_and_then_their_plan() {
    let ready = ObjectPlan::ready;
    let rows = [
        (ready(), "5.0 Active", [Some(5), Some(5), None]),
        (ObjectPlan::ready_after(seconds(3)), "8.0 Active", [Some(8), Some(8), None]),
        (ObjectPlan::never_ready(), "", [None; 3]),
        (
            ready().flaps(1, seconds(2)),
            "5.0 Active, 7.0 Abnormal, 9.0 Active",
            [Some(5), Some(9), None],
        ),
        (ready().breaks_after(seconds(2)), "5.0 Active, 7.0 Abnormal", [Some(5), None, None]),
        (ready().vanishes_after(seconds(1)), "5.0 Active, 6.0 404", [Some(5), None, Some(6)]),
        (ready().stale_probe_until(seconds(4)), "5.0 Active", [Some(9), Some(9), None]),
        (
            ready().flaps(1, seconds(2)).stale_probe_until(seconds(3)),
            "5.0 Active, 7.0 Abnormal, 9.0 Active",
            [Some(9), Some(9), None],
        ),
    ];
    for (plan, expected, times) in rows {
        let sim = five_seconds(Plan::scale_up_cluster(2));
        sim.set_object_plan(NODE_2, plan.clone());
        let phases = phases_over_time(&sim, NODES_CLUSTER, Some(NODE_2), 12).await;
        let expected = format!("0.0 Build, 2.2 Installing, {expected}");
        assert_eq!(phases, expected.trim_end_matches(", "), "{plan:?}");
        let shown = [sim.first_ready_at(NODE_2), sim.ready_at(NODE_2), sim.gone_at(NODE_2)];
        assert_eq!(shown, times.map(|time| time.map(seconds)), "{plan:?}");
        // The plan is that of one node only.
        assert_eq!(sim.ready_at(NODE_1), Some(seconds(5)));
        assert_eq!(read(&sim, &path_of(NODES_CLUSTER, None)), "Available");
    }
}

/// Each row: the plan, and the phases of the cluster whose deletion ends at 5 s.
#[tokio::test(start_paused = true)]
async fn a_deleted_cluster_answers_404_after_its_job() {
    let rows = [
        (ObjectPlan::ready(), "0.0 Deleting, 5.0 404", Some(5)),
        (ObjectPlan::ready_after(seconds(3)), "0.0 Deleting, 8.0 404", Some(8)),
        (ObjectPlan::never_ready(), "0.0 Deleting", None),
        (
            ObjectPlan::ready().flaps(1, seconds(2)),
            "0.0 Deleting, 5.0 404, 7.0 Deleting, 9.0 404",
            Some(9),
        ),
        (ObjectPlan::ready().breaks_after(Duration::ZERO), "0.0 Deleting, 5.0 Error", None),
        (
            ObjectPlan::ready().recovers_after(seconds(4)),
            "0.0 Deleting, 5.0 Error, 9.0 404",
            Some(9),
        ),
    ];
    for (plan, expected, gone) in rows {
        for (job, cluster, node) in [
            (Plan::delete_cluster(), NODES_CLUSTER, None),
            (Plan::delete_node(), NODES_CLUSTER, Some(NODE_1)),
        ] {
            let sim = five_seconds(job).default_object_plan(plan.clone());
            assert_eq!(phases_over_time(&sim, cluster, node, 12).await, expected, "{plan:?}");
            let id = node.unwrap_or(cluster);
            assert_eq!(sim.gone_at(id), gone.map(seconds), "{plan:?}");
            assert_eq!(sim.first_ready_at(id), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_objects_of_a_failed_job_are_in_error() {
    let fails = |plan: Plan| five_seconds(plan.with_failure("sold out"));
    let rows = [
        (Plan::create_cluster(), CLUSTER, None, "0.0 Creating, 5.0 Error"),
        (Plan::delete_cluster(), NODES_CLUSTER, None, "0.0 Deleting, 5.0 Error"),
        (Plan::delete_node(), NODES_CLUSTER, Some(NODE_1), "0.0 Deleting, 5.0 Error"),
        // Only the last node fails.
        (
            Plan::scale_up_cluster(2),
            NODES_CLUSTER,
            Some(NODE_1),
            "0.0 Build, 2.2 Installing, 5.0 Active",
        ),
        (
            Plan::scale_up_cluster(2),
            NODES_CLUSTER,
            Some(NODE_2),
            "0.0 Build, 2.2 Installing, 5.0 Error",
        ),
    ];
    for (job, cluster, node, expected) in rows {
        let sim = fails(job);
        assert_eq!(phases_over_time(&sim, cluster, node, 6).await, expected);
    }
    // The phases of a plan apply even then, and an object in error can vanish.
    let rows = [
        (
            ObjectPlan::phases([(Duration::ZERO, "Available")]),
            "0.0 Creating, 5.0 Available",
            Some(5),
        ),
        (ObjectPlan::ready().vanishes_after(seconds(1)), "0.0 Creating, 5.0 Error, 6.0 404", None),
    ];
    for (plan, expected, ready) in rows {
        let sim = fails(Plan::create_cluster()).default_object_plan(plan);
        assert_eq!(phases_over_time(&sim, CLUSTER, None, 7).await, expected);
        assert_eq!(sim.ready_at(CLUSTER), ready.map(seconds));
    }
}

#[test]
fn readings_advance_an_object_after_the_end_of_its_job() {
    let per_reading = TimeSource::PerRequest(seconds(2));
    let sim = Sim::new(Plan::create_cluster(), per_reading)
        .default_object_plan(ObjectPlan::ready_after(seconds(3)))
        .forget_jobs_after(Duration::ZERO);
    let cluster = || read(&sim, &path_of(CLUSTER, None));
    let job = || read(&sim, &format!("jobs/{}", sim.job()));
    for phase in ["Initializing", "Running", "Running"] {
        assert_eq!(job(), phase);
        assert_eq!((cluster(), cluster()), ("Creating".into(), "Creating".into()));
    }
    assert_eq!(job(), "CCE.01404001");
    assert_eq!(sim.object_phase(CLUSTER).unwrap(), "Creating");
    assert_eq!([(); 4].map(|()| cluster()), ["Creating", "Creating", "Available", "Available"]);
    // Without a job, each reading counts.
    sim.add_cluster(
        "resized",
        ObjectPlan::phases([(seconds(0), "Resizing"), (seconds(3), "Available")]),
    );
    let resized = [(); 3].map(|()| read(&sim, "clusters/resized"));
    assert_eq!(resized, ["Resizing", "Resizing", "Available"]);
    let finished = sim.add_finished(Plan::create_cluster().with_cluster("old", "old"), seconds(9));
    assert_eq!(sim.object_phase("old").unwrap(), "Available");
    assert_eq!(sim.readings(&finished), Some((0, 0)));
}

#[tokio::test(start_paused = true)]
async fn objects_without_a_job_count_from_when_they_were_added() {
    let sim = five_seconds(Plan::create_cluster()).default_object_plan(ObjectPlan::never_ready());
    advance_to(&sim, seconds(3)).await;
    sim.add_cluster("c", ObjectPlan::phases([(seconds(0), "Resizing"), (seconds(4), "Available")]));
    sim.add_node("c", "n", ObjectPlan::ready_after(seconds(1)).vanishes_after(seconds(9)));
    sim.add_node(NODES_CLUSTER, "m", ObjectPlan::ready());
    assert_eq!(
        (read(&sim, "clusters/c"), read(&sim, "clusters/c/nodes/n")),
        ("Resizing".into(), "Installing".into())
    );
    assert_eq!(read(&sim, &format!("clusters/{NODES_CLUSTER}/nodes/m")), "Active");
    assert_eq!((sim.ready_at("c"), sim.first_ready_at("n")), (Some(seconds(7)), Some(seconds(4))));
    advance_to(&sim, seconds(7)).await;
    assert_eq!(
        (read(&sim, "clusters/c"), read(&sim, "clusters/c/nodes/n")),
        ("Available".into(), "Active".into())
    );
    advance_to(&sim, seconds(12)).await;
    assert_eq!(
        (read(&sim, "clusters/c"), read(&sim, "clusters/c/nodes/n")),
        ("Available".into(), "CCE.01404001".into())
    );
}

#[tokio::test(start_paused = true)]
async fn nodes_are_gone_with_their_cluster() {
    let sim = five_seconds(Plan::delete_cluster());
    sim.add_node(NODES_CLUSTER, "n", ObjectPlan::ready());
    let path = path_of(NODES_CLUSTER, Some("n"));
    assert_eq!(read(&sim, &path), "Active");
    advance_to(&sim, seconds(5)).await;
    assert_eq!(read(&sim, &path), "CCE.01404001");
    assert_eq!(
        (sim.first_ready_at("n"), sim.ready_at("n"), sim.gone_at("n")),
        (Some(Duration::ZERO), None, Some(seconds(5)))
    );
}

#[tokio::test(start_paused = true)]
async fn nodes_that_name_each_other_as_their_cluster_are_read() {
    let sim = five_seconds(Plan::create_cluster());
    sim.add_node("a", "b", ObjectPlan::ready());
    sim.add_node("b", "a", ObjectPlan::ready());
    assert_eq!(read(&sim, "clusters/a/nodes/b"), "Active");
    assert_eq!(sim.ready_at("a"), Some(Duration::ZERO));
}

/// Returns any plan whose times are even numbers of seconds.
fn any_plan() -> impl Strategy<Value = ObjectPlan> {
    let time = || (0..5_u64).prop_map(|time| seconds(time * 2));
    let start = prop_oneof![
        time().prop_map(ObjectPlan::ready_after),
        Just(ObjectPlan::never_ready()),
        prop::collection::vec(
            (time(), prop::sample::select(&["Active", "Available", "Odd"][..])),
            0..4
        )
        .prop_map(ObjectPlan::phases),
    ];
    let change = (0..5_u32, time());
    (start, prop::collection::vec(change, 0..4)).prop_map(|(plan, changes)| {
        changes.into_iter().fold(plan, |plan, (change, time)| match change {
            0 => plan.flaps(2, time),
            1 => plan.breaks_after(time),
            2 => plan.recovers_after(time),
            3 => plan.vanishes_after(time),
            _ => plan.stale_probe_until(time),
        })
    })
}

/// Returns whether a client calls the object ready, or gone.
fn is_ready_or_gone(sim: &Sim, path: &str) -> (bool, bool) {
    let (code, body) = status_and_body(sim, path);
    let status = &body["status"];
    let probed = status["lastProbeTime"].as_str().map(|time| time.parse::<jiff::Timestamp>());
    let is_current = |time| sim.now().duration_since(time).as_mins() <= 5;
    let is_ready = (body["kind"] == "Cluster" && status["phase"] == "Available")
        || (status["phase"] == "Active" && probed.is_some_and(|time| time.is_ok_and(is_current)));
    (is_ready, code == 404)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The queries for tests agree with what a client reads, for any plan and job.
    #[test]
    fn queries_agree_with_readings(plan in any_plan(), job in 0..4_usize, fails in any::<bool>()) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true);
        let (job, cluster, node) = [
            (Plan::create_cluster(), CLUSTER, None),
            (Plan::scale_up_cluster(1), NODES_CLUSTER, Some(NODE_1)),
            (Plan::delete_cluster(), NODES_CLUSTER, None),
            (Plan::delete_node(), NODES_CLUSTER, Some(NODE_1)),
        ][job].clone();
        let job = if fails { job.with_failure("sold out") } else { job };
        runtime.build().unwrap().block_on(async {
            let sim = five_seconds(job).default_object_plan(plan);
            let (path, id) = (path_of(cluster, node), node.unwrap_or(cluster));
            let (mut ready, mut gone) = (Vec::new(), Vec::new());
            // The last change is at most 5 + 8 + 3 * 32 s after the start.
            for time in 0..=110 {
                advance_to(&sim, seconds(time)).await;
                let (is_ready, is_gone) = is_ready_or_gone(&sim, &path);
                ready.push(is_ready);
                gone.push(is_gone);
            }
            let first = |states: &[bool]| states.iter().position(|is_so| *is_so);
            let finally = |states: &[bool]| {
                let count = states.iter().rev().take_while(|is_so| **is_so).count();
                (count > 0).then(|| states.len() - count)
            };
            let at = |time: Option<Duration>| time.map(|time| usize::try_from(time.as_secs()).unwrap());
            assert_eq!(at(sim.first_ready_at(id)), first(&ready));
            assert_eq!(at(sim.ready_at(id)), finally(&ready));
            assert_eq!(at(sim.gone_at(id)), finally(&gone));
        });
    }
}

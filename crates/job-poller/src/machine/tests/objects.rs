//! Tests of waits until clusters and nodes are ready or gone, as transcripts of scripts.

use insta::assert_snapshot;
use job_model::object::ObjectId;

use super::*;

fn until_ready() -> Setup {
    one_hour_setup().policy(WaitPolicy::until_ready)
}

fn until_gone() -> Setup {
    one_hour_setup().policy(WaitPolicy::until_gone)
}

/// Returns the transcript of a wait without a job.
fn without_job(setup: Setup, id: fn() -> ObjectId, script: &str) -> String {
    Setup { object: Some(id), ..setup }.transcript(script)
}

fn cluster() -> ObjectId {
    ObjectId::Cluster("c".parse().unwrap())
}

fn node() -> ObjectId {
    ObjectId::Node { cluster: "c".parse().unwrap(), node: "n".parse().unwrap() }
}

#[test]
fn a_created_cluster_is_read_until_it_is_ready() {
    assert_snapshot!(until_ready().transcripts([
        "running success Available",
        "success Creating*2 Paused Available",
        "failed",
    ]));
}

#[test]
fn a_cluster_is_broken_after_two_minutes() {
    assert_snapshot!(until_ready().transcripts([
        "success Error",
        "success Unavailable*5 Creating Unavailable*5 Available",
        "success Error drop Error",
    ]));
}

#[test]
fn an_object_that_is_not_ready_at_the_deadline_is_an_error() {
    let setup = until_ready().timeout(60.0);
    assert_snapshot!(setup.transcripts(["success Creating", "success 503", "running"]));
}

#[test]
fn each_node_of_the_job_is_read_in_turn() {
    assert_snapshot!(until_ready().transcripts([
        "CreateNode/success[InstallNode#n1=success,InstallNode#n2=success,CreateNodeVM#vm=success] \
         Active Active",
        "CreateNode/success[InstallNode#n1=success,InstallNode#n2=success] \
         Installing Active Installing Active Active",
        "CreateNode/success[InstallNode#n1=success,InstallNode#n2=success] Active Error",
    ]));
}

#[test]
fn sub_jobs_that_may_name_nodes_are_looked_up() {
    assert_snapshot!(until_ready().transcripts([
        // The reply shows only the first level.
        "CreateNode/success[CreateNode#s=success] CreateNode/success:s[InstallNode#n=success] Active",
        "CreateNode/success[CreateNode#s=success] 503 drop CreateNode/success:s[InstallNode#n=success] \
         Active",
        // It names no node, or not all of them.
        "CreateNode/success",
        "CreateNode/success[InstallNode=success]",
        "CreateNode/success[CreateNode#s=success,InstallNode#n=success] 404",
    ]));
}

#[test]
fn another_job_concerns_its_cluster() {
    assert_snapshot!(until_ready().transcript("UpgradeCluster/success Upgrading Available"));
}

#[test]
fn objects_that_are_deleted_are_gone_after_two_404s() {
    assert_snapshot!(until_ready().transcripts([
        "DeleteCluster/success 404 404",
        "DeleteCluster/success 404 Deleting 404 503 404",
        "DeleteNode/success[DeleteNode#n=success] Deleting 404 404",
        // The path is wrong, which says nothing about the object.
        "DeleteCluster/success nopath",
    ]));
}

#[test]
fn several_objects_that_are_deleted_are_confirmed_together() {
    assert_snapshot!(until_gone().transcript(
        "DeleteNode/success[DeleteNode#n1=success,DeleteNode#n2=success] 404 404 404 404"
    ));
}

#[test]
fn an_object_that_should_be_ready_may_be_gone() {
    assert_snapshot!(until_ready().transcripts([
        // A new object may not be known to every replica yet.
        "success 404 404 Available",
        "success 404",
        "success Creating 404",
    ]));
}

#[test]
fn a_wait_without_a_job_reads_its_object() {
    assert_snapshot!(
        [
            without_job(until_ready(), cluster, "Resizing Available"),
            without_job(until_ready(), node, "Active"),
            without_job(until_ready(), node, "404"),
            without_job(until_gone(), node, "404"),
            without_job(until_gone(), node, "Active Deleting 404 404"),
            without_job(until_gone(), cluster, "nopath"),
            without_job(until_gone().timeout(30.0), cluster, "Deleting"),
            without_job(until_ready(), cluster, "Available:other"),
            without_job(until_ready(), cluster, "garbage"),
            without_job(until_ready(), cluster, "403"),
        ]
        .join("\n")
    );
}

#[test]
fn the_status_of_a_node_that_was_not_probed_for_five_minutes_has_no_meaning() {
    let rows = ["Active@0^300", "Active@0^301 Active@302^303", "Error@0^301 Active@302^303"];
    let rows = rows.map(|script| without_job(until_ready(), node, script));
    assert_snapshot!(rows.join("\n"));
}

#[test]
fn a_stop_while_objects_are_read_is_an_error() {
    let setup = Setup { stop_at: Duration::from_secs(15), ..until_ready() };
    assert_snapshot!(
        setup.transcripts(["success Creating", "CreateNode/success[CreateNode#s=success] 503"])
    );
}

#[test]
fn the_objects_decide_if_the_service_has_deleted_the_job() {
    let node = "CreateNode/running[InstallNode#n=running]!400";
    let scale_up = "ScaleupCluster/running[InstallNode#n=running]!400";
    let rows = [
        "running!400 404*5 Creating!400 Available!400".into(),
        "running!400 404*5 Available!100".into(),
        // Another job has created the cluster, or it is unknown when it was created.
        "running!400 404*5 Available!99".into(),
        "running!400 404*5 Available".into(),
        "running 404*5 Available".into(),
        "running!400 404*5 Error!400*20".into(),
        "running!400 404*5 404*20".into(),
        format!("{node} 404*5 Active!400"),
        // The nodes of this job are new, too.
        format!("{scale_up} 404*5 Active!400"),
        format!("{scale_up} 404*5 Active!99"),
        "DeleteCluster/running 404*5 404*2".into(),
        // The cluster does not show how these jobs ended.
        "CreateNode/running!400 404*5 Available!400".into(),
        "UpgradeCluster/running!400 404*5 Available!400".into(),
        "ScaleupCluster/running!400 404*5 Available!400".into(),
    ];
    assert_snapshot!(rows.map(|script: String| last_lines(&until_ready(), &script)).join("\n"));
}

/// Returns the script and the part of the transcript from the last 404 for the job.
fn last_lines(setup: &Setup, script: &str) -> String {
    let transcript = setup.transcript(script);
    let from = transcript.find("5 in a row").expect("five 404s");
    let from = transcript[..from].rfind('\n').expect("a line before it");
    format!("{script}{}", &transcript[from..])
}

#[test]
fn a_wait_for_the_end_of_the_job_reads_no_object() {
    assert_snapshot!(last_lines(&one_hour_setup(), "running!400 404*5"));
}

#[test]
fn a_wait_resumed_for_the_end_of_the_job_ends_at_once_if_the_job_has_ended() {
    // The replies before the stop, the goal of the resumed wait, and how it ends.
    let node = "CreateNode/success[CreateNode#s=success] 503";
    let rows = [
        ("success Creating", Until::Ended, "Succeeded"),
        (node, Until::Ended, "Succeeded"),
        ("running!400 404*5 Creating!400", Until::Ended, "Vanished"),
        ("DeleteCluster/success Deleting", Until::Ended, "Succeeded"),
    ];
    for (script, until, expected) in rows {
        let stopped = Setup { stop_at: Duration::from_secs(40), ..until_ready() };
        let mut error = None;
        stopped.run(&parse(script), |_, step, _| {
            if let Action::Finish(result) = &step.action {
                error = result.as_ref().clone().err();
            }
        });
        let checkpoint = error.expect("the wait was stopped").into_checkpoint();
        let policy = checkpoint.policy().until(until);
        let (mut machine, elapsed) = checkpoint.with_policy(policy).resume(Timestamp::UNIX_EPOCH);
        let mut step = machine.step(stopped.schedule, elapsed, Input::Wake);
        // A lookup that was planned is not needed any more, but may still be under way.
        if let Action::SleepUntil(at) = step.action {
            step = machine.step(stopped.schedule, at, Input::Wake);
        }
        let Action::Finish(result) = step.action else { panic!("{script}: {:?}", step.action) };
        let ended = match *result {
            Ok(finished) => format!("{:?}", finished.outcome),
            Err(error) => format!("{:?}", error.kind()),
        };
        assert_eq!(ended, expected, "{script}");
    }
}

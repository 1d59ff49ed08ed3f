//! The case table's rows about attempts that give no job, as transcripts.

use std::time::Duration;

use insta::assert_snapshot;

use super::{hour, join};
use crate::machine::script::{Script, setup};

#[test]
fn the_job_of_another_uid_twice_in_a_row_ends_the_wait() {
    assert_snapshot!(hour().transcripts([
        "running:b",
        "running:b running:a success:b success:a",
        "running: success:",
        "running:a failed:b*2",
    ]));
}

#[test]
fn not_found_before_a_reading_has_a_grace() {
    let rows = ["404*3 running success", "404", "nopath", "503 404", "404 503 404 503*3 404"];
    assert_snapshot!(hour().transcripts(rows));
}

#[test]
fn not_found_after_a_reading_is_vanished() {
    assert_snapshot!(hour().transcripts(["running 404", "running 404*2 503 404*2 success"]));
}

#[test]
fn what_asking_again_would_not_mend_ends_an_unproven_wait_at_once() {
    let rows = ["400", "401", "403", "405", "410", "302", "204", "501", "505", "badcert", "badsig"];
    assert_snapshot!(hour().transcripts(rows));
}

#[test]
fn what_asking_again_would_not_mend_ends_a_proven_wait_when_confirmed() {
    assert_snapshot!(hour().transcripts([
        "running 403",
        "running 401*2 running success",
        "running +401 +running success",
        "running 403*2 drop 403*2 success",
        "running 403 401",
        "running 302(20s)",
        "running badsig",
    ]));
}

#[test]
fn a_host_that_is_never_reached_is_not_waited_for() {
    assert_snapshot!(hour().transcripts([
        "nohost",
        "refused nohost 503 refused",
        "refused drop refused drop*4 refused*4",
    ]));
    let proven = Script::parse("running refused*200 success");
    let ended = hour().run(&proven, |_, _, _| ());
    assert!(ended > Duration::from_secs(58 * 60), "{ended:?}");
}

#[test]
fn transient_faults_are_survived() {
    assert_snapshot!(
        hour().transcript("running drop 503 429 garbage 408~2s 409 425 running~40s success")
    );
}

#[test]
fn so_many_faults_in_a_row_end_a_wait_if_so_set() {
    let three = hour().policy(|policy| policy.max_consecutive_faults(3));
    assert_snapshot!(three.transcripts(["running drop*2 running 503 drop 429", "drop*2 success"]));
}

#[test]
fn pauses_after_faults_double_and_start_over() {
    assert_snapshot!(setup().timeout(600.0).transcript("drop*7 running drop*2 success"));
}

#[test]
fn replies_that_are_no_job_end_a_wait() {
    assert_snapshot!(hour().transcripts([
        "garbage",
        "garbage*4 running success",
        "running garbage",
        "running garbage*4 503 garbage*4 success",
    ]));
}

#[test]
fn a_retry_after_is_never_undercut() {
    assert_snapshot!(hour().transcripts([
        "429(45s) 503(0s) 429(1s) 429(3600s) running success",
        "503(7s) 503(1s)*2 success",
        "503(1s) success",
    ]));
}

#[test]
fn a_retry_after_near_the_deadline_is_kept_or_ends_the_wait() {
    let rows = [
        ("beyond the deadline: at once", setup().transcript("running 429(55s)")),
        ("into the reserve: later than it", setup().transcript("running 429(49s) success")),
    ];
    assert_snapshot!(join(rows));
}

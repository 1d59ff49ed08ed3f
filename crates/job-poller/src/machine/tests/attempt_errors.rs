//! Tests of failed attempts, as transcripts of scripts.

use std::time::Duration;

use insta::assert_snapshot;

use super::{join_transcripts, one_hour_setup};
use crate::machine::script::{Script, setup};

#[test]
fn two_wrong_uids_in_a_row_end_the_wait() {
    assert_snapshot!(one_hour_setup().transcripts([
        "running:b",
        "running:b running:a success:b success:a",
        "running: success:",
        "running:a failed:b*2",
    ]));
}

#[test]
fn not_found_before_a_reading_has_a_grace_period() {
    let rows = ["404*3 running success", "404", "nopath", "503 404", "404 503 404 503*3 404"];
    assert_snapshot!(one_hour_setup().transcripts(rows));
}

#[test]
fn not_found_after_a_reading_is_vanished() {
    assert_snapshot!(
        one_hour_setup().transcripts(["running 404", "running 404*2 503 404*2 success"])
    );
}

#[test]
fn permanent_errors_before_first_reading_end_immediately() {
    let rows = ["400", "401", "403", "405", "410", "302", "204", "501", "505", "badcert", "badsig"];
    assert_snapshot!(one_hour_setup().transcripts(rows));
}

#[test]
fn permanent_errors_after_a_reading_need_three_confirmations() {
    assert_snapshot!(one_hour_setup().transcripts([
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
fn a_host_never_reached_ends_the_wait_as_unreachable() {
    assert_snapshot!(one_hour_setup().transcripts([
        "nohost",
        "refused nohost 503 refused",
        "refused drop refused drop*4 refused*4",
    ]));
    let proven = Script::parse("running refused*200 success");
    let ended = one_hour_setup().run(&proven, |_, _, _| ());
    assert!(ended > Duration::from_secs(58 * 60), "{ended:?}");
}

#[test]
fn transient_errors_do_not_end_the_wait() {
    assert_snapshot!(
        one_hour_setup()
            .transcript("running drop 503 429 garbage 408~2s 409 425 running~40s success")
    );
}

#[test]
fn a_limit_on_consecutive_errors_ends_the_wait() {
    let three = one_hour_setup().policy(|policy| policy.max_consecutive_errors(3));
    assert_snapshot!(three.transcripts(["running drop*2 running 503 drop 429", "drop*2 success"]));
}

#[test]
fn error_delays_double_and_reset_after_a_reading() {
    assert_snapshot!(setup().timeout(600.0).transcript("drop*7 running drop*2 success"));
}

#[test]
fn repeated_invalid_replies_end_the_wait() {
    assert_snapshot!(one_hour_setup().transcripts([
        "garbage",
        "garbage*4 running success",
        "running garbage",
        "running garbage*4 503 garbage*4 success",
    ]));
}

#[test]
fn no_attempt_is_made_before_retry_after() {
    assert_snapshot!(one_hour_setup().transcripts([
        "429(45s) 503(0s) 429(1s) 429(3600s) running success",
        "503(7s) 503(1s)*2 success",
        "503(1s) success",
    ]));
}

#[test]
fn retry_after_near_the_deadline_is_honored_or_ends_the_wait() {
    let rows = [
        ("beyond the deadline: the wait ends at once", setup().transcript("running 429(55s)")),
        ("within the reserve: a late attempt", setup().transcript("running 429(49s) success")),
    ];
    assert_snapshot!(join_transcripts(rows));
}

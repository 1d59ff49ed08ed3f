//! The command as its users run it: the built binary, its two outputs, its exit code. Time runs 20
//! times as fast.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_cce-job"))
        .args(["demo", "--speed", "20"])
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_job_is_waited_for_until_it_succeeds() {
    let (code, stdout, stderr) = demo(&[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with("succeeded: CreateCluster ("), "{stdout}");
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    for line in ["  CreatePSMCert: Success", "  InstallMaster: Success", "CreateCluster: Success"] {
        assert!(stderr.contains(line), "{line:?} is not in {stderr}");
    }
    assert!(!stderr.contains("simulated-token"), "{stderr}");
}

#[test]
fn a_failed_job_is_told_with_its_step_and_reason() {
    let (code, stdout, stderr) = demo(&["--fail"]);
    assert_eq!(code, Some(5), "{stderr}");
    let told =
        "failed: CreateCluster > InstallMaster: \"flavor c3.large.2 is sold out in eu-de-01\" (";
    assert!(stdout.starts_with(told), "{stdout}");
    assert!(stderr.contains("  InstallMaster: Failed"), "{stderr}");
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    assert_eq!(demo(&["--no-such-flag"]).0, Some(2));
}

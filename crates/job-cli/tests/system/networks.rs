//! Tests a link failure, in a network namespace whose only link goes down and up again.

use std::process::{Command, Stdio};

use job_sim::{Plan, Sim, TimeSource};

use crate::support::{Folder, report_skipped, run};

/// Runs the service and a wait over the loopback link. Once the job was read, the link goes down
/// until an attempt has failed.
const LINK_DOWN_SCRIPT: &str = r#"
    ip link set lo up
    "$1" sim --port 8443 --ca-file "$2/ca.pem" --speed 42 > "$2/started" 2> "$2/requests" &
    sim=$!
    while [ ! -s "$2/started" ]; do sleep 0.05; done
    "$1" wait --endpoint https://127.0.0.1:8443 --ca-file "$2/ca.pem" "$3" 2> "$2/progress" &
    wait=$!
    while ! grep -q CreateCluster "$2/progress"; do sleep 0.05; done
    ip link set lo down
    while ! grep -q 'attempt failed' "$2/progress"; do sleep 0.05; done
    ip link set lo up
    wait $wait; code=$?
    kill $sim; cat "$2/progress" >&2
    exit $code
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_temporary_link_failure_does_not_end_a_wait() {
    let mut unshared = Command::new("unshare");
    let quiet = unshared.args(["-rn", "ip", "link"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !quiet.status().is_ok_and(|status| status.success()) {
        return report_skipped(
            "a network namespace",
            "`unshare -rn ip link` is not permitted here",
        );
    }
    // The first job, the token and the project are the same in every simulation.
    let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock);
    let folder = Folder::new();
    let mut command = Command::new("unshare");
    command
        .args([
            "-rn",
            "timeout",
            "120",
            "sh",
            "-c",
            LINK_DOWN_SCRIPT,
            "sh",
            env!("CARGO_BIN_EXE_cce-job"),
        ])
        .arg(folder.file(""))
        .arg(sim.job().as_str())
        // Do not use the history file of the real user.
        .env("XDG_STATE_HOME", "/dev/null/none")
        .env("OS_TOKEN", sim.account().token)
        .env("OS_PROJECT_ID", sim.project().as_str());
    run(command).await.assert_succeeded(1, "attempt failed: ");
}

//! Tests with limits of file descriptors and of memory.

use std::{
    fs::{self, File},
    process::{Command, Stdio},
    time::Duration,
};

use job_sim::Plan;

use crate::support::{Folder, sleep, start_service, wait_command, wait_for_exit};

/// Returns a command that runs with a limit of file descriptors.
pub(crate) fn with_descriptor_limit(limit: u32, command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {limit}; exec \"$@\""), "sh"]);
    limited.arg(command.get_program()).args(command.get_args()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_waits_fit_in_64_descriptors_and_100_mib() {
    let (sim, server) = start_service(1).await;
    let folder = Folder::new();
    let more = (1..1_000).map(|_| sim.add(Plan::create_cluster().faster(5)));
    let ids: String =
        [sim.job().clone()].into_iter().chain(more).map(|id| format!("{id}\n")).collect();
    let ids = folder.write("ids", ids);
    let mut command = wait_command(&sim, &server.endpoint(), server.ca_pem(), &folder);
    let checkpoint = folder.file("wait.json");
    command.args(["--summary", "--checkpoint"]).arg(&checkpoint).arg("-");
    let mut command = with_descriptor_limit(64, &command);
    command.stdin(File::open(ids).unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let peak = tokio::spawn(async move {
        let mut peak = 0;
        while let Some(now) = peak_memory_kib(&status) {
            peak = now;
            sleep(Duration::from_millis(50)).await;
        }
        peak
    });
    let ran = wait_for_exit(child).await;
    ran.assert_succeeded(1_000, "");
    assert_eq!(ran.stdout.matches(" | succeeded | ").count(), 1_000, "the table has all jobs");
    assert_eq!(server.connections(), 1);
    assert!(!checkpoint.exists());
    let peak = peak.await.unwrap();
    assert!(peak < 100 << 10, "{peak} KiB");
}

/// Returns the peak memory of a process so far, in KiB. Returns `None` if the process has ended, or
/// if the system has no `/proc`.
fn peak_memory_kib(status: &str) -> Option<u64> {
    let status = fs::read_to_string(status).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().trim_end_matches(" kB").parse().ok()
}

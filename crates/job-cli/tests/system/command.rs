//! Tests of `wait` with an oversized reply, and of `sim` as a separate process.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::Duration,
};

use job_sim::{Fault, Plan};
use serde_json::Value;

use crate::support::{Folder, command, run, sleep, start_service, wait_command, wait_for_exit};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_reply_ends_only_its_own_wait() {
    let (sim, server) = start_service(1).await;
    sim.inject_faults([None, Some(Fault::Oversized(64 << 20))]);
    let other = sim.add(Plan::create_cluster().faster(5));
    let folder = Folder::new();
    let mut command = wait_command(&sim, &server.endpoint(), server.ca_pem(), &folder);
    command.args([sim.job().as_str(), other.as_str()]);
    let ran = run(command).await;
    // An oversized reply is a permanent error, which ends a wait at once if the job was never read.
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert_eq!(ran.stdout.matches("succeeded").count(), 1, "{ran:?}");
    assert!(ran.stderr.contains("larger than the limit"), "{ran:?}");
}

/// The schedule reads the job only once in an hour. Only a hint can end the wait before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_on_stdin_read_the_job() {
    let (sim, server) = start_service(3).await;
    let folder = Folder::new();
    let mut command = wait_command(&sim, &server.endpoint(), server.ca_pem(), &folder);
    command.args(["--schedule", "fixed:1h", "--hints", "-", sim.job().as_str()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"unknown-job\nnot a job\x7f\nneither\x7f\n").unwrap();
    while child.try_wait().unwrap().is_none() {
        // Fails if the command has ended meanwhile.
        let _ = writeln!(stdin, "{}", sim.job());
        sleep(Duration::from_millis(50)).await;
    }
    let ran = wait_for_exit(child).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stderr.matches("ignored a line of stdin that is not a job id").count(), 1);
    // At most one request in two seconds.
    assert!((2..=5).contains(&sim.requests()), "{} {ran:?}", sim.requests());

    let mut command = wait_command(&sim, &server.endpoint(), server.ca_pem(), &folder);
    command.args(["--hints", "-", "-"]);
    let ran = run(command).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("stdin can be read only once"), "{ran:?}");
}

/// Starts `sim`, waits for its job with the credentials in its first line, and stops it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sim_prints_credentials_and_stops_on_sigterm() {
    let folder = Folder::new();
    let authority = folder.file("ca.pem");
    let mut sim = command();
    sim.args(["sim", "--fail", "--script", "503", "--ca-file"]).arg(&authority);
    let first = "354331b2c-229a-11e8-9c75-0255ac100ceb";
    sim.args(["--finished-jobs", "3", "--list-faults", &format!("missing-job:{first}")]);
    let mut child = sim.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let started: Value = serde_json::from_str(&line).unwrap();
    let text = |name: &str| started[name].as_str().unwrap().to_owned();

    let client = |subcommand: &str| {
        let mut client = command();
        client
            .env("HUAWEICLOUD_SDK_AK", text("access_key"))
            .env("HUAWEICLOUD_SDK_SK", text("secret_key"))
            .args([subcommand, "--endpoint", &text("endpoint"), "--project", &text("project")])
            .arg("--ca-file")
            .arg(&authority);
        client
    };
    let mut wait = client("wait");
    wait.arg(text("job"));
    let ran = run(wait).await;
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.stdout.contains("InstallMaster 00000002: \"the flavor is sold out\""), "{ran:?}");
    assert!(ran.stderr.contains("503 Service Unavailable"), "{ran:?}");
    assert!(fs::read_to_string(&authority).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));

    // The first job is missing in the list, and the others ended before the start.
    let mut list = client("list");
    list.args(["-o", "json"]);
    let ran = run(list).await;
    assert_eq!((ran.code, text("job").as_str()), (Some(0), first), "{ran:?}");
    let jobs: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    let phases: Vec<_> = jobs.iter().map(|job| &job["status"]["status"]).collect();
    assert_eq!(phases, ["Failed"; 3]);

    let stopped = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(stopped.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    assert!(String::from_utf8(output.stderr).unwrap().contains(" requests, 0 logins"));
}

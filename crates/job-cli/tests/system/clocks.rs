//! Tests that jumps of the wall clock, by a day in either direction, do not move deadlines.

use std::{fs, path::Path, process::Command, time::Duration};

use tokio::time::Instant;

use crate::support::{Folder, report_skipped, run, sleep, start_service, wait_command};

const LIBFAKETIME_PATHS: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// Fakes the wall clock of a command, but not its monotonic clock. The offset is read from `file`,
/// and starts as `start`. Returns false if libfaketime is not installed.
fn use_fake_time(command: &mut Command, file: &Path, start: &str) -> bool {
    let Some(library) = LIBFAKETIME_PATHS.iter().find(|library| Path::new(library).exists()) else {
        report_skipped("libfaketime", "it is not installed");
        return false;
    };
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", file)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1");
    let mut date = Command::new("date");
    date.arg("+%s").envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // Check that the library works, with an offset of one day.
    fs::write(file, "+1d").unwrap();
    let (faked, real) = (epoch_seconds(&mut date), epoch_seconds(Command::new("date").arg("+%s")));
    assert!((faked - real - 86_400).abs() < 60, "{faked} and {real}");
    fs::write(file, start).unwrap();
    true
}

fn epoch_seconds(date: &mut Command) -> i64 {
    String::from_utf8(date.output().unwrap().stdout).unwrap().trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wall_clock_jumps_do_not_move_deadlines() {
    for jumps in [["+0", "+1d"], ["+0", "-1d"], ["+1d", "-1d"]] {
        let (sim, server) = start_service(60).await;
        let folder = Folder::new();
        let mut command = wait_command(&sim, &server.endpoint(), server.ca_pem(), &folder);
        command.args(["--timeout", "5s", "--schedule", "fixed:500ms"]).arg(sim.job().as_str());
        if !use_fake_time(&mut command, &folder.file("time"), jumps[0]) {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "how long the command took")]
        let began = Instant::now();
        let ran = tokio::spawn(run(command));
        while sim.requests() == 0 {
            sleep(Duration::from_millis(20)).await;
        }
        folder.write("time", jumps[1]);
        let ran = ran.await.unwrap();
        let took = began.elapsed().as_secs_f64();
        assert_eq!(ran.code, Some(3), "{jumps:?}: {ran:?}");
        assert!(ran.stderr.contains("did not end within 5s"), "{jumps:?}: {ran:?}");
        // The last attempt is made half a second before the deadline, and may be answered at once.
        assert!((4.4..15.0).contains(&took), "{jumps:?}: {took} s");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wall_clock_jumps_do_not_end_a_wait() {
    let (sim, server) = start_service(4).await;
    let folder = Folder::new();
    let mut command = wait_command(&sim, &server.endpoint(), server.ca_pem(), &folder);
    command.args(["--timeout", "1m"]).arg(sim.job().as_str());
    if !use_fake_time(&mut command, &folder.file("time"), "-1d") {
        return;
    }
    let ran = tokio::spawn(run(command));
    while sim.requests() == 0 {
        sleep(Duration::from_millis(20)).await;
    }
    folder.write("time", "+1d");
    ran.await.unwrap().assert_succeeded(1, "");
}

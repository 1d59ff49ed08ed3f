//! A stdout that is full, blocked or closed.

use std::{
    fs,
    io::{self, BufRead, Write},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use job_model::JobId;
use job_sim::Plan;
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    session::{ENDPOINT_ARG, FAST_POLL_ARGS, Transcript},
    support::{fixture, run, sleep, wait_for_exit},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_stdout_delays_no_poll_and_a_signal_ends_the_wait() {
    let session = Transcript::new(Plan::create_cluster().slower(100_000)).await;
    // A pipe that is full, because nobody reads it.
    let (_reader, mut pipe) = io::pipe().unwrap();
    pipe.write_all(&[b'\n'; 1 << 16]).unwrap();
    let line = format!("wait {FAST_POLL_ARGS} -o jsonl JOB");
    let mut child = session.spawn_with_stdout(&line, pipe.into()).await;
    let before = session.sim.requests();
    let polled = timeout(Duration::from_secs(30), async {
        while session.sim.requests() < before + 100 {
            sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(polled.await.is_ok(), "{} requests", session.sim.requests() - before);
    assert!(child.try_wait().unwrap().is_none());
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(143));
}

/// No events are printed while more than 64 MiB of results are still to be written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_whose_output_is_full_saves_its_last_state_and_reports_missed_events() {
    for is_read in [false, true] {
        let session = Transcript::new(Plan::create_cluster().slower(100_000)).await;
        let plan = || Plan::delete_node().with_failure("x".repeat(4 << 20));
        let failing = [(); 9].map(|()| session.sim.add(plan()));
        let ids = failing.iter().map(JobId::as_str).collect::<Vec<_>>().join(" ");
        let (mut reader, mut pipe) = io::pipe().unwrap();
        pipe.write_all(&[b'\n'; 1 << 16]).unwrap();
        let line = format!("wait {FAST_POLL_ARGS} -o jsonl --checkpoint wait.json JOB {ids}");
        let child = session.spawn_with_stdout(&line, pipe.into()).await;
        let pid = child.id().to_string();
        // A job that has ended is not read again. The events of the other job are then missed.
        let of_failing = || failing.iter().filter_map(|id| session.sim.readings(id)).collect();
        let readings = || session.sim.readings(session.sim.job()).map_or(0, |(all, _)| all);
        let (mut before, mut since): (Vec<_>, _) = (of_failing(), readings());
        let have_ended = timeout(Duration::from_secs(60), async {
            while readings() < since + 100 {
                sleep(Duration::from_millis(10)).await;
                if of_failing() != before {
                    (before, since) = (of_failing(), readings());
                }
            }
        });
        assert!(have_ended.await.is_ok(), "{before:?}");
        let (sender, output) = mpsc::channel();
        if is_read {
            thread::spawn(move || {
                let mut lines = io::BufReader::new(&mut reader).lines();
                lines.try_for_each(|line| sender.send(line.unwrap()))
            });
        }
        let mut lines = Vec::<Value>::new();
        let count =
            |lines: &[Value], name: &str| lines.iter().filter(|line| line["event"] == name).count();
        // After a signal, the output has only two seconds, so all results are read before.
        while is_read && (count(&lines, "lagged") == 0 || count(&lines, "finished") < failing.len())
        {
            let line: String = output.recv_timeout(Duration::from_secs(30)).unwrap();
            lines.extend(serde_json::from_str::<Value>(&line).ok());
        }
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        if is_read {
            lines.extend(output.iter().filter_map(|line| serde_json::from_str(&line).ok()));
        }
        let ran = wait_for_exit(child).await;
        assert_eq!(ran.code, Some(143), "{ran:?}");
        // The file has the last state of the running job.
        let file = fs::read_to_string(session.folder.file("wait.json")).unwrap();
        let records = file.lines().skip(2).map(|line| serde_json::from_str(&line[18..]).unwrap());
        let machines = records.filter_map(|record: Value| {
            let machine = &record.as_object()?.values().next()?["machine"];
            (machine["id"] == session.sim.job().as_str()).then(|| machine["attempts"].as_u64())?
        });
        let attempts = machines.last().unwrap();
        // The last attempt may have been in flight.
        assert!(attempts.abs_diff(readings().into()) <= 1, "{attempts} of {}", readings());
        if is_read {
            assert_eq!(count(&lines, "finished"), failing.len() + 1);
            let missed = lines.iter().filter_map(|line| line["missed"].as_u64()).sum::<u64>();
            let attempts = missed + count(&lines, "next_attempt") as u64;
            assert!(missed > 0 && attempts >= readings().into(), "{missed}, {attempts}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_stdout_does_not_panic() {
    let session = Transcript::new(Plan::create_cluster().slower(1000)).await;
    let mut child =
        session.spawn_until_first_request(&format!("wait {FAST_POLL_ARGS} -o jsonl JOB")).await;
    drop(child.stdout.take());
    let ran = wait_for_exit(child).await;
    assert_eq!(ran.code, Some(141), "the job had not ended: {ran:?}");
    assert!(ran.stderr.contains("stopped, because stdout was closed"), "{ran:?}");
    for line in ["show SAVED", "get --endpoint SERVICE JOB", "completions bash", "man wait"] {
        let saved = fixture("jobs/reference-example.json").display().to_string();
        let line = format!("{} ", line.replace("SAVED", &saved));
        let mut run = session.command(&line);
        run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = run.spawn().unwrap();
        drop(child.stdout.take());
        let ran = wait_for_exit(child).await;
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{line}: {ran:?}");
    }
    if Path::new("/dev/full").exists() {
        let full = |run: &mut Command| {
            let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
            run.stdout(full).stderr(Stdio::piped());
            run.spawn().unwrap()
        };
        let ran =
            wait_for_exit(full(&mut session.command(&format!("get {ENDPOINT_ARG} JOB")))).await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("cannot write to stdout: No space left"), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_closes_stdout_is_not_an_internal_error() {
    let session = Transcript::new(Plan::create_cluster().slower(100_000)).await;
    let succeeded = session.sim.add(Plan::delete_node());
    let failed = session.sim.add(Plan::delete_node().with_failure("in use"));
    let wait = format!("wait {FAST_POLL_ARGS} -q -o jsonl");
    let (first_line, first_end) = ("head -n 1", "grep -m 1 '\"event\":\"finished\"'");
    for (line, reader, code) in [
        (format!("{wait} JOB"), first_line, "141"),
        (format!("{wait} --print-id JOB"), first_line, "141"),
        // One job has ended, and the other wait is stopped.
        (format!("{wait} JOB {succeeded}"), first_end, "141"),
        (format!("{wait} JOB {failed}"), first_end, "5"),
        (format!("{wait} --any JOB {succeeded}"), first_end, "0"),
        (format!("get {ENDPOINT_ARG} JOB"), first_line, "0"),
        ("wait --help".into(), first_line, "0"),
    ] {
        let ran = session.command(&line);
        let words = ran.get_args().map(|word| word.to_str().unwrap());
        let line = shell_words::join([env!("CARGO_BIN_EXE_cce-job")].into_iter().chain(words));
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("{line} | {reader}; echo ${{PIPESTATUS[0]}}")]);
        for (name, value) in ran.get_envs() {
            shell.env(name, value.unwrap());
        }
        shell.current_dir(session.folder.file(""));
        let ran = run(shell).await;
        // A short text may be written before the reader closes.
        assert_eq!(ran.stdout.lines().last(), Some(code), "{line}: {ran:?}");
        assert!(!ran.stderr.contains("cannot write to stdout"), "{ran:?}");
    }
}

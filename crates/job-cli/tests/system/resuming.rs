//! Waits that stop before the job ends, and the commands that resume them.

use std::{fs, process::Command, time::Duration};

use job_sim::Plan;
use serde_json::Value;

use crate::{
    session::{ENDPOINT_ARG, FAST_POLL_ARGS, Transcript},
    support::{sleep, wait_for_exit},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_the_wait_cleanly() {
    let mut session = Transcript::new(Plan::create_cluster().slower(1000)).await;
    for (signal, checkpoint) in [("TERM", "--checkpoint wait.json"), ("INT", "")] {
        let line = format!("wait {ENDPOINT_ARG} --timeout none {checkpoint} -o jsonl JOB");
        let child = session.spawn_until_first_request(&line).await;
        let kill = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let mut ran = wait_for_exit(child).await;
        // The progress until the signal differs from run to run, so keep only the start of the last
        // event.
        ran.stdout = ran.stdout.lines().filter(|line| line.contains("finished")).collect();
        ran.stdout = ran.stdout.split(",\"phase\"").next().unwrap().to_owned() + "\n";
        session.record(&line, &ran);
    }
    assert!(session.folder.file("wait.json").exists());
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_resumes_after_a_timeout() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    let line = format!("wait {ENDPOINT_ARG} --schedule fixed:50ms -q --checkpoint wait.json");
    let ran = session.run(&format!("{line} --timeout 220ms JOB")).await;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let saved = fs::read_to_string(session.folder.file("wait.json")).unwrap();
    assert!(saved.contains(session.sim.job().as_str()) && !saved.contains("simulated"), "{saved}");
    // The printed command line has no jobs, because they are in the file.
    let resumed = ran.stderr.lines().last().unwrap().trim();
    let resumed = resumed.strip_prefix("cce-job ").unwrap();
    assert!(resumed.ends_with("--timeout 1s --checkpoint wait.json"), "{resumed}");
    let ran = session.run(&resumed.replace("1s", "1h")).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!session.folder.file("wait.json").exists(), "no wait is left");
    session.text.clear();
    session.run(&line).await;
    session.folder.write("wait.json", saved);
    session.run(&format!("{line} other")).await;
    session.folder.write("wait.json", "{}");
    session.run(&format!("{line} JOB")).await;
    session.run("wait --endpoint SERVICE --checkpoint none/wait.json JOB").await;
    session.run("wait --endpoint SERVICE --report none/job.html JOB").await;
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resume_line_does_not_wait_for_a_failed_job_again() {
    let mut session = Transcript::new(Plan::create_cluster().slower(1000)).await;
    let failed = session.sim.add(Plan::delete_node().with_failure("in use"));
    for checkpoint in ["", "--checkpoint wait.json"] {
        let line =
            format!("wait {FAST_POLL_ARGS} -q {checkpoint} --timeout 1s JOB {failed} nobody");
        let ran = session.run(&line).await;
        assert_eq!(ran.code, Some(5), "{ran:?}");
        assert!(ran.stderr.contains("to resume, for up to "), "{ran:?}");
        let resumed = ran.stderr.lines().last().unwrap().trim().strip_prefix("cce-job ").unwrap();
        let ids = if checkpoint.is_empty() { vec![session.sim.job().as_str()] } else { vec![] };
        let words = shell_words::split(resumed).unwrap();
        let ids_after = words.iter().rev().take_while(|word| *word != "1s" && *word != "wait.json");
        assert_eq!(ids_after.collect::<Vec<_>>(), ids, "{resumed}");
        let ran = session.run(resumed).await;
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(!ran.stdout.contains("in use"), "{ran:?}");
    }
    // The same command reports all jobs again.
    let line =
        format!("wait {FAST_POLL_ARGS} -q --checkpoint wait.json --timeout 1s JOB {failed} nobody");
    let ran = session.run(&line).await;
    assert!(ran.code == Some(5) && ran.stdout.contains("in use"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_wait_resumes_with_the_same_deadline() {
    let session = Transcript::new(Plan::create_cluster().slower(1000)).await;
    let line = format!(
        "wait {ENDPOINT_ARG} --schedule fixed:100ms --timeout 4s --checkpoint wait.json -q JOB"
    );
    let mut child = session.spawn_until_first_request(&line).await;
    let file = session.folder.file("wait.json");
    // The newest record: `wait`, or `plan` if only the counters changed.
    let attempts = || {
        let text = fs::read_to_string(&file).ok()?;
        let (_, json) = text.lines().last()?.split_at_checked(18)?;
        let record: Value = serde_json::from_str(json).ok()?;
        record.as_object()?.values().next()?["machine"]["attempts"].as_u64()
    };
    // The job is saved after its first reading. Its counters are saved a minute later.
    while attempts() < Some(1) || session.sim.requests() < 4 {
        sleep(Duration::from_millis(20)).await;
    }
    child.kill().unwrap();
    wait_for_exit(child).await;
    let saved = attempts();
    let ran = wait_for_exit(session.spawn_until_first_request(&line).await).await;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(attempts() > saved, "attempts are counted across both runs");
    // The timeout of four seconds includes both runs and the time between them.
    assert!(ran.stderr.contains("did not end within 4s"), "{ran:?}");
}

//! Transcripts of the ways to name jobs: replies, ids on stdin, several ids, and mistakes; and of the
//! environment variables of flags.

use job_sim::{Fault, Plan};

use crate::{
    session::{ENDPOINT_ARG, FAST_POLL_ARGS, Transcript},
    support::run,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_that_show_a_mistake_are_refused_without_a_request() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    let lines = [
        ("get {} '\"354331b2c-229a\"'", ""),
        ("get {} 354331b2c-229a,354331b2d-229a", ""),
        ("get {} null", ""),
        ("get {} ''", ""),
        ("get {} JOB -", "JOB\n\"354331b2c-229a\"\n"),
        ("wait {} -", "# ids\n\n"),
        ("wait {} -", "{\"jobid\": \"354331b2c-229a\"}\n"),
        ("wait {} '$JOB_ID'", ""),
        ("wait {} 'one two'", ""),
        ("wait {} --project null JOB", ""),
        ("wait {} --cluster '\"4d1ecb2c-229a\"'", ""),
        ("wait {} --cluster 4d1ecb2c-229a --node None", ""),
        ("wait {} --from -", ""),
        ("wait {} --from -", "null\n"),
        ("wait {} --from -", "{\"jobid\": \"354331b2c-229a\"}\n{\"order_id\": \"CS20\"}\n"),
        ("wait {} --from -", "HTTP/1.1 502 Bad Gateway\r\n\r\n<html><title>busy</title></html>"),
        ("wait {} --from -", "* Connected to cce.example\n> X-Auth-Token: canary\n"),
        ("wait {} --from - -", ""),
        ("get {} - -", ""),
    ];
    for (line, stdin) in lines {
        let line = line.replace("{}", ENDPOINT_ARG);
        let stdin = stdin.replace("JOB", session.sim.job().as_str());
        let ran = session.run_with(&line, &stdin, |run| run).await;
        assert_eq!(ran.code, Some(2), "{line}: {ran:?}");
    }
    assert_eq!(session.sim.requests(), 0);
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_reads_several_jobs() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    let other = session.sim.add(Plan::delete_node());
    let ids = format!("# all\n{}\n\n  {other} # the node\n", session.sim.job());
    for format in ["", "-o json", "--raw"] {
        session.run_with(&format!("get {ENDPOINT_ARG} {format} -"), &ids, |run| run).await;
    }
    session.run(&format!("get {ENDPOINT_ARG} JOB nobody-1 JOB nobody-2")).await;
    session.sim.inject_faults([Some(Fault::Stall)]);
    session.run(&format!("get {ENDPOINT_ARG} --timeout 300ms JOB")).await;
    session.text = session.text.replace(other.as_str(), "OTHER");
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wait_reads_the_output_of_several_calls() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    let other = session.sim.add(Plan::delete_node());
    let first = session.sim.job().clone();
    let outputs = [
        format!(
            "HTTP/2 202 \r\nx: y\r\n\r\n{{\"jobid\": \"{first}\"}}\n202\n{{\"job_id\": \"{other}\"}}201"
        ),
        format!("[{{\"jobID\": \"{first}\"}}, \"{other}\"]"),
        format!("{first}\n\"{other}\"\n"),
    ];
    for output in outputs {
        let line = format!("wait {FAST_POLL_ARGS} -q --from -");
        let ran = session.run_with(&line, &output, |run| run).await;
        assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 2), "{output}: {ran:?}");
    }
    // The reply of `get` names its own job.
    let reply = session.run(&format!("get {ENDPOINT_ARG} --raw JOB")).await;
    let line = format!("wait {FAST_POLL_ARGS} -q --from -");
    let ran = session.run_with(&line, &reply.stdout, |run| run).await;
    assert!(ran.stdout.starts_with(first.as_str()), "{ran:?}");
}

/// Flags come first, then variables of flags, then those of other clients, then defaults.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variables_set_flags_that_are_not_given() {
    let session = Transcript::new(Plan::create_cluster()).await;
    let running = session.sim.add(Plan::create_cluster().slower(100_000));
    let far = "2999-01-01T00:00:00Z";
    let slice = "cce-job wait --at-most 300ms --schedule fixed:1h --endpoint https://";
    // The command line, the variables without `CCE_JOB_`, the exit code, and a part of stdout or stderr.
    let rows = [
        ("get JOB", "ENDPOINT=SERVICE", 0, "CreateCluster"),
        ("get JOB", "ENDPOINT=SERVICE OUTPUT=json", 0, "{\"kind\""),
        ("get -o human JOB", "ENDPOINT=SERVICE OUTPUT=json", 0, "CreateCluster "),
        ("get JOB", "ENDPOINT=SERVICE OUTPUT=jsonl", 0, "CreateCluster "),
        ("get --raw JOB", "ENDPOINT=SERVICE OUTPUT=human", 0, "\"kind\""),
        ("get JOB", "ENDPOINT=SERVICE RAW=1", 0, "\"kind\""),
        ("get JOB", "ENDPOINT=SERVICE RAW=false", 0, "CreateCluster "),
        (
            "get JOB",
            "ENDPOINT=SERVICE RAW=2",
            2,
            "--raw is set by the environment variable CCE_JOB_RAW",
        ),
        // `get` has its own timeout.
        ("get JOB", "ENDPOINT=SERVICE TIMEOUT=soon", 0, "CreateCluster"),
        (
            "wait JOB",
            "ENDPOINT=SERVICE TIMEOUT=soon",
            2,
            "by the environment variable CCE_JOB_TIMEOUT",
        ),
        ("wait FAST JOB", "ENDPOINT=SERVICE TIMEOUT=", 0, "succeeded"),
        // A flag turns off the variable of a flag that it excludes. Two variables exclude each other.
        (&format!("wait --deadline {far} FAST JOB"), "ENDPOINT=SERVICE TIMEOUT=0", 0, "succeeded"),
        (
            "wait --timeout 1h FAST JOB",
            "ENDPOINT=SERVICE DEADLINE=2020-01-01T00:00:00Z",
            0,
            "succeeded",
        ),
        ("wait JOB", &format!("ENDPOINT=SERVICE TIMEOUT=1h DEADLINE={far}"), 2, "CCE_JOB_DEADLINE"),
        ("get --endpoint SERVICE JOB", "REGION=eu-de", 0, "CreateCluster"),
        ("get JOB", "REGION=eu-de ENDPOINT=SERVICE", 2, "CCE_JOB_REGION"),
        // The next command works without the variables.
        (
            "wait -q --schedule fixed:1h --print-id RUNNING",
            "ENDPOINT=SERVICE AT_MOST=300ms",
            8,
            slice,
        ),
        ("get --endpoint SERVICE JOB", "VERBOSE=1", 0, "GET"),
        ("config --endpoint SERVICE", "PROJECT=project-1", 0, "CCE_JOB_PROJECT"),
        // A misspelled variable, and one of a flag that has none.
        ("config --endpoint SERVICE", "TIMOUT=1h", 0, "CCE_JOB_TIMOUT"),
        ("config --endpoint SERVICE", "ANY=1", 0, "CCE_JOB_ANY"),
        ("config --endpoint SERVICE", "PROXY=http://canary:canary@proxy.example", 2, "a password"),
    ];
    for (line, variables, exit, expected) in rows {
        let line = line.replace("RUNNING", running.as_str());
        let line = line.replace("FAST", "--schedule fixed:10ms -q");
        let mut command = session.command(&line);
        for variable in variables.replace("SERVICE", &session.endpoint()).split(' ') {
            let (name, value) = variable.split_once('=').unwrap();
            command.env(format!("CCE_JOB_{name}"), value);
        }
        let ran = run(command).await;
        let shown = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, Some(exit), "{line} {variables}: {ran:?}");
        assert!(shown.contains(expected), "{line} {variables}: {ran:?}");
        assert!(!shown.contains("canary"), "{line} {variables}: {ran:?}");
    }
    let mut quiet = session.command("get --endpoint SERVICE -q JOB");
    quiet.env("CCE_JOB_VERBOSE", "1");
    let ran = run(quiet).await;
    assert_eq!(ran.stderr, "", "--quiet comes before CCE_JOB_VERBOSE");
}

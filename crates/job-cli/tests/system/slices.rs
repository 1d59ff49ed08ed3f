//! Waits in slices: `--at-most`, `--deadline`, `--state` and `--print-id`, against the simulated
//! service.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use job_sim::{Fault, ObjectPlan, Plan, Sim, SimServer, TimeSource};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{
    session::{ENDPOINT_ARG, FAST_POLL_ARGS, Transcript},
    support::{CommandResult, Folder, command, run, wait_command, wait_for_exit},
};

const CLUSTER: &str = "4d1ecb2c-229a-11e8-9c75-0255ac100ceb";

/// A service for one wait.
struct Service {
    sim: Arc<Sim>,
    server: SimServer,
    folder: Folder,
}

impl Service {
    async fn start(sim: Sim) -> Self {
        let sim = Arc::new(sim);
        let server = SimServer::start(sim.clone()).await.unwrap();
        Self { sim, server, folder: Folder::new() }
    }

    /// Waits for the job with these arguments, one call after the other until none is left. Returns the
    /// results of all calls.
    async fn wait(&self, args: &str) -> Vec<CommandResult> {
        let endpoint = self.server.endpoint();
        let mut next = wait_command(&self.sim, &endpoint, self.server.ca_pem(), &self.folder);
        next.args(shell_words::split(args).unwrap()).arg(self.sim.job().as_str());
        let mut calls = Vec::new();
        loop {
            let ran = run(next).await;
            let Some(words) = next_words(&ran) else {
                calls.push(ran);
                return calls;
            };
            assert_eq!(ran.code, Some(8), "{ran:?}");
            calls.push(ran);
            next = command();
            next.env("OS_TOKEN", self.sim.account().token)
                .env("OS_PROJECT_ID", self.sim.project().as_str())
                .args(&words[1..]);
        }
    }
}

/// Returns the last line of stdout, if it is that of a slice.
fn slice(ran: &CommandResult) -> Option<Value> {
    let line: Value = serde_json::from_str(ran.stdout.lines().last()?).ok()?;
    (line["event"] == "still_running").then_some(line)
}

/// Returns the words of the next command.
fn next_words(ran: &CommandResult) -> Option<Vec<String>> {
    Some(shell_words::split(slice(ran)?["next"].as_str()?).unwrap())
}

/// Returns what a call printed of the job's end, without times and counts.
fn outcome(ran: &CommandResult) -> String {
    let text = format!("{}{}", ran.stdout, ran.stderr);
    let lines = text.lines().filter(|line| !line.starts_with([' ', 'c', 't']));
    let lines = lines.map(|line| {
        let (start, end) = line.split_once(" (").unwrap_or((line, ""));
        // How long the job took, and when its end was detected.
        let start = match start.split_once(" in ").or_else(|| start.split_once(" after ")) {
            Some((start, rest)) => {
                format!("{start}{}", rest.split_once(": ").map_or("", |(_, job)| job))
            }
            None => start.to_owned(),
        };
        format!("{start}{}\n", end.split_once("): ").map_or("", |(_, cause)| cause))
    });
    lines.collect::<String>().split("(request id").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_slices_have_the_outcome_of_one_wait() {
    let job = |tenths: u32| Plan::create_cluster().slower(tenths).faster(50);
    let clock = |plan| Sim::new(plan, TimeSource::Clock);
    let deleted = || clock(job(30)).forget_jobs_after(Duration::ZERO);
    let unavailable = || {
        let sim = clock(job(600));
        sim.inject_faults(Fault::parse_script("1000*503").unwrap());
        sim
    };
    let cases: [(_, Box<dyn Fn() -> Sim>, _, _); 6] = [
        ("succeeds", Box::new(|| clock(job(110))), "--timeout 1m", 0),
        ("fails", Box::new(|| clock(job(110).with_failure("sold out"))), "--timeout 1m", 5),
        (
            "is ready",
            Box::new(|| {
                let objects = ObjectPlan::ready_after(Duration::from_secs(5));
                clock(job(50)).default_object_plan(objects)
            }),
            "--until ready --timeout 1m",
            0,
        ),
        // The service deletes the job at its end. What it made is known from the state only.
        ("is deleted", Box::new(deleted), "--until ready --timeout 1m", 0),
        ("takes too long", Box::new(|| clock(job(600))), "--timeout 9s", 3),
        ("is never read", Box::new(unavailable), "--timeout 9s", 6),
    ];
    let cases = cases.map(|(name, sim, args, code)| {
        let (one, sliced) = (sim(), sim());
        tokio::spawn(async move {
            let (one, sliced) = (Service::start(one).await, Service::start(sliced).await);
            let args = format!("--schedule fixed:400ms -q {args}");
            let in_slices = format!("{args} --at-most 500ms");
            let (whole, calls) = tokio::join!(one.wait(&args), sliced.wait(&in_slices));
            let requests = [&one.sim, &sliced.sim].map(|sim| sim.requests());
            (name, code, whole, calls, requests)
        })
    });
    for case in cases {
        let (name, code, whole, calls, [one, sliced]) = case.await.unwrap();
        let [whole] = &whole[..] else { panic!("{whole:?}") };
        let last = calls.last().unwrap();
        let slices = u32::try_from(calls.len()).unwrap() - 1;
        // The figures, if the test runs with `--no-capture`.
        let line = format!("{name}: {one} requests in one wait, {sliced} in {slices} slices\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        assert_eq!((whole.code, last.code), (Some(code), Some(code)), "{name}: {whole:?} {last:?}");
        assert_eq!(outcome(last), outcome(whole), "{name}");
        // About 20, unless the machine is busy.
        assert!((5..=40).contains(&slices), "{name}: {slices} slices");
        // Two more, because the end of a job is between two polls.
        assert!(sliced <= one + slices + 2, "{name}: {sliced} requests, not {one} + {slices}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_slice_has_the_most_severe_exit_code_of_all() {
    // The flags, and whether the failure is not the end of the wait.
    let rows = [
        ("", true),
        ("--checkpoint wait.json", true),
        ("--checkpoint wait.json -o jsonl", true),
        ("--report chart.md", true),
        ("--fail-fast", false),
        ("--any", false),
    ];
    let rows = rows.map(|(args, goes_on)| {
        tokio::spawn(async move {
            // It ends after some slices. Each request takes 500 ms of the service's time.
            let mut session = Transcript::new(Plan::create_cluster().slower(2)).await;
            let failed = session.sim.add(Plan::delete_node().with_failure("in use").faster(50));
            let flags = "--schedule fixed:400ms -q --at-most 1s";
            let mut line = format!("wait {ENDPOINT_ARG} {flags} {args} JOB {failed}");
            let mut calls = Vec::new();
            loop {
                let ran = session.run(&line).await;
                calls.push(ran.code.unwrap());
                let Some(words) = next_words(&ran) else { break };
                line = shell_words::join(&words[1..]);
            }
            let chart = std::fs::read_to_string(session.folder.file("chart.md"));
            let charts = chart.map_or(0, |text| text.matches("```mermaid").count());
            (args, goes_on, calls, charts)
        })
    });
    for row in rows {
        let (args, goes_on, calls, charts) = row.await.unwrap();
        let (last, before) = calls.split_last().unwrap();
        assert_eq!(*last, 5, "{args}: {calls:?}");
        assert!(before.iter().all(|code| *code == 8), "{args}: {calls:?}");
        assert!(!goes_on || !before.is_empty(), "{args}: {calls:?}");
        // Only the last slice appends a report.
        assert_eq!(charts, usize::from(args.starts_with("--report")), "{args}");
    }
}

/// Runs a command line, and then the command that goes on.
async fn run_slices(session: &mut Transcript, line: &str) -> [CommandResult; 2] {
    let first = session.run(line).await;
    let next = slice(&first).unwrap_or_else(|| panic!("{first:?}"))["next"].to_owned();
    let second = session.run(next.as_str().unwrap().strip_prefix("cce-job ").unwrap()).await;
    [first, second]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slice_prints_what_is_known_and_the_next_command() {
    let mut session = Transcript::new(Plan::create_cluster().slower(100_000)).await;
    let args = format!("wait {ENDPOINT_ARG} --schedule fixed:400ms --at-most 1s");
    for rest in ["JOB", "-q --timeout none -o json JOB", "-q --fail-fast --print-id JOB"] {
        run_slices(&mut session, &format!("{args} {rest}")).await;
    }
    session.sim.set_object_plan(CLUSTER, ObjectPlan::never_ready());
    run_slices(&mut session, &format!("{args} -q --cluster {CLUSTER}")).await;
    session.text = session.text.replace(CLUSTER, "CLUSTER");
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"--state [\w-]{100,}", "--state <state>");
    settings.add_filter(r#""attempts":\d+"#, r#""attempts":<number>"#);
    let _bound = settings.bind_to_scope();
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_command_names_what_is_still_running() {
    let mut session = Transcript::new(Plan::create_cluster().slower(100_000)).await;
    let failed = session.sim.add(Plan::delete_node().with_failure("in use"));
    let ended = session.sim.add(Plan::delete_node());
    let slow = session.sim.add(Plan::create_cluster().slower(100_000));
    let args = format!("wait {FAST_POLL_ARGS} -q --at-most 2s");
    session.folder.write("reply.json", format!(r#"{{"status": {{"jobID": "{slow}"}}}}"#));
    let job = session.sim.job().to_string();
    for (rest, worst, jobs) in [
        (format!("JOB {failed} {ended}"), 5, vec![job.as_str()]),
        (format!("{ended} JOB"), 0, vec![&job]),
        ("JOB --from reply.json".to_owned(), 0, vec![&job, slow.as_str()]),
        ("JOB nobody".into(), 0, vec![&job, "nobody"]),
        (format!("--any JOB {slow}"), 0, vec![&job, slow.as_str()]),
    ] {
        let ran = session.run(&format!("{args} {rest}")).await;
        assert_eq!(ran.code, Some(8), "{rest}: {ran:?}");
        let line = slice(&ran).unwrap();
        let numbers = ["exit", "worst", "running"].map(|field| line[field].as_u64().unwrap());
        assert_eq!(numbers, [8, worst, jobs.len() as u64], "{rest}");
        let shown: Vec<_> =
            line["jobs"].as_array().unwrap().iter().map(|row| &row["job"]).collect();
        assert_eq!(shown, jobs, "{rest}");
        let words = next_words(&ran).unwrap();
        assert!(words.ends_with(&jobs.iter().map(ToString::to_string).collect::<Vec<_>>()));
        assert_eq!(
            words.len() - jobs.len(),
            13 + usize::from(rest.starts_with("--any")),
            "{words:?}"
        );
    }
    // A file replaces the state and the ids.
    let [first, second] =
        run_slices(&mut session, &format!("{args} --checkpoint wait.json JOB {failed}")).await;
    assert_eq!((first.code, second.code), (Some(8), Some(8)), "{first:?} {second:?}");
    assert_eq!(slice(&second).unwrap()["worst"], 5, "{second:?}");
    let words = next_words(&second).unwrap();
    assert!(words.ends_with(&["--checkpoint".into(), "wait.json".into()]), "{words:?}");
    // The command is quoted for a shell, which runs it.
    let folder = &session.folder;
    std::fs::copy(folder.file("ca.pem"), folder.file("my ca.pem")).unwrap();
    let ran = session.run(&format!("{args} {ended} JOB nobody --ca-file 'my ca.pem'")).await;
    let next = slice(&ran).unwrap()["next"].as_str().unwrap().to_owned();
    assert!(next.contains("'my ca.pem'"), "{next}");
    let beside = std::path::Path::new(env!("CARGO_BIN_EXE_cce-job")).parent().unwrap();
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &next])
        .env_clear()
        .env("PATH", beside)
        .env("XDG_STATE_HOME", "/dev/null/none")
        .env("OS_TOKEN", session.sim.account().token)
        .env("OS_PROJECT_ID", session.sim.project().as_str())
        .current_dir(session.folder.file(""));
    let ran = run(shell).await;
    assert_eq!((ran.code, slice(&ran).unwrap()["running"].as_u64()), (Some(8), Some(2)), "{ran:?}");
    session.check_snapshot(|_| {});
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_for_nodes_name_only_those_that_are_not_ready() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    let nodes = ["11111111-0000-11e8-0000-0255ac100ceb", "22222222-0000-11e8-0000-0255ac100ceb"];
    session.sim.add_cluster(CLUSTER, ObjectPlan::ready());
    for (node, plan) in nodes.into_iter().zip([ObjectPlan::ready(), ObjectPlan::never_ready()]) {
        session.sim.add_node(CLUSTER, node, plan);
    }
    let [ready, slow] = nodes;
    let line = format!("wait {FAST_POLL_ARGS} -q --at-most 2s --cluster {CLUSTER}");
    let ran = session.run(&format!("{line} --node {ready} --node {slow}")).await;
    assert_eq!(ran.code, Some(8), "{ran:?}");
    let words = next_words(&ran).unwrap();
    let expected = ["--cluster", CLUSTER, "--node", slow].map(String::from);
    assert!(words.ends_with(&expected) && !words.contains(&ready.into()), "{words:?}");
    session.sim.set_object_plan(slow, ObjectPlan::ready());
    let ran = session.run(&shell_words::join(&words[1..])).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_of_slices_are_checked() {
    let mut session = Transcript::new(Plan::create_cluster().slower(100_000)).await;
    let many: String = (0..301).map(|number| format!("job-{number}\n")).collect();
    let past = "--deadline 2020-01-01T00:00:00Z";
    for (rest, stdin) in [
        ("--at-most 0 JOB", ""),
        ("--at-most 0s JOB", ""),
        ("--at-most 9 JOB", ""),
        ("--at-most 9m -", &*many),
        ("--state x --checkpoint wait.json JOB", ""),
        ("--deadline tomorrow JOB", ""),
        ("--deadline 2027-01-15T08:00:00 JOB", ""),
        (&format!("{past} --timeout 1h JOB"), ""),
        // One attempt, and the same with another slice.
        (&format!("{past} JOB"), ""),
        (&format!("{past} --at-most 9m JOB"), ""),
        // Without a state, the wait begins again.
        (&format!("{past} --state c3RhdGU JOB"), ""),
    ] {
        session.run_with(&format!("wait {FAST_POLL_ARGS} -q {rest}"), stdin, |run| run).await;
    }
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_are_printed_before_any_request() {
    // A service that accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = Folder::new();
    let reply = r#"{"kind": "Cluster", "metadata": {"uid": "c-1"}, "status": {"jobID": "j-1"}}"#;
    let mut wait = command();
    wait.args(["wait", "--print-id", "--endpoint"])
        .arg(format!("https://{}", silent.local_addr().unwrap()))
        .args(["j-2", "--from"])
        .arg(folder.write("reply.json", reply))
        .env("OS_TOKEN", "canary")
        .env("OS_PROJECT_ID", "p");
    let mut child = wait.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let lines = lines.take(2).map(|line| serde_json::from_str(&line.unwrap()).unwrap());
    let ids = lines.map(|line: Value| {
        assert_eq!(line["event"], "waiting");
        (line["job"].clone(), line["resource_id"].clone())
    });
    let expected = [("j-2".into(), Value::Null), ("j-1".into(), "c-1".into())];
    assert_eq!(ids.collect::<Vec<_>>(), expected);
    child.kill().unwrap();
    wait_for_exit(child).await;
}

//! Transcripts of each command and each exit code: stdout, stderr and the exit code. The simulated
//! job advances with each request, so that every run gives the same transcript.

use std::{fs, time::Duration};

use job_sim::{Fault, ListFault, Plan};
use serde_json::Value;

use crate::{
    session::{ENDPOINT_ARG, FAST_POLL_ARGS, Transcript},
    support::{DURABLE_HELP_LINE, fixture},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    for _ in 0..4 {
        session.run(&format!("get {ENDPOINT_ARG} -q JOB")).await;
    }
    session.text.clear();
    session.run(&format!("get {ENDPOINT_ARG} JOB")).await;
    let json = session.run(&format!("get {ENDPOINT_ARG} -o json JOB")).await;
    session.sim.inject_faults([Some(Fault::Reset)]);
    session.run(&format!("get {ENDPOINT_ARG} JOB")).await;
    session.run(&format!("get {ENDPOINT_ARG} nobody")).await;
    session.run(&format!("get {ENDPOINT_ARG} --project other JOB")).await;
    session
        .run_with(&format!("get {ENDPOINT_ARG} JOB"), "", |run| run.env("OS_TOKEN", "canary"))
        .await;
    let auth_url = format!("{}/v3", session.endpoint());
    let login = [
        ("OS_USERNAME", "user"),
        ("OS_PASSWORD", "canary"),
        ("OS_USER_DOMAIN_NAME", "domain"),
        ("OS_AUTH_URL", auth_url.as_str()),
    ];
    session
        .run_with(&format!("get {ENDPOINT_ARG} --auth password JOB"), "", |run| run.envs(login))
        .await;
    for fault in ["html", "302", "503", "429", "wrong-uid", "garbage", "phase:\u{1b}[2J\u{9b}1m"] {
        session.sim.inject_faults(Fault::parse_script(fault).unwrap());
        session.run(&format!("get {ENDPOINT_ARG} JOB")).await;
    }
    session.run(&format!("get {ENDPOINT_ARG} --raw -o human JOB")).await;
    session.run("get --endpoint https://127.0.0.1:9 JOB").await;
    assert_eq!(serde_json::from_str::<Value>(&json.stdout).unwrap()["kind"], "Job");
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    // The seconds are not shown, so the run may take almost half a minute.
    let ended = Duration::from_secs(2 * 3600 + 30 * 60 + 30);
    session.sim.add_finished(Plan::delete_node().with_failure("in use"), ended);
    let json = session.run(&format!("list {ENDPOINT_ARG} -o json")).await;
    let json: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json.iter().map(|job| &job["apiVersion"]).collect::<Vec<_>>(), ["v2", "v2"]);
    session.run(&format!("list {ENDPOINT_ARG}")).await;
    session.run(&format!("list {ENDPOINT_ARG} --autopilot -q")).await;
    session.run(&format!("list {ENDPOINT_ARG} --project other")).await;
    session
        .run_with(&format!("list {ENDPOINT_ARG}"), "", |run| run.env("OS_TOKEN", "canary"))
        .await;
    let rows =
        r#"[1, {"metadata": {"uid": "::error::\u001b[2J"}, "status": {"status": "Odd"}}, "x",]"#;
    for body in [rows, "[]", "null", "{}"] {
        let reply = http::Response::new(body.as_bytes().into());
        session.sim.set_list_faults([ListFault::Reply(Fault::Reply(reply))]);
        session.run(&format!("list {ENDPOINT_ARG}")).await;
    }
    for fault in ["404", "405", "429", "html", "oversized", "garbage"] {
        session.sim.set_list_faults(ListFault::parse_list(fault).unwrap());
        session.run(&format!("list {ENDPOINT_ARG}")).await;
    }
    session.run("list --endpoint https://127.0.0.1:9").await;
    // The width of a column depends on the time since the creation of a job.
    let lines = session.text.lines().map(|line| match line.starts_with("2> ") {
        true => line.to_owned(),
        false => line
            .split("  ")
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("  "),
    });
    session.text = lines.map(|line| line + "\n").collect();
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_shows_deviations_once() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    session.sim.inject_faults(Fault::parse_script("phase:Odd,phase:Odd").unwrap());
    let ran = session.run(&format!("wait {FAST_POLL_ARGS} --progress plain JOB")).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let warning = "warning: status.phase: unrecognized phase spelling";
    let counts = [&ran.stderr, &ran.stdout].map(|text| text.matches(warning).count());
    assert_eq!(counts, [1, 0], "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wait_for_one_job() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    session.run(&format!("wait {FAST_POLL_ARGS} JOB")).await;
    session.run(&format!("wait {FAST_POLL_ARGS} JOB -q --summary")).await;
    session.run(&format!("wait {FAST_POLL_ARGS} JOB -o json")).await;
    session.run(&format!("wait {FAST_POLL_ARGS} JOB --progress tree")).await;
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wait_for_a_job_that_fails() {
    let plan = Plan::create_cluster().with_failure("sold out\u{1b}]0;t\u{7}\u{202e}\r\n--");
    let mut session = Transcript::new(plan).await;
    session.sim.inject_faults(Fault::parse_script("2*ok, 503, 503, reset").unwrap());
    let policy = "--timeout 45m --color never";
    session.run(&format!("wait {FAST_POLL_ARGS} {policy} JOB --report job.svg")).await;
    session.run(&format!("wait {FAST_POLL_ARGS} -o jsonl JOB")).await;
    session.run(&format!("wait {FAST_POLL_ARGS} -q --color always JOB")).await;
    let report = fs::read_to_string(session.folder.file("job.svg")).unwrap();
    assert!(report.contains("class=\"error\"") && report.contains("sold out"), "{report}");
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_that_end_before_the_job() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    session.run(&format!("wait {FAST_POLL_ARGS} --timeout 0 JOB")).await;
    session.run(&format!("wait {FAST_POLL_ARGS} --timeout 0 JOB -o json")).await;
    session.run(&format!("wait {FAST_POLL_ARGS} --timeout 0 JOB -o jsonl")).await;
    session.run(&format!("wait {FAST_POLL_ARGS} --timeout 0 -q no-such")).await;
    session
        .run_with(&format!("wait {FAST_POLL_ARGS} JOB"), "", |run| run.env("OS_TOKEN", "canary"))
        .await;
    session.run(&format!("wait {FAST_POLL_ARGS} --project other JOB")).await;
    for fault in ["404, 400", "2*wrong-uid", "302"] {
        session.sim.inject_faults(Fault::parse_script(fault).unwrap());
        session.run(&format!("wait {FAST_POLL_ARGS} JOB")).await;
    }
    // An error after a reading: the wait can be resumed.
    for checkpoint in ["", "--checkpoint wait.json"] {
        session.sim.inject_faults(Fault::parse_script("ok, 2*wrong-uid").unwrap());
        session.run(&format!("wait {FAST_POLL_ARGS} -q {checkpoint} --timeout 45m JOB")).await;
    }
    session.run(&format!("wait {FAST_POLL_ARGS} --ca-file ../ca.pem JOB")).await;
    session.run_with("wait JOB", "", |run| run.env_remove("OS_TOKEN")).await;
    session
        .run_with(&format!("wait {ENDPOINT_ARG} JOB"), "", |run| run.env_remove("OS_TOKEN"))
        .await;
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_jobs() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    let short = session.sim.add(Plan::delete_node());
    let fails = session.sim.add(Plan::delete_cluster().with_failure("in use"));
    let ids = format!("{}\n\n  {short} {fails}\n{short}\n", session.sim.job());
    session.run_sorted(&format!("wait {FAST_POLL_ARGS} -q --summary -"), &ids).await;
    let first = session.sim.add(Plan::delete_node());
    let later = session.sim.add(Plan::create_cluster().slower(100));
    session.run(&format!("wait {FAST_POLL_ARGS} -q --any {later} {first}")).await;
    // This text is printed only if the other job was read before this one.
    let other_job = "; the job is still running";
    session
        .run_without(&format!("wait {FAST_POLL_ARGS} -q --fail-fast {later} {fails}"), other_job)
        .await;
    session
        .run_sorted(
            &format!("wait {FAST_POLL_ARGS} -q --timeout 0 nobody {first} {fails} {later}"),
            "",
        )
        .await;
    session.run_with(&format!("wait {FAST_POLL_ARGS} -"), " \n", |run| run).await;
    session.run_with(&format!("wait {FAST_POLL_ARGS} -"), "a\nb/c\n", |run| run).await;
    session.run_with(&format!("wait {FAST_POLL_ARGS} - --from -"), "", |run| run).await;
    session.run(&format!("wait {FAST_POLL_ARGS}")).await;
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_job_gets_one_finished_line() {
    let mut session = Transcript::new(Plan::create_cluster().slower(1000)).await;
    let first = session.sim.add(Plan::delete_node());
    let ran = session.run(&format!("wait {FAST_POLL_ARGS} -o jsonl --any JOB {first}")).await;
    let lines = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut ends: Vec<_> = lines
        .filter(|line| line["event"] == "finished")
        .map(|line| (line["job"].to_string(), line["outcome"].to_string()))
        .collect();
    ends.sort();
    let (job, first) = (session.sim.job(), first.as_str());
    let expected = [(job.as_str(), "stopped"), (first, "succeeded")];
    let expected = expected.map(|(job, outcome)| (format!("{job:?}"), format!("{outcome:?}")));
    assert_eq!((ran.code, ends), (Some(0), expected.into()), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wait_from_a_submission_reply() {
    let mut session = Transcript::new(Plan::delete_node()).await;
    let reply = format!(r#"{{"kind": "Cluster", "status": {{"jobID": "{}"}}}}"#, session.sim.job());
    session.folder.write("reply.json", &reply);
    session.run(&format!("wait {FAST_POLL_ARGS} -q --from reply.json")).await;
    session.run_with(&format!("wait {FAST_POLL_ARGS} -q --from -"), &reply, |run| run).await;
    let refusal = r#"{"errorCode": "CCE.01400001", "errorMessage": "Invalid request."}"#;
    session.run_with(&format!("wait {FAST_POLL_ARGS} --from -"), refusal, |run| run).await;
    session.run_with(&format!("wait {FAST_POLL_ARGS} --from -"), "", |run| run).await;
    session.run(&format!("wait {FAST_POLL_ARGS} --from none.json")).await;
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_show_each_request_and_no_secret() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    for (verbose, expected) in [("-v", "http.response.status_code=200"), ("-vv", "h2::codec")] {
        let ran = session.run(&format!("get {ENDPOINT_ARG} {verbose} JOB")).await;
        assert!(ran.code == Some(0) && ran.stderr.contains(expected), "{ran:?}");
        assert!(!ran.stderr.contains("simulated-token"), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saved_replies() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    for name in [
        "jobs/reference-example.json",
        "jobs/scale-up.json",
        "errors/kubernetes.json",
        "errors/proxy.html",
    ] {
        let file = fixture(name);
        fs::copy(&file, session.folder.file(file.file_name().unwrap().to_str().unwrap())).unwrap();
    }
    session.run("show reference-example.json").await;
    session.run("show -o json reference-example.json").await;
    session.run("show scale-up.json").await;
    session.run("show kubernetes.json").await;
    session.run("show proxy.html").await;
    session.run("show none.json").await;
    session.run_with("show -", "{\"status\": {\"phase\": \"Running\",}}", |run| run).await;
    session.run_with("show -", "", |run| run).await;
    session.run("report reference-example.json --format mermaid").await;
    session.run("report proxy.html").await;
    session.run("report reference-example.json -o none/out.html").await;
    let raw = session.run("show --raw reference-example.json").await;
    let saved = fs::read_to_string(session.folder.file("reference-example.json")).unwrap();
    assert_eq!(raw.stdout, saved);
    let shown = session.text.split("$ cce-job show --raw").next().unwrap().to_owned();
    session.text = shown;
    session.run("report reference-example.json -o out.html").await;
    let html = fs::read_to_string(session.folder.file("out.html")).unwrap();
    assert!(html.starts_with("<!doctype html>") && html.contains("CreatePSMCert"), "{html}");
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn config_shows_used_and_missing_settings() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    session.run("config --endpoint SERVICE").await;
    session.run("config").await;
    let proxy = "http://user:canary@proxy.example:3128";
    let line = "config --region eu-de --proxy env";
    session.run_with(line, "", |run| run.env("HTTPS_PROXY", proxy)).await;
    session.run(line).await;
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn demo() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    for (line, code, expected) in [
        ("demo --speed 20 -q", 0, "JOB succeeded in "),
        ("demo --speed 20 -q --fail", 5, "JOB failed after "),
    ] {
        let ran = session.run(line).await;
        let expected = expected.replace("JOB", session.sim.job().as_str());
        assert!(ran.code == Some(code) && ran.stdout.starts_with(&expected), "{ran:?}");
        assert!(ran.stderr.is_empty() && ran.stdout.lines().count() == 1, "{ran:?}");
    }
    let ran = session.run("demo --speed 20").await;
    for line in
        ["  CreatePSMCert 00000001: Success", "  InstallMaster 00000002: Success", ": Success"]
    {
        assert!(ran.stderr.contains(line), "{line:?} is not in {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    for line in ["--version", "--help", "-h", "", "wait --no-such-flag"] {
        session.run(line).await;
    }
    for command in [
        "get",
        "list",
        "wait",
        "watch",
        "ls",
        "cancel",
        "show",
        "report",
        "config",
        "sim",
        "demo",
        "completions",
        "man",
    ] {
        session.run(&format!("{command} --help")).await;
    }
    session.run("man nothing").await;
    session.run("completions tcsh").await;
    let shown =
        session.text.replace(&format!("2> {DURABLE_HELP_LINE}"), "").replace(DURABLE_HELP_LINE, "");
    insta::assert_snapshot!(shown);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn completions_and_man_pages_are_generated() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = session.run(&format!("completions {shell}")).await;
        // The script asks the command for the words.
        for word in ["cce-job", "_CCE_JOB_COMPLETE"] {
            assert!(ran.code == Some(0) && ran.stdout.contains(word), "{shell} has no {word}");
        }
    }
    let ran = session.run("man wait").await;
    assert!(ran.stdout.contains(".TH cce-job-wait 1"), "{ran:?}");
    assert!(ran.stdout.contains("\\-\\-checkpoint"), "{ran:?}");
    session.folder.write("man/x", "");
    let ran = session.run("man --folder man").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let pages = fs::read_dir(session.folder.file("man")).unwrap();
    let pages = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    let commands = if cfg!(feature = "durable") { 15 } else { 14 };
    assert_eq!(pages.filter(|page| page.ends_with(".1")).count(), commands);
}

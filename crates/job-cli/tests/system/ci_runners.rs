//! Tests of the command in CI: no text of the service becomes a command of a runner, a failure becomes
//! an annotation, and the summary of a step gets a whole report or nothing.

use std::{fs, time::Duration};

use job_sim::Plan;
use serde_json::json;

use crate::{
    session::Transcript,
    support::{CommandResult, sleep, wait_for_exit},
};

/// Texts that Azure Pipelines, GitHub Actions and TeamCity would run.
const COMMANDS: [&str; 4] = [
    "##[add-mask]x",
    "##vso[task.setvariable variable=x]y",
    "::stop-commands::x",
    "##teamcity[buildStop comment='x' readdToQueue='true']",
];

/// Checks an output or a file. In JSON, and in the style sheet of a page, `::` never starts a line.
fn assert_inert(what: &str, text: &str) {
    let is_for_people = !text.starts_with(['{', '<']);
    for line in text.lines() {
        assert!(!is_for_people || !line.contains("::"), "{what}: {line}");
        let lower = line.to_ascii_lowercase();
        let found =
            ["##[", "##vso[", "##teamcity["].into_iter().find(|start| lower.contains(start));
        assert_eq!(found, None, "{what}: {line}");
        assert!(!line.trim_start().starts_with("::"), "{what}: {line}");
    }
}

fn check(what: &str, ran: &CommandResult) {
    assert_inert(what, &ran.stdout);
    assert_inert(what, &ran.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_texts_are_not_commands_of_ci_runners() {
    for text in COMMANDS {
        let mut session = Transcript::new(Plan::create_cluster().with_failure(text)).await;
        let step = json!({"spec": {"type": text, "resourceName": text},
            "status": {"phase": text, "reason": text}});
        let job = json!({"metadata": {"uid": text}, text: text,
            "spec": {"type": text, "subJobs": [step]}, "status": {"phase": "Failed", "reason": text}});
        let (job, error) =
            (job.to_string(), json!({"error_code": text, "error_msg": text}).to_string());
        session.folder.write("job.json", &job);
        session.folder.write("error.json", error);
        for line in [
            "show job.json",
            "show -o json job.json",
            "show error.json",
            "report job.json",
            "report job.json --format svg",
            "report job.json --format mermaid",
            "report job.json --format markdown",
        ] {
            let ran = session.run(line).await;
            assert!(ran.stdout.len() + ran.stderr.len() > 20, "{line}: {ran:?}");
            check(line, &ran);
        }
        let ran = session.run("show -o json job.json").await;
        let value = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        assert_eq!(value(&ran.stdout), value(&job), "nothing is lost");
        for line in [
            "--summary --report job.html",
            "-o json --report job.svg",
            "-o jsonl --report job.mmd",
            "-v --progress plain --report job.md",
        ] {
            let ran = session
                .run(&format!("wait --endpoint SERVICE --schedule fixed:20ms {line} JOB"))
                .await;
            assert_eq!(ran.code, Some(5), "{line}: {ran:?}");
            check(line, &ran);
        }
        for report in ["job.html", "job.svg", "job.mmd", "job.md"] {
            assert_inert(report, &fs::read_to_string(session.folder.file(report)).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_one_annotation_on_github() {
    for (flags, variable, expected) in [
        ("", "true", 1),
        ("--annotations none", "true", 0),
        ("", "false", 0),
        ("--timeout 0 -q -o jsonl", "true", 1),
    ] {
        let plan = Plan::create_cluster().with_failure("50% sold out\r\n::warning::x");
        let mut session = Transcript::new(plan).await;
        let line = format!("wait --endpoint SERVICE --schedule fixed:20ms {flags} JOB");
        let ran =
            session.run_with(&line, "", |command| command.env("GITHUB_ACTIONS", variable)).await;
        let commands = ran.stderr.lines().filter(|line| line.contains("::"));
        let commands: Vec<_> = commands.collect();
        assert_eq!(commands.len(), expected, "{flags} {variable}: {ran:?}");
        for command in commands {
            let text = command.strip_prefix("::error title=cce-job%3A CreateCluster ").unwrap();
            let (title, message) = text.split_once("::").unwrap();
            let is_late = flags.contains("timeout");
            assert!(
                title.ends_with(if is_late { "deadline exceeded" } else { "failed" }),
                "{text}"
            );
            assert!(is_late || message.contains("50%25 sold out\\r\\n\\u{3a}:warning"), "{text}");
        }
        check("stdout", &CommandResult { stderr: String::new(), ..ran });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_summary_of_a_step_gets_a_whole_report_or_nothing() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    let summary = session.folder.file("step-summary");
    let path = summary.display().to_string();
    let line = format!("wait --endpoint SERVICE --schedule fixed:20ms -q --report {path} JOB");
    // A process that is killed has created no file.
    let mut command = session.command(&line);
    let before = session.sim.requests();
    let mut child = command.env("GITHUB_STEP_SUMMARY", &summary).spawn().unwrap();
    while session.sim.requests() == before {
        sleep(Duration::from_millis(5)).await;
    }
    child.kill().unwrap();
    wait_for_exit(child).await;
    assert!(!summary.exists(), "no file before the report is written");

    for count in 1..=2 {
        let summary = &summary;
        let ran = session
            .run_with(&line, "", |command| command.env("GITHUB_STEP_SUMMARY", summary))
            .await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let text = fs::read_to_string(summary).unwrap();
        assert_eq!(text.matches("\n```mermaid\ngantt\n").count(), count, "{text}");
        assert_eq!(text.matches("\n```\n").count(), count, "{text}");
        assert!(text.starts_with("\n**CreateCluster cluster-name: succeeded**\n"), "{text}");
    }

    // A summary above 1 MiB would be dropped by GitHub as a whole, so it is left as it is.
    fs::write(&summary, "x".repeat(1 << 20)).unwrap();
    let ran =
        session.run_with(&line, "", |command| command.env("GITHUB_STEP_SUMMARY", &summary)).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("GitHub drops a summary of more than 1 MiB"), "{ran:?}");
    assert_eq!(fs::metadata(&summary).unwrap().len(), 1 << 20);
}

//! Tests that no output contains a text of the service that a CI runner takes for a command.

use std::fs;

use job_sim::Plan;
use serde_json::json;

use crate::{session::Transcript, support::CommandResult};

/// Texts that Azure Pipelines, GitHub Actions and TeamCity would run.
const COMMANDS: [&str; 4] = [
    "##[add-mask]x",
    "##vso[task.setvariable variable=x]y",
    "::stop-commands::x",
    "##teamcity[buildStop comment='x' readdToQueue='true']",
];

fn assert_inert(what: &str, text: &str) {
    for line in text.lines() {
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
async fn foreign_texts_are_no_commands_of_ci_runners() {
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
            "-v --progress plain",
        ] {
            let ran = session
                .run(&format!("wait --endpoint SERVICE --schedule fixed:20ms {line} JOB"))
                .await;
            assert_eq!(ran.code, Some(5), "{line}: {ran:?}");
            check(line, &ran);
        }
        for report in ["job.html", "job.svg", "job.mmd"] {
            assert_inert(report, &fs::read_to_string(session.folder.file(report)).unwrap());
        }
    }
}

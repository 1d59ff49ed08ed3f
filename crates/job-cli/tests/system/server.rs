//! Tests of `watch`, `ls` and `cancel` against a server that replies as `cce-job-server` does.

mod fake;

use std::{fs, os::unix::fs::PermissionsExt};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use self::fake::{
    FakeServer, JOB, PROJECT, Reply, TOKEN, active, finished, job_document, ok, problem, projects,
    report,
};
use crate::support::{Folder, command, free_port, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_starts_a_wait_and_returns() {
    let server = FakeServer::with_waits([active(JOB)]).await;
    let ran = server.run(&["watch", JOB]).await;
    let line = format!(
        "{JOB} waiting: CreateCluster blue Running, 3 of 9 steps done, next request in 12s\n"
    );
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(0), &*line, ""));
    let start = format!("PUT /api/v1/waits/production/{JOB} {{}}");
    assert_eq!(server.requests(), ["GET /api/v1/projects".into(), start]);

    let ran = server
        .run(&[
            "watch",
            "--project",
            "a project",
            "--until=ready",
            "--timeout=90m",
            "--notify=https://a.example/x",
            "--notify=https://b.example",
            "-o=json",
            "other:j1",
            "j:2",
        ])
        .await;
    assert_eq!(ran.code, Some(2), "a project id cannot contain white space: {ran:?}");
    let ran = server
        .run(&[
            "watch",
            "--project=ö",
            "--until=ready",
            "--timeout=90m",
            "--notify=https://a.example/x",
            "--notify=https://b.example",
            "-o=json",
            "other:j1",
            "j2",
        ])
        .await;
    assert_eq!((ran.code, ran.stdout.lines().count(), &*ran.stderr), (Some(0), 2, ""), "{ran:?}");
    for line in ran.stdout.lines() {
        assert_eq!(serde_json::from_str::<Value>(line).unwrap(), active(JOB), "unchanged");
    }
    let body = r#"{"timeout":"1h30m","until":"ready","notify":["https://a.example/x","https://b.example"]}"#;
    let mut requests = server.requests();
    requests.sort();
    let expected = [
        format!("PUT /api/v1/waits/%C3%B6/j2 {body}"),
        format!("PUT /api/v1/waits/other/j1 {body}"),
    ];
    assert_eq!(requests, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follow_has_the_exit_codes_of_wait() {
    let failure = json!({"path": "", "job_types": ["CreateCluster"], "uid": null,
        "reason": "sold out", "name": null});
    let failed = json!({"failure": failure, "document": job_document("Failed")});
    let node = |phase: &str, state: &str| {
        json!({"objects": [{"cluster": "c1", "node": "n1", "phase": phase, "state": state}],
            "job_outcome": "succeeded", "document": job_document("Success")})
    };
    let success = |mut fields: Value| {
        fields["is_success"] = true.into();
        fields
    };
    let read = json!({"phase": "Running", "document": job_document("Running"),
        "error": "the deadline passed"});
    let unread = json!({"error": "the last attempt failed: 503"});
    let forbidden = json!({"error": "the last attempt failed: 403", "error_class": "permanent",
        "error_status": 403});
    // The outcome, the state, the fields, `--until`, the exit code, and a part of the output.
    let done = json!({"document": job_document("Success")});
    let rows: [(&str, &str, Value, &str, i32, &str); 22] = [
        ("succeeded", "ended", done.clone(), "ended", 0, "succeeded in 2m"),
        ("failed", "ended", failed.clone(), "ended", 5, "sold out"),
        ("failed", "ended", failed, "ready", 5, "failed after 2m"),
        ("ready", "ended", node("Active", "ready"), "ready", 0, "ready: node n1"),
        ("broken", "ended", node("Abnormal", "broken"), "ready", 5, "broken: node n1"),
        ("gone", "ended", success(node("-", "gone")), "gone", 0, "gone: node n1"),
        // A job that deletes is done when its objects are gone.
        ("gone", "ended", success(node("-", "gone")), "ready", 0, "gone: node n1"),
        ("gone", "ended", node("-", "gone"), "ready", 7, "gone: node n1"),
        ("deadline_exceeded", "stopped", read.clone(), "ended", 3, "the deadline passed"),
        ("deadline_exceeded", "stopped", unread.clone(), "ended", 6, "the last attempt failed"),
        ("not_ready", "stopped", node("Build", "under_way"), "ready", 3, "not_ready"),
        ("stalled", "stopped", read.clone(), "ended", 3, "the deadline passed"),
        ("unauthorized", "stopped", unread.clone(), "ended", 4, "503"),
        ("not_found", "stopped", unread.clone(), "ended", 7, "503"),
        ("vanished", "stopped", read, "ended", 7, "the deadline passed"),
        ("unreachable", "stopped", unread.clone(), "ended", 6, "503"),
        ("permanent", "stopped", unread.clone(), "ended", 6, "503"),
        ("permanent", "stopped", forbidden.clone(), "ended", 4, "403"),
        ("deadline_exceeded", "stopped", forbidden, "ended", 4, "403"),
        ("no_object", "stopped", done, "ready", 6, "no_object"),
        ("stopped", "stopped", unread.clone(), "ended", 6, "503"),
        ("an-outcome-of-the-future", "ended", unread, "ended", 6, "use a newer version"),
    ];
    for (outcome, state, fields, until, exit, shown) in rows {
        let report = report(outcome, &fields);
        let server = FakeServer::with_waits([active(JOB), finished(JOB, state, &report)]).await;
        let ran = server
            .run(&["watch", "--follow", "--follow-interval=1ms", "--until", until, JOB])
            .await;
        assert_eq!(ran.code, Some(exit), "{outcome}: {ran:?}");
        let progress = format!("{JOB} waiting: CreateCluster blue Running, 3 of 9 steps done\n");
        assert!(ran.stderr.starts_with(&progress), "{outcome}: {ran:?}");
        let result = if state == "ended" && exit != 6 { &ran.stdout } else { &ran.stderr };
        let line = result.lines().find(|line| line.contains(shown));
        assert!(line.is_some_and(|line| line.starts_with(JOB)), "{outcome}: {ran:?}");
        let last = server.requests().pop().unwrap();
        assert_eq!(last, format!("GET /api/v1/waits/production/{JOB}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follow_survives_a_restart_of_the_server() {
    let Reply(_, restarting) =
        problem(503, "database", "The database cannot be used", "the log has the reason");
    let done =
        finished(JOB, "ended", &report("succeeded", &json!({"document": job_document("Success")})));
    let waits = [active(JOB), restarting.clone(), restarting, active(JOB), done];
    let server = FakeServer::with_waits(waits).await;
    let arguments = ["watch", "--follow", "--follow-interval=1ms", "-o=json", "-q", JOB];
    let ran = server.run(&arguments).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stderr.matches("The database cannot be used").count(), 1, "{ran:?}");
    let line: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(line["result"]["outcome"], "succeeded");
}

/// Starts a server with this number of waits, of which each page has at most 150.
async fn server_with_many_waits(count: usize) -> FakeServer {
    let jobs: Vec<_> = (0..count).map(|index| format!("job-{index:04}")).collect();
    FakeServer::start(move |_, path, _| {
        let Some(query) = path.strip_prefix("/api/v1/waits?") else {
            return projects(&["production", "test"]);
        };
        let value =
            |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        let after = value("after").map(|key| key.replace("%3A", ":"));
        let rest = jobs.iter().skip_while(|job| {
            after.as_ref().is_some_and(|after| format!("{PROJECT}:{job}") <= *after)
        });
        let limit: usize = value("limit").unwrap().parse().unwrap();
        let rest: Vec<_> = rest.collect();
        let page = &rest[..rest.len().min(limit).min(150)];
        let next = (page.len() < rest.len()).then(|| format!("{PROJECT}:{}", page.last().unwrap()));
        let waits: Vec<_> = page.iter().map(|job| active(job)).collect();
        ok(json!({"waits": waits, "next": next}))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ls_reads_all_pages() {
    let server = server_with_many_waits(400).await;
    let ran =
        server.run(&["ls", "-o", "json", "--state", "overdue", "--project", "production"]).await;
    let waits: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, waits.len(), &*ran.stderr), (Some(0), 400, ""));
    assert_eq!((&waits[0], &waits[399]), (&active("job-0000"), &active("job-0399")));
    let filter = "&project=production&state=overdue";
    let expected = [
        format!("GET /api/v1/waits?limit=200{filter}"),
        format!("GET /api/v1/waits?limit=200{filter}&after={PROJECT}%3Ajob-0149"),
        format!("GET /api/v1/waits?limit=200{filter}&after={PROJECT}%3Ajob-0299"),
    ];
    assert_eq!(server.requests(), expected);

    let ran = server.run(&["ls", "--limit", "160"]).await;
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 161), "{ran:?}");
    let more = "cce-job: there are more than 160 waits; --limit sets how many are printed\n";
    assert_eq!(ran.stderr, more);
    let ran = server.run(&["ls", "--limit", "400"]).await;
    assert_eq!((ran.stdout.lines().count(), &*ran.stderr), (401, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ls_prints_a_table() {
    let paused = {
        let mut paused = active("b");
        paused["state"] = "paused".into();
        paused["active"]["last_error"] = "503 Service Unavailable".into();
        paused["active"]["progress"] = Value::Null;
        paused
    };
    let unreadable = json!({"key": "other:c", "number": 1, "state": "unreadable",
        "created_at": "2026-12-01T09:00:00Z", "active": null, "result": null});
    let failure = json!({"path": "", "job_types": ["CreateCluster"], "uid": null,
        "reason": "sold out", "name": null});
    let failed = report("failed", &json!({"type": "CreateNode", "name": "n", "failure": failure}));
    let stopped = report("deadline_exceeded", &json!({"error": "timed out after 1h"}));
    let waits = [
        active("a"),
        paused,
        unreadable,
        finished("d", "ended", &failed),
        finished("e", "stopped", &stopped),
    ];
    let server = FakeServer::start(move |_, path, _| match path {
        "/api/v1/projects" => projects(&["production"]),
        _ => ok(json!({"waits": waits, "next": null})),
    })
    .await;
    let ran = server.run(&["ls"]).await;
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    insta::assert_snapshot!(ran.stdout);

    let server =
        FakeServer::start(|_, _, _| ok(json!({"waits": [], "next": "x:y", "projects": []}))).await;
    let ran = server.run(&["ls"]).await;
    assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{ran:?}");
    assert!(ran.stderr.starts_with("cce-job: the server has no such waits\n"), "{ran:?}");
    assert_eq!(server.requests().len(), 2, "an empty page ends the list");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_stops_waits() {
    let server = FakeServer::start(|method, path, _| {
        assert_eq!(method, Method::DELETE);
        match path.rsplit('/').next().unwrap() {
            "unknown" => problem(
                404,
                "not-found",
                "The resource does not exist",
                "the job has no wait; PUT starts one",
            ),
            "done" => ok(finished("done", "ended", &report("succeeded", &json!({})))),
            job => ok(finished(job, "stopped", &report("stopped", &json!({"error": "stopped"})))),
        }
    })
    .await;
    let ran = server.run(&["cancel", "p:one", "p:done"]).await;
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    assert_eq!(ran.stdout, "one canceled\ndone had finished before: succeeded\n");
    let ran = server.run(&["cancel", "--project", "p", "unknown", "one"]).await;
    assert_eq!((ran.code, &*ran.stdout), (Some(7), "one canceled\n"));
    let expected = format!(
        "cce-job: unknown: {} has no wait for this job; `cce-job ls` lists the waits\n",
        server.url
    );
    assert_eq!(ran.stderr, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_sends_notifications_again() {
    let server = FakeServer::start(|method, path, _| match (method.as_str(), path) {
        ("GET", "/api/v1/notifications/undelivered") => ok(json!({"notifications": [
            {"id": "p:a-1", "state": "failed"},
            {"id": "p:b-2", "state": "pending"},
            {"id": "p:c-3", "state": "failed"},
        ]})),
        ("POST", "/api/v1/notifications/unknown/retry") => {
            problem(404, "not-found", "The resource does not exist", "no such notification")
        }
        ("POST", _) => Reply(StatusCode::ACCEPTED, Value::Null),
        _ => panic!("{method} {path}"),
    })
    .await;
    let ran = server.run(&["retry", "p:a-1", "unknown", "\u{1b}/.."]).await;
    let stdout = "p:a-1 is sent again\n\\u{1b}/.. is sent again\n";
    assert_eq!((ran.code, &*ran.stdout), (Some(7), stdout), "{ran:?}");
    let stderr = "cce-job: unknown: no undelivered notification has this id\n";
    assert_eq!(ran.stderr, stderr);
    let path = |id: &str| format!("POST /api/v1/notifications/{id}/retry");
    let mut requests = server.requests();
    requests.sort();
    assert_eq!(requests, ["%1B%2F..", "p%3Aa-1", "unknown"].map(path));

    let ran = server.run(&["retry", "--failed"]).await;
    let stdout = "p:a-1 is sent again\np:c-3 is sent again\n";
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(0), stdout, ""), "{ran:?}");
    assert_eq!(server.requests().len(), 3);
    for arguments in [&["retry"][..], &["retry", "--failed", "p:a-1"]] {
        assert_eq!(server.run(arguments).await.code, Some(2));
    }
    assert_eq!(server.requests(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_name_the_server_and_what_to_do() {
    let unknown = |_: &Method, _: &str, _: &str| {
        let detail = "the server has the projects production";
        problem(404, "unknown-project", "The project is not configured", detail)
    };
    let server = FakeServer::start(unknown).await;
    let rows: [(&[&str], &str); 3] = [
        (
            &["ls", "--project", "x"],
            "replied 404 Not Found: The project is not configured: the server has",
        ),
        (&["watch", "x:1"], "1: http://"),
        (&["cancel", "x:1"], "1: http://"),
    ];
    for (arguments, expected) in rows {
        let ran = server.run(arguments).await;
        assert_eq!(ran.code, Some(7), "{ran:?}");
        assert!(ran.stderr.contains(expected) && ran.stderr.contains(&server.url), "{ran:?}");
    }

    let mut wrong = server.command(&["ls"]);
    wrong.env("CCE_JOB_SERVER_TOKEN", "another-canary-token");
    let ran = run(wrong).await;
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(
        ran.stderr.contains("401 Unauthorized: A valid token is required: it is not"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("The token is from CCE_JOB_SERVER_TOKEN."), "{ran:?}");
    assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");

    let nobody = format!("http://127.0.0.1:{}", free_port().await);
    let ran = server.run(&["ls", "--server", &nobody]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains(&format!("no reply from {nobody}: ")), "{ran:?}");
    assert!(ran.stderr.contains("Start the server with `cce-job-server --config"), "{ran:?}");

    let several = FakeServer::start(|_, _, _| projects(&["production", "test"])).await;
    let ran = several.run(&["watch", JOB]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("several projects; use --project: production, test"), "{ran:?}");

    let none = FakeServer::start(|_, _, _| projects(&[])).await;
    let ran = none.run(&["cancel", JOB]).await;
    assert!(ran.code == Some(2) && ran.stderr.contains("has no project"), "{ran:?}");

    let other = FakeServer::start(|_, _, _| ok(json!("an endpoint of something else"))).await;
    let ran = other.run(&["ls"]).await;
    assert!(ran.code == Some(1) && ran.stderr.contains("Check whether --server is"), "{ran:?}");

    for (arguments, expected) in [
        (["ls", "--server=http://192.0.2.1:8484"], "must start with https://"),
        (["ls", "--server=https://me:canary@jobs.example"], "must not contain a user or password"),
        (["ls", "--server=https://jobs.example/?x"], "must not contain a query"),
        (["ls", "--server-ca-file=/nowhere"], "no reply"),
    ] {
        let mut command = command();
        command.env("CCE_JOB_SERVER_TOKEN", TOKEN).env("CCE_JOB_SERVER", &nobody).args(arguments);
        let ran = run(command).await;
        assert!(ran.stderr.contains(expected) && !ran.stderr.contains("canary"), "{ran:?}");
        assert_eq!(ran.code, Some(if expected == "no reply" { 1 } else { 2 }), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_of_the_server_stay_texts() {
    const HOSTILE: &str = "\u{1b}[2J\u{202e}\n::error::x ##[add-mask]";
    let hostile_report = report(HOSTILE, &json!({"error": HOSTILE, "name": HOSTILE}));
    let mut waiting = active(HOSTILE);
    for field in ["job_type", "phase", "name", "last_error"] {
        waiting["active"][field] = HOSTILE.into();
    }
    let ended = finished(HOSTILE, "ended", &hostile_report);
    let waits = [waiting.clone(), ended.clone()];
    let server = FakeServer::start(move |method, path, _| match path {
        _ if path.ends_with("/refused") => {
            problem(422, "receiver", HOSTILE, &format!("{HOSTILE} {TOKEN}"))
        }
        "/api/v1/projects" => projects(&[HOSTILE]),
        _ if path.starts_with("/api/v1/waits?") => ok(json!({"waits": waits, "next": null})),
        _ if method == Method::PUT => ok(waiting.clone()),
        _ => ok(ended.clone()),
    })
    .await;
    for arguments in [
        &["ls"] as &[&str],
        &["ls", "-o", "json"],
        &["watch", "p:1"],
        &["watch", "p:1", "-o", "json"],
        &["watch", "--follow", "--follow-interval=1ms", "p:1"],
        &["watch", "p:refused"],
        &["watch", "1"],
        &["cancel", "p:1"],
        &["cancel", "p:refused"],
    ] {
        let ran = server.run(arguments).await;
        for text in [&ran.stdout, &ran.stderr] {
            let is_plain = |c: char| c == '\n' || !job_model::is_unprintable(c);
            assert!(text.chars().all(is_plain), "{arguments:?}: {ran:?}");
            assert!(!text.contains("##[") && !text.contains("\n::"), "{arguments:?}: {ran:?}");
        }
        assert!(ran.stdout.len() + ran.stderr.len() > 10, "{arguments:?}: {ran:?}");
    }
}

/// The arguments and the variables of a command.
type Run<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_is_read_from_a_private_file() {
    let server = FakeServer::start(|_, path, _| match path {
        "/api/v1/projects" => projects(&["production"]),
        _ => ok(json!({"waits": [], "next": null})),
    })
    .await;
    let folder = Folder::new();
    let text = format!("# the new one\n\n  {TOKEN}  \nthe-old-canary\n");
    let file = folder.write_private("cce-job/server-token", &text);
    let run_with = async |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = command();
        command.args(["ls", "--server", &server.url]).args(arguments);
        let ran = run({
            command.envs(variables.iter().copied());
            command
        })
        .await;
        assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
        ran
    };
    let state = folder.file("").display().to_string();
    let shown = file.display().to_string();
    let flag = ["--server-token-file", &*shown];
    let in_state = [("XDG_STATE_HOME", &*state)];
    let in_variable = [("CCE_JOB_SERVER_TOKEN_FILE", &*shown)];
    let wrong = [("CCE_JOB_SERVER_TOKEN", "wrong-canary")];
    let rows: [Run<'_>; 4] = [
        (&flag, &[]),
        (&[], &in_variable),
        (&[], &in_state),
        // The flag comes first.
        (&flag, &wrong),
    ];
    for (arguments, variables) in rows {
        let ran = run_with(arguments, variables).await;
        assert_eq!(ran.code, Some(0), "{arguments:?} {variables:?}: {ran:?}");
    }
    // The variable comes before the state folder.
    let ran = run_with(&[], &[in_state[0], wrong[0]]).await;
    assert_eq!(ran.code, Some(4), "{ran:?}");

    let before = server.requests().len();
    assert!(before > 0);
    for mode in [0o602, 0o646] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let rows: [Run<'_>; 2] = [(&flag, &[]), (&[], &in_state)];
        for (arguments, variables) in rows {
            let ran = run_with(arguments, variables).await;
            assert_eq!(ran.code, Some(2), "{mode:o}: {ran:?}");
            assert!(ran.stderr.contains("every user can change it"), "{mode:o}: {ran:?}");
        }
    }
    // `config` lists variables that no flag has, but not the one with the token.
    let mut config = command();
    config.arg("config").envs(wrong).env("CCE_JOB_SERVER", "x").env("CCE_JOB_SERVER_TOKENS", "x");
    let ran = run(config).await;
    assert!(ran.stdout.contains("CCE_JOB_SERVER_TOKENS"), "{ran:?}");
    assert!(!ran.stdout.replace("CCE_JOB_SERVER_TOKENS", "").contains("CCE_JOB_SERVER"), "{ran:?}");

    // Without a token, and if the server is not on this machine, nothing is sent.
    let ran = run_with(&[], &[]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("no token for http://127.0.0.1"), "{ran:?}");
    assert!(ran.stderr.contains("cce-job-server creates this file when it starts"), "{ran:?}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let ran = run_with(&["--server=https://jobs.example"], &in_state).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    for (text, expected) in [("# none\n", "no token in"), ("a b\n", "contains a space")] {
        folder.write_private("cce-job/server-token", text);
        let ran = run_with(&[], &in_state).await;
        assert!(ran.code == Some(2) && ran.stderr.contains(expected), "{ran:?}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_are_not_followed() {
    let other = FakeServer::start(|_, _, _| ok(json!({}))).await;
    let location = format!("{}/api/v1/waits", other.url);
    let server = FakeServer::start(move |_, _, _| {
        Reply(StatusCode::TEMPORARY_REDIRECT, json!({"location": location}))
    })
    .await;
    for arguments in [&["ls"][..], &["watch", "p:1"], &["cancel", "p:1"]] {
        let ran = server.run(arguments).await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("307 Temporary Redirect"), "{ran:?}");
    }
    assert_eq!(server.requests().len(), 3);
    assert_eq!(other.requests(), [""; 0]);
}

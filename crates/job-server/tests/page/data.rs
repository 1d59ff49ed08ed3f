//! The data that the server of the tests invents.

use serde_json::{Value, json};

/// A text with markup, an escape sequence and an override of the writing direction.
pub(crate) const HOSTILE: &str = "<img src=/stolen onerror=\"window.stolen=1\"><script>window.stolen=1</script>\
    \u{1b}]0;stolen\u{7} \u{202e}gnp.exe\u{2066} it's";

/// An image that tries to run scripts and to load another image.
pub(crate) const TIMELINE: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 960 120\" \
    width=\"960\" height=\"120\" onload=\"window.stolen=1\"><script>window.stolen=1</script><image href=\"/stolen\" width=\"9\" height=\"9\"/>\
    <rect x=\"16\" y=\"24\" width=\"600\" height=\"14\" rx=\"3\" fill=\"#1a7f37\"/></svg>";

pub(crate) const PROJECTS: [(&str, &str); 3] = [
    ("10d0b3a10a1b4e5f8c7d6e5f4a3b2c10", "prod-eu-de"),
    ("20d0b3a10a1b4e5f8c7d6e5f4a3b2c20", "staging"),
    ("30d0b3a10a1b4e5f8c7d6e5f4a3b2c30", "team-analytics"),
];

/// The time of the server. The page takes it from the summary.
const NOW: i64 = 1_796_126_400;

/// Returns the time in the format of the API, some seconds before or after [`NOW`].
fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(NOW + seconds).unwrap().to_string()
}

/// Returns the id of a job.
pub(crate) fn job(index: usize) -> String {
    format!("{:08x}-229a-11e8-9c75-0255ac100ceb", 0x3543_31b2 + index)
}

/// Returns the status of a wait. One of 250 has failed, and one of 250 was stopped by its deadline.
pub(crate) fn wait(index: usize) -> Value {
    let (project, _) = PROJECTS[index % 3];
    let types = ["CreateCluster", "ScaleupCluster", "DeleteNode", "UpgradeCluster", "CreateNode"];
    let job_type = types[index % 5];
    let name = match index % 4 {
        0 => "prod-eu-1".to_owned(),
        1 => format!("cluster-blue-{}", index % 61),
        2 => format!("pool-green-{}", index % 97),
        _ => format!("analytics-batch-workers-{index}"),
    };
    let outcome = match index % 250 {
        7 => Some("failed"),
        8 => Some("deadline_exceeded"),
        9 => Some("succeeded"),
        _ => None,
    };
    let state = match outcome {
        Some("deadline_exceeded") => "stopped",
        Some(_) => "ended",
        None if index % 40 == 21 => "paused",
        None => "waiting",
    };
    let result = outcome.map(|outcome| result(index, outcome, job_type, &name));
    let active = if outcome.is_none() { active(index, job_type, &name) } else { Value::Null };
    json!({
        "key": format!("{project}:{}", job(index)), "number": index + 1, "state": state,
        "created_at": time(-age(index)), "active": active, "result": result,
    })
}

/// Returns for how many seconds a wait has existed.
fn age(index: usize) -> i64 {
    30 + number(index) * 7919 % 7200
}

/// Returns the result of a wait.
fn result(index: usize, outcome: &str, job_type: &str, name: &str) -> Value {
    let reasons = [
        "ECS quota exceeded: the flavor c7.4xlarge.4 is sold out in AZ eu-de-02; request a higher quota (Ecs.0319)",
        "no IP address left in the subnet",
    ];
    let failure = json!({"path": "spec.subJobs[1]", "job_types": [job_type, "InstallNode"],
        "uid": "x", "reason": reasons[index / 250 % 2], "name": "pool-blue-node-00017"});
    let is_failed = outcome == "failed";
    let error = (outcome == "deadline_exceeded").then_some(
        "the job did not end before the deadline (412 attempts in 1h; the job was last seen Running)",
    );
    json!({"outcome": outcome, "is_success": outcome == "succeeded", "finished_at": time(-(number(index) * 31 % 9000)), "report": {
        "outcome": outcome, "type": job_type, "name": name,
        "phase": if is_failed { "Failed" } else { "Running" },
        "failure": is_failed.then_some(failure), "failures": null, "error": error,
        "attempts": 22, "duration": 440.0, "elapsed": 418.2, "document": null}})
}

/// Returns the details of an active wait.
fn active(index: usize, job_type: &str, name: &str) -> Value {
    // One of them is paused, too.
    let is_overdue = index % 2500 == 11 || index % 2500 == 21;
    let total = if index % 4 == 3 { 0 } else { 1 + index * 13 % 24 };
    let done = if total == 0 { 0 } else { index * 5 % (total + 1) };
    let expected_end = (!index.is_multiple_of(6)).then(|| time(number(index) * 53 % 1500 - 60));
    let last_error = match index % 17 {
        _ if is_overdue => Some("the connection was refused"),
        3 => Some("the service answered 503 Service Unavailable (request id 8c1f)"),
        _ => None,
    };
    json!({
        "job_type": job_type, "phase": if index % 5 == 3 { "Initializing" } else { "Running" },
        "name": name,
        "progress": {"total": total, "initializing": 0, "running": total - done, "success": done,
            "failed": 0, "unknown": 0},
        "began_at": time(-age(index) - 40), "expected_end_at": expected_end,
        "attempts": 3 + index % 40, "last_error": last_error,
        "next_attempt_at": time(if is_overdue { -400 } else { number(index) * 37 % 58 + 2 }),
        "deadline_at": time(7200 - age(index)), "is_in_flight": index % 50 == 2,
    })
}

/// Returns the status of a wait with a hostile text in each field that may have one. Every second one has
/// failed.
pub(crate) fn hostile_wait(index: usize) -> Value {
    let mut status = wait(index);
    let (project, _) = PROJECTS[index % 3];
    status["key"] = format!("{project}:it's<b>{index}").into();
    if index.is_multiple_of(2) {
        status["state"] = "ended".into();
        status["active"] = Value::Null;
        status["result"] = json!({"outcome": "gone", "is_success": false, "finished_at": time(-number(index)), "report": {
            "type": HOSTILE, "name": HOSTILE, "phase": HOSTILE, "error": HOSTILE, "outcome": "gone",
            "failure": {"job_types": [HOSTILE, HOSTILE], "reason": HOSTILE, "name": HOSTILE}, "elapsed": 1.0}});
    } else {
        status["state"] = "waiting".into();
        status["result"] = Value::Null;
        status["active"] = json!({"job_type": HOSTILE, "phase": HOSTILE, "name": HOSTILE, "last_error": HOSTILE,
            "attempts": 1, "next_attempt_at": time(9), "deadline_at": null, "is_in_flight": false});
    }
    status
}

fn number(index: usize) -> i64 {
    i64::try_from(index).unwrap()
}

/// Returns a notification that was given up because of this error.
pub(crate) fn notification(key: &Value, error: &str) -> Value {
    json!({"id": "n-1", "key": key, "receiver": "hooks.example.com/services/T02", "queue": null, "state": "failed",
        "tries": 4, "last_error": error, "next_try_at": null})
}

/// Returns whether a notification is in the list of those that were not delivered.
pub(crate) fn is_undelivered(notification: &Value) -> bool {
    !notification["last_error"].is_null()
}

/// Returns the status of a wait that has ended with this outcome.
pub(crate) fn finished(index: usize, outcome: &str) -> Value {
    let mut status = wait(index);
    status["state"] = match outcome {
        "succeeded" | "failed" => "ended".into(),
        _ => "stopped".into(),
    };
    status["active"] = Value::Null;
    status["result"] = result(index, outcome, "CreateNode", &format!("node-{index}"));
    status
}

/// Returns whether a wait has succeeded.
pub(crate) fn is_success(status: &Value) -> bool {
    status["result"]["is_success"] == true
}

/// Returns the summary of a server with these waits. As in the server, a paused wait is not overdue.
pub(crate) fn summary(waits: &[Value], notifications: &[Value]) -> Value {
    let count = |is_counted: fn(&Value) -> bool| waits.iter().filter(|one| is_counted(one)).count();
    let is_overdue = |one: &Value| {
        let next = one["active"]["next_attempt_at"].as_str();
        one["state"] != "paused" && next.is_some_and(|next| next < &*time(-120))
    };
    let count_notices =
        |is_counted: fn(&Value) -> bool| notifications.iter().filter(|one| is_counted(one)).count();
    json!({
        "time": time(0),
        "waits": {
            "active": count(|one| one["active"].is_object()),
            "paused": count(|one| one["state"] == "paused"),
            "overdue": count(is_overdue),
            "succeeded": count(is_success),
            "failed": count(|one| one["state"] == "ended" && !is_success(one)),
            "stopped": count(|one| one["state"] == "stopped"),
        },
        "notifications": {
            "pending": count_notices(|one| one["state"] == "pending"),
            "retrying": count_notices(|one| one["state"] == "pending" && is_undelivered(one)),
            "failed": count_notices(|one| one["state"] == "failed"),
            "queued": 0,
        },
        "budget": {"queued": 14, "in_flight": 6, "requests_per_second": 50.0, "throttled_for": 0.0},
    })
}

//! Scripts of what the service does, and the transcripts of what the machine makes of them.
//!
//! A script is a row of replies: a phase (`init`, `running`, `success`, `failed`, or any other
//! word as it is), `none` for a job without one, a status, `drop` or `garbage`. `(5s)` says how
//! long the attempt takes (100 ms otherwise), `*3` repeats, `[A=running,..]` adds sub-jobs. The
//! last reply goes on for ever.

use std::fmt::Write;

use http::StatusCode;
use insta::assert_snapshot;
use job_transport::{FetchError, RequestSent, TransportError, TransportErrorKind};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Fixed;

/// The service as a script has it.
struct Script(Vec<Reply>);

#[derive(Clone, Debug)]
struct Reply {
    text: String,
    takes: Duration,
}

impl Script {
    fn parse(script: &str) -> Self {
        let mut replies = Vec::new();
        for token in script.split_whitespace() {
            let (token, times) = token.split_once('*').unwrap_or((token, "1"));
            let (text, takes) = token.split_once('(').unwrap_or((token, "0.1s)"));
            let seconds = takes.strip_suffix("s)").expect("seconds").parse().unwrap();
            let reply = Reply { text: text.into(), takes: Duration::from_secs_f64(seconds) };
            replies.extend(vec![reply; times.parse().unwrap()]);
        }
        Self(replies)
    }

    /// Returns what attempt `number` comes to under its timeout, and how long it takes.
    fn attempt(&self, number: usize, timeout: Duration) -> (Input, Duration) {
        let reply = &self.0[number.min(self.0.len() - 1)];
        if reply.takes > timeout {
            return (Input::Fault(Fault::timed_out(timeout)), timeout);
        }
        (reply.input(), reply.takes)
    }
}

impl Reply {
    fn input(&self) -> Input {
        let transport = |kind| TransportError::new(kind, RequestSent::Maybe).into();
        let error: FetchError = match &*self.text {
            "drop" => transport(TransportErrorKind::Closed),
            "badcert" => transport(TransportErrorKind::Certificate),
            "garbage" => {
                let page = http::Response::new("<html>".into());
                job_transport::Reading::from_response(page).unwrap_err()
            }
            status if status.parse::<u16>().is_ok() => {
                let status = status.parse::<StatusCode>().unwrap();
                FetchError::status(status, Some("r-1".into()))
            }
            _ => return Input::Reading(self.job().into()),
        };
        Input::Fault(Fault::from(&error))
    }

    /// Reads `running[InstallMaster=running,CreatePSMCert=success]` as a job.
    fn job(&self) -> Job {
        let (phase, sub_jobs) = self.text.split_once('[').unwrap_or((&self.text, "]"));
        let sub_jobs = sub_jobs.trim_end_matches(']').split(',').filter(|text| !text.is_empty());
        let sub_job = |text: &str| {
            let (name, phase) = text.split_once('=').expect("type=phase");
            json!({"metadata": {"uid": name}, "spec": {"type": name}, "status": status(phase)})
        };
        let body = json!({
            "spec": {"type": "CreateCluster", "subJobs": sub_jobs.map(sub_job).collect::<Value>()},
            "status": status(phase),
        });
        Job::from_slice(body.to_string().as_bytes()).unwrap()
    }
}

fn status(phase: &str) -> Value {
    match phase {
        "none" => json!({}),
        "init" => json!({"phase": "Initializing"}),
        "failed" => json!({"phase": "Failed", "reason": "no such flavor"}),
        other => json!({"phase": other}),
    }
}

fn policy() -> WaitPolicy {
    WaitPolicy::new().timeout(Duration::from_secs(60))
}

/// Runs the script to the wait's end, asking every 10 s and waking late; calls `see` with each step
/// and its time.
fn run(
    policy: WaitPolicy,
    script: &Script,
    late: Duration,
    mut see: impl FnMut(Duration, &Step),
) -> Duration {
    let schedule = Fixed::new(Duration::from_secs(10));
    let mut machine = Machine::new(policy);
    let (mut now, mut number, mut input) = (Duration::ZERO, 0, Input::Wake);
    loop {
        let step = machine.step(&schedule, now, input);
        see(now, &step);
        input = match step.action {
            Action::Fetch { timeout } => {
                let (input, took) = script.attempt(number, timeout);
                number += 1;
                now += took;
                input
            }
            Action::SleepUntil(at) => {
                now = now.max(at) + late;
                Input::Wake
            }
            Action::Finish(_) => return now,
        };
    }
}

/// Writes the transcript: the time, then an event or an action, one a line.
fn transcript_of(policy: WaitPolicy, script: &str) -> String {
    let mut transcript = format!("{script}\n");
    run(policy, &Script::parse(script), Duration::ZERO, |now, step| {
        let mut line = |text: String| {
            writeln!(transcript, "{:>7.3}  {text}", now.as_secs_f64()).unwrap();
        };
        for event in &step.events {
            line(event.to_string());
        }
        match &step.action {
            Action::Fetch { timeout } => line(format!("> fetch within {timeout:?}")),
            Action::SleepUntil(at) => line(format!("> sleep until {at:?}")),
            Action::Finish(result) => match &**result {
                Ok(ended) => line(format!("> {:?}, {} attempts", ended.outcome, ended.attempts)),
                Err(error) => {
                    line(format!("> {error}"));
                    line(format!("  last fault: {:?}", error.fault.as_ref().map(|f| &f.message)));
                }
            },
        }
    });
    transcript
}

fn transcript(script: &str) -> String {
    transcript_of(policy(), script)
}

#[test]
fn the_job_succeeds() {
    assert_snapshot!(transcript("init running*2 success"));
}

#[test]
fn the_job_fails_with_its_failing_step() {
    assert_snapshot!(transcript(
        "running[InstallMaster=running] running[InstallMaster=failed] failed[InstallMaster=failed]"
    ));
}

#[test]
fn sub_jobs_are_told_as_they_change() {
    assert_snapshot!(transcript(
        "running[A=running] running[B=init,A=success] running[B=running,A=success]*2 success[B=success,A=success]"
    ));
}

#[test]
fn transient_faults_are_survived() {
    assert_snapshot!(transcript("running drop 503 429 garbage 408(2s) running(40s) success"));
}

#[test]
fn pauses_after_faults_double_and_start_over() {
    assert_snapshot!(transcript_of(
        policy().timeout(Duration::from_secs(600)),
        "drop*7 running drop*2 success",
    ));
}

#[test]
fn refusals_end_the_wait() {
    let rows = ["401", "404", "403", "302", "204", "501", "badcert", "running 410"];
    assert_snapshot!(rows.map(transcript).join("\n"));
}

#[test]
fn only_success_and_failed_end_a_job() {
    assert_snapshot!(transcript("none Upgrading successful SUCCESS"));
}

#[test]
fn the_last_attempt_starts_before_the_deadline() {
    let seconds = |seconds| policy().timeout(Duration::from_secs_f64(seconds));
    let rows = [
        ("the pause is clipped", seconds(15.0), "running"),
        ("the last attempt may bring the end", seconds(15.0), "running*2 success"),
        ("an attempt in flight is cut at the deadline", seconds(25.0), "running running(99s)"),
        ("an attempt that ends in the reserve was the last", seconds(25.0), "running(24s) success"),
        ("a pause that ends there is the last", seconds(22.2), "running"),
        ("zero: one attempt under its own timeout", seconds(0.0), "running(5s) success"),
    ];
    let rows = rows.map(|(name, policy, script)| {
        format!("-- {name}, {:?}: {}", policy.timeout, transcript_of(policy, script))
    });
    assert_snapshot!(rows.join("\n"));
}

#[test]
fn a_wake_after_the_deadline_asks_no_more() {
    let schedule = Fixed::new(Duration::from_secs(10));
    let (begin, late) = (Duration::ZERO, Duration::from_secs(3600));
    let running = || Script::parse("running").attempt(0, Duration::MAX).0;
    let rows = [
        ("late from the start", vec![(late, Input::Wake)], 0),
        ("overslept", vec![(begin, Input::Wake), (begin, running()), (late, Input::Wake)], 1),
    ];
    for (name, inputs, attempts) in rows {
        let mut machine = Machine::new(policy());
        let steps = inputs.into_iter().map(|(now, input)| machine.step(&schedule, now, input));
        let last = steps.last().map(|step| step.action);
        let Some(Action::Finish(result)) = last else { panic!("{name}: {last:?}") };
        let error = result.unwrap_err();
        let told = (error.kind, error.attempts);
        assert_eq!(told, (WaitErrorKind::DeadlineExceeded, attempts), "{name}");
    }
}

const REPLIES: &[&str] = &[
    "init",
    "running",
    "running[A=running]",
    "running[A=success]",
    "none",
    "Upgrading",
    "success",
    "failed",
    "drop",
    "garbage",
    "429",
    "503",
    "401",
    "404",
    "410",
];

fn replies() -> impl Strategy<Value = Reply> {
    let takes = prop_oneof![Just(0), 0..100_u64, 0..100_000_u64].prop_map(Duration::from_millis);
    (prop::sample::select(REPLIES), takes)
        .prop_map(|(text, takes)| Reply { text: text.into(), takes })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_the_service_does(
        replies in prop::collection::vec(replies(), 1..20),
        timeout in prop_oneof![Just(0), 1..500_u64, 1..500_000_u64].prop_map(Duration::from_millis),
        late in prop_oneof![Just(0), 0..5_000_u64].prop_map(Duration::from_millis),
    ) {
        let policy = policy().timeout(timeout);
        // A wait without any time is one look, under the attempt's own timeout.
        let deadline = if timeout.is_zero() { policy.attempt_timeout } else { timeout };
        let script = Script(replies);
        let (mut attempts, mut planned, mut said) = (0, Duration::ZERO, "");
        let mut wrong = Vec::new();
        let ended = run(policy, &script, late, |now, step| {
            let right = match &step.action {
                Action::Fetch { timeout } => {
                    let reply = &script.0[attempts.min(script.0.len() - 1)];
                    attempts += 1;
                    said = if reply.takes > *timeout { "nothing" } else { &reply.text };
                    planned <= now && now + *timeout <= deadline
                }
                Action::SleepUntil(at) => {
                    planned = *at;
                    now <= *at && *at <= deadline
                }
                Action::Finish(result) => match (said, &**result) {
                    ("success", Ok(ended)) => ended.outcome == Outcome::Succeeded,
                    ("failed", Ok(ended)) => matches!(ended.outcome, Outcome::Failed(_)),
                    ("401", Err(error)) => error.kind == WaitErrorKind::Unauthorized,
                    ("404", Err(error)) => error.kind == WaitErrorKind::NotFound,
                    ("410", Err(error)) => error.kind == WaitErrorKind::Permanent,
                    ("success" | "failed", _) | (_, Ok(_)) => false,
                    (_, Err(error)) => {
                        error.kind == WaitErrorKind::DeadlineExceeded && now >= policy.last_start()
                    }
                },
            };
            if !right {
                wrong.push(format!("{now:?}, {said} was said: {step:?}"));
            }
        });
        prop_assert_eq!(wrong, Vec::<String>::new());
        prop_assert!(attempts > 0 && ended <= deadline.max(planned + late));
    }
}

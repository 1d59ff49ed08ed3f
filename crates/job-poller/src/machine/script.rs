//! Scripts of a service's replies, and transcripts of the machine's steps.
//!
//! A script is a list of replies. The last reply repeats forever:
//!
//! | word | the attempt's reply |
//! |---|---|
//! | `init`, `running`, `success`, `failed` | a job in this phase; `failed` with a reason, `failed?` without |
//! | `none`, any other word | a job without a phase, or with this phase |
//! | `running:b`, `running:`, `running:9` | a job with the uid `b`, an empty uid, or a number as its uid; otherwise it has no uid |
//! | `running[A=success,B=running]` | with sub-jobs of these types, which are also their uids |
//! | `running@5`, `success@5^8` | updated at second 5, reply sent at second 8, by the service's clock |
//! | `404`, `429(5s)` | a status, with a `Retry-After` |
//! | `nopath` | 404 with `APIGW.0101` |
//! | `drop`, `refused`, `nohost`, `badcert` | the connection is lost or refused, the host is unknown, the certificate is rejected |
//! | `garbage`, `badsig` | 200 with HTML; a wrong signature |
//!
//! The prefix `+` means that the credentials were refreshed during the attempt. The suffix `~40s`
//! sets how long the attempt takes (100 ms by default), and `*3` repeats the reply.

use std::fmt::Write;

use http::{HeaderValue, Response, StatusCode, header::RETRY_AFTER};
use jiff::Timestamp;
use job_model::ServiceError;
use job_transport::{
    FetchError, FetchErrorKind, Reading, RequestSent, TransportError, TransportErrorKind,
};
use serde_json::{Value, json};

use super::{outcome::Outcome, *};
use crate::schedule::{Exponential, Fixed, Schedule};

/// A parsed script.
#[derive(Clone, Debug)]
pub(super) struct Script(pub(super) Vec<Reply>);

#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) text: String,
    pub(super) latency: Duration,
}

impl Script {
    pub(super) fn parse(script: &str) -> Self {
        let mut replies = Vec::new();
        for token in script.split_whitespace() {
            let (token, times) = token.split_once('*').unwrap_or((token, "1"));
            let (text, latency) = token.split_once('~').unwrap_or((token, "0.1s"));
            let reply = Reply { text: text.into(), latency: seconds(latency) };
            replies.extend(vec![reply; times.parse().unwrap()]);
        }
        Self(replies)
    }

    pub(super) fn input(&self, number: usize) -> Input {
        self.reply(number).attempt(Duration::MAX).0
    }

    pub(super) fn reply(&self, number: usize) -> &Reply {
        &self.0[number.min(self.0.len() - 1)]
    }
}

fn seconds(text: &str) -> Duration {
    let seconds = text.strip_suffix('s').unwrap_or_else(|| panic!("{text:?}: seconds, as 5s"));
    Duration::from_secs_f64(seconds.parse().unwrap())
}

impl Reply {
    /// Returns the result of an attempt with this timeout, and how long the attempt takes.
    pub(super) fn attempt(&self, timeout: Duration) -> (Input, Duration) {
        if self.latency > timeout {
            return (Input::Error(AttemptError::timed_out(timeout)), timeout);
        }
        (self.input(), self.latency)
    }

    fn input(&self) -> Input {
        let text = self.text.strip_prefix('+').unwrap_or(&self.text);
        let credentials_refreshed = text.len() < self.text.len();
        match parse_error(text) {
            Some(error) => Input::from(error.with_credentials_refreshed(credentials_refreshed)),
            None => {
                let (text, date) = text
                    .split_once('^')
                    .map_or((text, None), |(text, date)| (text, Some(service_time(date))));
                Input::Reading { snapshot: parse_job(text).into(), date, credentials_refreshed }
            }
        }
    }
}

fn parse_error(text: &str) -> Option<FetchError> {
    let transport = |kind| TransportError::new(kind, RequestSent::Maybe).into();
    let status = |status: StatusCode, body: &'static str| {
        let mut reply = Response::new(body.into());
        *reply.status_mut() = status;
        reply
    };
    Some(match text {
        "drop" => transport(TransportErrorKind::Closed),
        "refused" => transport(TransportErrorKind::Connect),
        "nohost" => transport(TransportErrorKind::Dns),
        "badcert" => transport(TransportErrorKind::Certificate),
        "badsig" => {
            let body = br#"{"error_code": "APIGW.0301", "error_msg": "wrong"}"#;
            let service_error = ServiceError::from_body(401, None, body).unwrap();
            FetchError::new(FetchErrorKind::WrongSignature).with_service_error(service_error)
        }
        "nopath" => {
            let body = r#"{"error_code": "APIGW.0101", "error_msg": "no such API"}"#;
            FetchError::from_response(&status(StatusCode::NOT_FOUND, body))
        }
        "garbage" => Reading::from_response(Response::new("<html>".into())).unwrap_err(),
        _ => {
            let (code, retry_after) = text.split_once('(').unwrap_or((text, ""));
            let mut reply = status(StatusCode::from_u16(code.parse().ok()?).unwrap(), "");
            if let Some(retry_after) = retry_after.strip_suffix("s)") {
                let value = HeaderValue::from_str(retry_after).unwrap();
                reply.headers_mut().insert(RETRY_AFTER, value);
            }
            FetchError::from_response(&reply)
        }
    })
}

fn parse_job(text: &str) -> Job {
    let (text, updated) = text.split_once('@').unwrap_or((text, ""));
    let (text, sub_jobs) = text.split_once('[').unwrap_or((text, "]"));
    let (phase, uid) = text.split_once(':').map_or((text, None), |(phase, uid)| (phase, Some(uid)));
    let sub_jobs = sub_jobs.trim_end_matches(']').split(',').filter(|text| !text.is_empty());
    let sub_job = |text: &str| {
        let (name, phase) = text.split_once('=').expect("type=phase");
        json!({"metadata": {"uid": name}, "spec": {"type": name}, "status": status_json(phase)})
    };
    let mut body = json!({
        "metadata": {},
        "spec": {"type": "CreateCluster", "subJobs": sub_jobs.map(sub_job).collect::<Value>()},
        "status": status_json(phase),
    });
    if let Some(uid) = uid {
        body["metadata"]["uid"] = uid.parse::<u32>().map_or_else(|_| uid.into(), Value::from);
    }
    if !updated.is_empty() {
        body["metadata"]["updateTimestamp"] = service_time(updated).to_string().into();
    }
    Job::from_slice(body.to_string().as_bytes()).unwrap()
}

fn status_json(phase: &str) -> Value {
    match phase {
        "none" => json!({}),
        "init" => json!({"phase": "Initializing"}),
        "running" => json!({"phase": "Running"}),
        "success" => json!({"phase": "Success"}),
        "failed" => json!({"phase": "Failed", "reason": "no such flavor"}),
        "failed?" => json!({"phase": "Failed", "reason": ""}),
        other => json!({"phase": other}),
    }
}

/// Returns a time of the service's clock.
fn service_time(second: &str) -> Timestamp {
    Timestamp::from_second(1_580_631_000 + second.parse::<i64>().unwrap()).unwrap()
}

/// The configuration of a transcript.
#[derive(Clone, Copy)]
pub(super) struct Setup {
    pub(super) policy: WaitPolicy,
    pub(super) schedule: &'static dyn Schedule,
    /// How late each wake is.
    pub(super) wake_latency: Duration,
    /// When the caller stops the wait.
    pub(super) stop_at: Duration,
    /// Whether the source compares each reply with the last snapshot, as `fetch_since` may.
    pub(super) compares_replies: bool,
}

/// Returns a wait of one minute that polls every 10 s, without jitter.
pub(super) fn setup() -> Setup {
    const TEN_SECONDS: Fixed = Fixed::new(Duration::from_secs(10));
    const BACKOFF: Exponential =
        Exponential::new(Duration::from_secs(1)..=Duration::from_secs(30)).factor(2.0).jitter(0.0);
    let policy = WaitPolicy::new().timeout(Duration::from_secs(60)).backoff(BACKOFF);
    Setup {
        policy,
        schedule: &TEN_SECONDS,
        wake_latency: Duration::ZERO,
        stop_at: Duration::MAX,
        compares_replies: false,
    }
}

impl Setup {
    pub(super) fn timeout(self, seconds: f64) -> Self {
        self.policy(|policy| policy.timeout(Duration::from_secs_f64(seconds)))
    }

    pub(super) fn policy(self, set: impl Fn(WaitPolicy) -> WaitPolicy) -> Self {
        Self { policy: set(self.policy), ..self }
    }

    pub(super) fn machine(&self) -> Machine {
        Machine::new("a".parse().unwrap(), self.policy)
    }

    /// Runs the script until the wait ends, and returns that time. Calls `see` with each step, its
    /// time, and the reply before it.
    pub(super) fn run(
        &self,
        script: &Script,
        mut see: impl FnMut(Duration, &Step, Option<&Reply>),
    ) -> Duration {
        let mut machine = self.machine();
        let (mut now, mut number, mut input, mut reply) = (Duration::ZERO, 0, Input::Wake, None);
        loop {
            let step = machine.step(self.schedule, now, input);
            see(now, &step, reply);
            let after;
            (input, reply, after) = match step.action {
                Action::Fetch { timeout, last, .. } => {
                    let reply = script.reply(number);
                    number += 1;
                    let (input, latency) = reply.attempt(timeout);
                    let input = if self.compares_replies { compare(input, last) } else { input };
                    (input, Some(reply), now + latency)
                }
                Action::SleepUntil(at) => (Input::Wake, None, now.max(at) + self.wake_latency),
                Action::Finish(_) => return now,
            };
            if now < self.stop_at && self.stop_at < after {
                (input, reply, now) = (Input::Stop, None, self.stop_at);
            } else {
                now = after;
            }
        }
    }

    /// Returns the transcript: on each line the time, then an event or an action. Checks that it is
    /// the same if the source compares replies.
    pub(super) fn transcript(&self, script: &str) -> String {
        let transcript = self.write_transcript(script);
        let comparing = Self { compares_replies: true, ..*self };
        assert_eq!(comparing.write_transcript(script), transcript, "with `fetch_since`");
        transcript
    }

    fn write_transcript(&self, script: &str) -> String {
        let mut transcript = format!("{script}\n");
        self.run(&Script::parse(script), |now, step, _| {
            let mut line = |text: String| {
                writeln!(transcript, "{:>7.3}  {text}", now.as_secs_f64()).unwrap();
            };
            for event in &step.events {
                line(event.to_string());
            }
            match &step.action {
                Action::Fetch { id, timeout, .. } => {
                    line(format!("> fetch {id} within {timeout:?}"));
                }
                Action::SleepUntil(at) => line(format!("> sleep until {at:?}")),
                Action::Finish(result) => match &**result {
                    Ok(finished) => line(format!("> {}", format_finished(finished))),
                    Err(error) => {
                        line(format!("> {:?}: {error}", error.kind()));
                        line(format!(
                            "  last error: {:?}",
                            error.last_error().map(|error| &error.message)
                        ));
                    }
                },
            }
        });
        transcript
    }

    pub(super) fn transcripts<const N: usize>(&self, scripts: [&str; N]) -> String {
        scripts.map(|script| self.transcript(script)).join("\n")
    }
}

/// Returns what `fetch_since` would return instead of a reading that equals the last one.
pub(super) fn compare(input: Input, last: Option<JobSnapshot>) -> Input {
    match input {
        Input::Reading { snapshot, date, credentials_refreshed }
            if last.as_ref() == Some(&snapshot) =>
        {
            Input::Unchanged { date, credentials_refreshed }
        }
        input => input,
    }
}

fn format_finished(finished: &FinishedJob) -> String {
    let mut shown = match &finished.outcome {
        Outcome::Succeeded => "succeeded".into(),
        Outcome::Failed(failure) => {
            let active: String =
                finished.active_sub_jobs.iter().map(|path| format!("; active: {path}")).collect();
            format!("failed: {failure}{active}")
        }
    };
    shown +=
        &format!(", {} attempts, {} sub-job lookups", finished.attempts, finished.sub_job_lookups);
    if let Some(delay) = finished.detection_delay {
        shown += &format!(", read {delay:?} after its end");
    }
    for inconsistency in &finished.inconsistencies {
        shown += &format!("\n           inconsistent: {inconsistency}");
    }
    shown
}

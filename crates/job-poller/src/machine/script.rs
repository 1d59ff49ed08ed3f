//! Transcripts of the machine's steps, for the replies of a script.

use std::{env, fmt::Write};

use job_model::object::ObjectId;
use proptest::test_runner::Config;

use super::{outcome::Outcome, *};
pub(super) use crate::reply_script::Reply;
use crate::{
    reply_script::ReplyScript,
    schedule::{Exponential, Fixed, Schedule},
};

/// Runs this many cases of a property, or the number in `PROPTEST_CASES`.
pub(super) fn cases(count: u32) -> Config {
    match env::var_os("PROPTEST_CASES") {
        Some(_) => Config::default(),
        None => Config::with_cases(count),
    }
}

/// Parses a script, which is part of a test.
pub(super) fn parse(script: &str) -> ReplyScript {
    ReplyScript::parse(script).unwrap()
}

/// Returns the result of an attempt with this timeout, and how long the attempt takes.
pub(super) fn attempt(reply: &Reply, timeout: Duration) -> (Input, Duration) {
    if reply.latency > timeout {
        return (Input::Error(AttemptError::timed_out(timeout)), timeout);
    }
    (reply.result().into(), reply.latency)
}

/// Returns the result of an attempt to read an object, and how long the attempt takes.
pub(super) fn attempt_object(reply: &Reply, id: &ObjectId, timeout: Duration) -> (Input, Duration) {
    if reply.latency > timeout {
        return (Input::Error(AttemptError::timed_out(timeout)), timeout);
    }
    (reply.object_result(id.kind()).into(), reply.latency)
}

/// The configuration of a transcript.
#[derive(Clone, Copy)]
pub(super) struct Setup {
    /// The object of a wait without a job.
    pub(super) object: Option<fn() -> ObjectId>,
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
        object: None,
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
        match self.object {
            Some(id) => Machine::for_object(id(), self.policy),
            None => Machine::new("a".parse().unwrap(), self.policy),
        }
    }

    /// Runs the script until the wait ends, and returns that time. Calls `see` with each step, its
    /// time, and the reply before it.
    pub(super) fn run(
        &self,
        script: &ReplyScript,
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
                    let (input, latency) = attempt(reply, timeout);
                    let input = if self.compares_replies { compare(input, last) } else { input };
                    (input, Some(reply), now + latency)
                }
                Action::FetchObject { id, timeout } => {
                    let reply = script.reply(number);
                    number += 1;
                    let (input, latency) = attempt_object(reply, &id, timeout);
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
        self.run(&parse(script), |now, step, _| {
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
                Action::FetchObject { id, timeout } => {
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
        Outcome::Ready | Outcome::Broken | Outcome::Gone => {
            let (outcome, objects) = (finished.outcome.as_str(), finished.object_summary());
            format!("{outcome} ({}): {objects}", finished.is_success())
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

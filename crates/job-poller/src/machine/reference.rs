//! Compares the machine with a simple reference model, for random replies and times.

use jiff::Timestamp;
use job_model::Phase;
use job_transport::FetchErrorKind;
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::{
    outcome::Outcome,
    replay::replies,
    script::{Reply, attempt, cases, compare, setup},
    *,
};
use crate::schedule::Exponential;

prop_state_machine! {
    #![proptest_config(cases(4000))]

    #[test]
    fn machine_agrees_with_the_reference_model(sequential 1..30 => CheckedMachine);
}

/// The state of the job and the limits of the wait, without any of the machine's rules.
#[derive(Clone, Debug)]
struct Model {
    timeout: Option<Duration>,
    wake_latency: Duration,
    /// The phase in the last accepted reply; `None` before the first.
    phase: Option<Option<Phase>>,
    has_active_sub_job: bool,
    updated: Option<Timestamp>,
    stale_in_a_row: u32,
    /// The input from the last reply of any kind.
    last_input: Option<Input>,
    /// When the first of the last attempts without a reply ended.
    no_reply_since: Option<Duration>,
}

/// A step of the test.
#[derive(Clone, Debug)]
enum Transition {
    Reply(Reply),
    /// A wake in the middle of the sleep.
    EarlyWake,
    Stop,
}

impl Model {
    fn deadline(&self) -> Duration {
        match self.timeout {
            None => Duration::MAX,
            Some(Duration::ZERO) => self.policy().attempt_timeout,
            Some(timeout) => timeout,
        }
    }

    /// Returns how long sub-jobs may be looked up after the single attempt of a wait whose timeout
    /// is zero.
    fn lookup_grace(&self) -> Duration {
        Duration::from_secs(if self.timeout == Some(Duration::ZERO) { 10 } else { 0 })
    }

    fn policy(&self) -> WaitPolicy {
        let policy = setup().policy;
        self.timeout.map_or_else(|| policy.no_timeout(), |timeout| policy.timeout(timeout))
    }

    /// Updates the model from a reply, unless the reply is stale.
    fn observe(&mut self, job: &Job) {
        let metadata = job.metadata.as_ref();
        let updated = metadata.and_then(|metadata| metadata.update_timestamp.as_ref()?.instant());
        let is_terminal = job.phase().is_some_and(Phase::is_terminal);
        if updated.is_some_and(|now| self.updated > Some(now))
            && !is_terminal
            && self.stale_in_a_row < 3
        {
            self.stale_in_a_row += 1;
            return;
        }
        let is_active = |phase| matches!(phase, Some(&(Phase::Initializing | Phase::Running)));
        self.has_active_sub_job = job.sub_jobs().iter().any(|sub_job| is_active(sub_job.phase()));
        self.phase = Some(job.phase().cloned());
        (self.updated, self.stale_in_a_row) = (updated, 0);
    }

    /// Returns whether the job was never read, and there was no reply for two minutes.
    fn is_unreachable(&self, now: Duration) -> bool {
        let is_long = |since: Duration| now - since >= Duration::from_secs(120);
        self.phase.is_none() && self.no_reply_since.is_some_and(is_long)
    }

    /// Returns whether the wait may end with this result at this time.
    fn allows(&self, now: Duration, result: &Result<FinishedJob, WaitError>) -> bool {
        let ended_as = |phase| self.phase == Some(Some(phase));
        let retry_after = match &self.last_input {
            Some(Input::Error(error)) => error.retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let last_kind = match &self.last_input {
            Some(Input::Error(error)) => Some(error.kind),
            _ => None,
        };
        match result {
            Ok(FinishedJob { outcome: Outcome::Succeeded, .. }) => ended_as(Phase::Success),
            Ok(FinishedJob { outcome: Outcome::Failed(_), .. }) => ended_as(Phase::Failed),
            Ok(_) => false,
            Err(error) => match error.kind() {
                _ if ended_as(Phase::Failed) => false,
                WaitErrorKind::Stopped => true,
                _ if ended_as(Phase::Success) => false,
                WaitErrorKind::DeadlineExceeded => {
                    // The reserve, plus the minimum of one second between two attempts.
                    now + retry_after.max(Duration::from_secs(3)) >= self.deadline()
                        || self.timeout == Some(Duration::ZERO)
                }
                WaitErrorKind::NotFound | WaitErrorKind::Vanished => {
                    last_kind == Some(FetchErrorKind::Status(404))
                        && (error.kind() == WaitErrorKind::Vanished) == self.phase.is_some()
                }
                WaitErrorKind::Unauthorized => {
                    matches!(
                        last_kind,
                        Some(FetchErrorKind::WrongSignature | FetchErrorKind::Status(401))
                    )
                }
                WaitErrorKind::Permanent => last_kind == Some(FetchErrorKind::Status(403)),
                WaitErrorKind::Mismatch => last_kind.is_none(),
                WaitErrorKind::Unreadable => last_kind == Some(FetchErrorKind::HtmlPage),
                WaitErrorKind::Unreachable => self.is_unreachable(now),
                WaitErrorKind::TooManyErrors
                | WaitErrorKind::Stalled
                | WaitErrorKind::NotReady
                | WaitErrorKind::NoObject => false,
            },
        }
    }
}

/// Returns whether a reply is about the job of the wait.
fn is_about_job(job: &Job) -> bool {
    let metadata = job.metadata.as_ref();
    let has_odd_uid = metadata.is_some_and(|metadata| metadata.raw_fields.get("uid").is_some());
    !has_odd_uid && job.uid().is_none_or(|uid| uid == "a")
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        let timeout = prop_oneof![Just(0), 1..500_u64, 1..500_000_u64]
            .prop_map(|timeout| Some(Duration::from_millis(timeout)));
        let timeout = prop_oneof![9 => timeout, 1 => Just(None)];
        let wake_latency =
            prop_oneof![3 => Just(0), 1 => 0..5_000_u64].prop_map(Duration::from_millis);
        (timeout, wake_latency)
            .prop_map(|(timeout, wake_latency)| Self {
                timeout,
                wake_latency,
                phase: None,
                has_active_sub_job: false,
                updated: None,
                stale_in_a_row: 0,
                last_input: None,
                no_reply_since: None,
            })
            .boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Transition> {
        prop_oneof![
            20 => replies().prop_map(Transition::Reply),
            2 => Just(Transition::EarlyWake),
            1 => Just(Transition::Stop),
        ]
        .boxed()
    }

    fn apply(state: Self, _: &Transition) -> Self {
        state
    }
}

/// The machine under test, and the constraints on its attempts.
struct CheckedMachine {
    model: Model,
    machine: Machine,
    now: Duration,
    /// The earliest time of the next attempt, because of a `Retry-After` or the minimum delay.
    not_before: Duration,
    last_action: Action,
    replies: u32,
}

/// Its delays are at least 2 s, which is more than the minimum delay of 1 s.
static SCHEDULE: Exponential = Exponential::new(Duration::from_secs(2)..=Duration::from_secs(20));

impl CheckedMachine {
    fn step(&mut self, input: Input) {
        let step = self.machine.step(&SCHEDULE, self.now, input);
        let now = self.now;
        let is_lookup = self.machine.state.lookup().is_some();
        let deadline = self.model.deadline().saturating_add(match is_lookup {
            true => self.model.lookup_grace(),
            false => Duration::ZERO,
        });
        match &step.action {
            Action::Fetch { id, timeout, last } => {
                assert!(!is_lookup || last.is_none(), "a lookup has no snapshot: {step:?}");
                assert_eq!(is_lookup, id != self.machine.job_id(), "{step:?}");
                assert!(now + *timeout <= deadline, "past the deadline: {step:?}");
                assert!(
                    is_lookup || now >= self.not_before,
                    "before {:?}: {step:?}",
                    self.not_before
                );
            }
            Action::SleepUntil(at) => {
                assert!(now <= *at && *at < deadline, "{step:?}");
                assert!(*at >= self.not_before, "before {:?}: {step:?}", self.not_before);
                let plans_attempt =
                    step.events.iter().any(|event| matches!(event, Event::NextAttempt { .. }));
                assert!(
                    plans_attempt || step.events.is_empty(),
                    "events without a planned attempt: {step:?}"
                );
            }
            Action::FetchObject { .. } => panic!("the wait is for the end of the job: {step:?}"),
            Action::Finish(result) => {
                assert!(self.model.allows(now, result), "{:?} and {result:?}", self.model);
            }
        }
        self.last_action = step.action;
    }

    /// Sleeps and wakes the machine, if its last action was to sleep.
    fn wake(&mut self) {
        if let Action::SleepUntil(at) = self.last_action {
            self.now = self.now.max(at) + self.model.wake_latency;
            self.step(Input::Wake);
        }
    }

    fn reply(&mut self, reply: &Reply) {
        let Action::Fetch { id, timeout, last } = self.last_action.clone() else { return };
        let (input, latency) = attempt(reply, timeout);
        self.now += latency;
        let is_lookup = id != *self.machine.job_id();
        if !is_lookup {
            self.learn(&input);
        }
        let ended = matches!(self.model.phase, Some(Some(Phase::Failed)))
            || (self.model.phase == Some(Some(Phase::Success)) && !self.model.has_active_sub_job);
        // Every second reply is compared with the last snapshot.
        self.replies += 1;
        self.step(if self.replies.is_multiple_of(2) { compare(input, last) } else { input });
        match &self.last_action {
            Action::Fetch { id, .. } => {
                assert!(ended && *id != *self.machine.job_id(), "an attempt without a delay");
            }
            Action::FetchObject { .. } => panic!("the wait is for the end of the job"),
            // Only before another lookup of a sub-job.
            Action::SleepUntil(_) => {
                assert!(!ended || is_lookup, "the job has ended");
                assert!(!self.model.is_unreachable(self.now), "no reply for two minutes");
            }
            Action::Finish(_) => {}
        }
    }

    fn learn(&mut self, input: &Input) {
        let mut min_wait = Duration::from_secs(1);
        match input {
            Input::Reading { snapshot, .. } if is_about_job(snapshot.job()) => {
                self.model.observe(snapshot.job());
            }
            Input::Error(error) => {
                let retry_after = error.retry_after.unwrap_or_default();
                min_wait = min_wait.max(retry_after.min(Duration::from_secs(300)));
            }
            _ => {}
        }
        let no_reply = matches!(input, Input::Error(error) if matches!(error.kind, FetchErrorKind::Transport(_)));
        self.model.no_reply_since = no_reply.then(|| self.model.no_reply_since.unwrap_or(self.now));
        self.model.last_input = Some(input.clone());
        self.not_before = self.now + min_wait;
    }
}

impl StateMachineTest for CheckedMachine {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let machine = Machine::new("a".parse().unwrap(), model.policy()).with_seed(7);
        let mut checked = Self {
            model: model.clone(),
            machine,
            now: Duration::ZERO,
            not_before: Duration::ZERO,
            last_action: Action::SleepUntil(Duration::ZERO),
            replies: 0,
        };
        checked.step(Input::Wake);
        checked
    }

    fn apply(mut checked: Self, _: &Model, transition: Transition) -> Self {
        match transition {
            _ if matches!(checked.last_action, Action::Finish(_)) => {}
            Transition::Reply(reply) => {
                checked.wake();
                checked.reply(&reply);
            }
            Transition::EarlyWake => {
                if let Action::SleepUntil(at) = checked.last_action {
                    checked.now += (at - checked.now.min(at)) / 2;
                    checked.step(Input::Wake);
                    assert!(
                        checked.now == at
                            || matches!(checked.last_action, Action::SleepUntil(again) if again == at)
                    );
                }
            }
            Transition::Stop => {
                checked.step(Input::Stop);
                assert!(matches!(checked.last_action, Action::Finish(_)), "the wait did not stop");
            }
        }
        checked
    }

    /// A wait with a deadline ends by the deadline, even if the job keeps running.
    fn teardown(mut checked: Self, _: Model) {
        let running = Reply::parse("running").unwrap();
        let mut attempts = 0;
        while checked.model.timeout.is_some() && !matches!(checked.last_action, Action::Finish(_)) {
            checked.wake();
            checked.reply(&running);
            attempts += 1;
            assert!(attempts < 1000, "the wait does not end");
        }
        if checked.model.timeout.is_some() {
            let end = checked.model.deadline()
                + checked.model.lookup_grace()
                + checked.model.wake_latency;
            assert!(checked.now <= end, "{:?}", checked.now);
        }
    }
}

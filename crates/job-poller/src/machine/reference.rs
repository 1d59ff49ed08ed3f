//! The machine beside a small model of what is right, whatever the service does and whenever.

use std::env;

use job_model::Phase;
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::{
    attempt_error::FaultKind,
    outcome::Outcome,
    replay::replies,
    script::{Reply, setup},
    *,
};
use crate::schedule::Exponential;

prop_state_machine! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_the_service_does(sequential 1..30 => Checked);
}

/// Some thousands, or as many as the long run asks for.
fn cases() -> ProptestConfig {
    match env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(4000),
    }
}

/// What is known of the job and the limits without any of the machine's rules.
#[derive(Clone, Debug)]
struct Model {
    timeout: Option<Duration>,
    late: Duration,
    /// What the last reply that is this job says; `None` where none was.
    phase: Option<Option<Phase>>,
    has_live: bool,
    updated: Option<Timestamp>,
    stale: u32,
    /// What the last reply of all was.
    last: Option<Input>,
}

/// One attempt's reply, and what follows it.
#[derive(Clone, Debug)]
enum Transition {
    Reply(Reply),
    /// A wake in the middle of the pause.
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

    /// Returns how long the job of a single look may be looked into beyond that.
    fn beyond(&self) -> Duration {
        Duration::from_secs(if self.timeout == Some(Duration::ZERO) { 10 } else { 0 })
    }

    fn policy(&self) -> WaitPolicy {
        let policy = setup().policy;
        self.timeout.map_or_else(|| policy.no_timeout(), |timeout| policy.timeout(timeout))
    }

    /// Learns what a reply says, unless it is from before the last one.
    fn read(&mut self, job: &Job) {
        let metadata = job.metadata.as_ref();
        let updated = metadata.and_then(|metadata| metadata.update_timestamp.as_ref()?.instant());
        let is_terminal = job.phase().is_some_and(Phase::is_terminal);
        if updated.is_some_and(|now| self.updated > Some(now)) && !is_terminal && self.stale < 3 {
            self.stale += 1;
            return;
        }
        let is_live = |phase| matches!(phase, Some(&(Phase::Initializing | Phase::Running)));
        self.has_live = job.sub_jobs().iter().any(|sub_job| is_live(sub_job.phase()));
        self.phase = Some(job.phase().cloned());
        (self.updated, self.stale) = (updated, 0);
    }

    /// Whether a wait may end so, at this time.
    fn allows(&self, now: Duration, result: &Result<Ended, WaitError>) -> bool {
        let ended_as = |phase| self.phase == Some(Some(phase));
        let asked = match &self.last {
            Some(Input::Fault(fault)) => fault.retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let class = match &self.last {
            Some(Input::Fault(fault)) => Some(fault.kind),
            _ => None,
        };
        match result {
            Ok(Ended { outcome: Outcome::Succeeded, .. }) => ended_as(Phase::Success),
            Ok(Ended { outcome: Outcome::Failed(_), .. }) => ended_as(Phase::Failed),
            Err(error) => match error.kind() {
                _ if ended_as(Phase::Failed) => false,
                WaitErrorKind::Stopped => true,
                _ if ended_as(Phase::Success) => false,
                WaitErrorKind::DeadlineExceeded => {
                    // The reserve, and the second that is kept between two attempts.
                    now + asked.max(Duration::from_secs(3)) >= self.deadline()
                        || self.timeout == Some(Duration::ZERO)
                }
                WaitErrorKind::NotFound | WaitErrorKind::Vanished => {
                    class == Some(FaultKind::Status(404))
                        && (error.kind() == WaitErrorKind::Vanished) == self.phase.is_some()
                }
                WaitErrorKind::Unauthorized => {
                    matches!(class, Some(FaultKind::WrongSignature | FaultKind::Status(401)))
                }
                WaitErrorKind::Permanent => class == Some(FaultKind::Status(403)),
                WaitErrorKind::Mismatch => class.is_none(),
                WaitErrorKind::Unreadable => class == Some(FaultKind::Unreadable),
                WaitErrorKind::Unreachable => self.phase.is_none(),
                WaitErrorKind::TooManyFaults | WaitErrorKind::Stuck => false,
            },
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        let timeout = prop_oneof![Just(0), 1..500_u64, 1..500_000_u64]
            .prop_map(|timeout| Some(Duration::from_millis(timeout)));
        let timeout = prop_oneof![9 => timeout, 1 => Just(None)];
        let late = prop_oneof![3 => Just(0), 1 => 0..5_000_u64].prop_map(Duration::from_millis);
        (timeout, late)
            .prop_map(|(timeout, late)| Self {
                timeout,
                late,
                phase: None,
                has_live: false,
                updated: None,
                stale: 0,
                last: None,
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

/// The machine, driven, and what its attempts must keep to.
struct Checked {
    model: Model,
    machine: Machine,
    now: Duration,
    /// No attempt before this, by what the service asked and by the floor.
    earliest: Duration,
    doing: Action,
}

/// Never less than the floor of what is clipped, nor of the schedule.
static SCHEDULE: Exponential = Exponential::new(Duration::from_secs(2)..=Duration::from_secs(20));

impl Checked {
    fn step(&mut self, input: Input) {
        let step = self.machine.step(&SCHEDULE, self.now, input);
        let now = self.now;
        let is_look = self.machine.looking.is_some();
        let deadline = self.model.deadline().saturating_add(match is_look {
            true => self.model.beyond(),
            false => Duration::ZERO,
        });
        match &step.action {
            Action::Fetch { id, timeout } => {
                assert_eq!(is_look, id != self.machine.job_id(), "{step:?}");
                assert!(now + *timeout <= deadline, "past the deadline: {step:?}");
                assert!(is_look || now >= self.earliest, "before {:?}: {step:?}", self.earliest);
            }
            Action::SleepUntil(at) => {
                assert!(now <= *at && *at < deadline, "{step:?}");
                assert!(*at >= self.earliest, "before {:?}: {step:?}", self.earliest);
                let told =
                    step.events.iter().any(|event| matches!(event, Event::NextAttempt { .. }));
                assert!(told || step.events.is_empty(), "silent: {step:?}");
            }
            Action::Finish(result) => {
                assert!(self.model.allows(now, result), "{:?} and {result:?}", self.model);
            }
        }
        self.doing = step.action;
    }

    /// Sleeps, if the machine does.
    fn wake(&mut self) {
        if let Action::SleepUntil(at) = self.doing {
            self.now = self.now.max(at) + self.model.late;
            self.step(Input::Wake);
        }
    }

    fn reply(&mut self, reply: &Reply) {
        let Action::Fetch { id, timeout } = self.doing.clone() else { return };
        let (input, took) = reply.attempt(timeout);
        self.now += took;
        let is_look = id != *self.machine.job_id();
        if !is_look {
            self.learn(&input);
        }
        let ended = matches!(self.model.phase, Some(Some(Phase::Failed)))
            || (self.model.phase == Some(Some(Phase::Success)) && !self.model.has_live);
        self.step(input);
        match &self.doing {
            Action::Fetch { id, .. } => {
                assert!(ended && *id != *self.machine.job_id(), "two attempts at once");
            }
            // Only before a sub-job is asked for once more.
            Action::SleepUntil(_) => assert!(!ended || is_look, "the job has ended"),
            Action::Finish(_) => {}
        }
    }

    fn learn(&mut self, input: &Input) {
        let mut asked = Duration::from_secs(1);
        match input {
            Input::Reading { job, .. } if job.job().uid().is_none_or(|uid| uid == "a") => {
                self.model.read(job.job());
            }
            Input::Fault(fault) => {
                let retry_after = fault.retry_after.unwrap_or_default();
                asked = asked.max(retry_after.min(Duration::from_secs(300)));
            }
            _ => {}
        }
        self.model.last = Some(input.clone());
        self.earliest = self.now + asked;
    }
}

impl StateMachineTest for Checked {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let machine = Machine::new("a".parse().unwrap(), model.policy()).with_seed(7);
        let mut checked = Self {
            model: model.clone(),
            machine,
            now: Duration::ZERO,
            earliest: Duration::ZERO,
            doing: Action::SleepUntil(Duration::ZERO),
        };
        checked.step(Input::Wake);
        checked
    }

    fn apply(mut checked: Self, _: &Model, transition: Transition) -> Self {
        match transition {
            _ if matches!(checked.doing, Action::Finish(_)) => {}
            Transition::Reply(reply) => {
                checked.wake();
                checked.reply(&reply);
            }
            Transition::EarlyWake => {
                if let Action::SleepUntil(at) = checked.doing {
                    checked.now += (at - checked.now.min(at)) / 2;
                    checked.step(Input::Wake);
                    assert!(
                        checked.now == at
                            || matches!(checked.doing, Action::SleepUntil(again) if again == at)
                    );
                }
            }
            Transition::Stop => {
                checked.step(Input::Stop);
                assert!(matches!(checked.doing, Action::Finish(_)), "it was stopped");
            }
        }
        checked
    }

    /// A wait that has a deadline ends by it, if only the service goes on so for long enough.
    fn teardown(mut checked: Self, _: Model) {
        let running = Reply { text: "running".into(), takes: Duration::from_millis(100) };
        let mut attempts = 0;
        while checked.model.timeout.is_some() && !matches!(checked.doing, Action::Finish(_)) {
            checked.wake();
            checked.reply(&running);
            attempts += 1;
            assert!(attempts < 1000, "it does not end");
        }
        if checked.model.timeout.is_some() {
            let end = checked.model.deadline() + checked.model.beyond() + checked.model.late;
            assert!(checked.now <= end, "{:?}", checked.now);
        }
    }
}

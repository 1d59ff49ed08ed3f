//! What `status` answers: how a wait is, as JSON. Its form is a contract: what is added to it later is added.

use jiff::Timestamp;
use job_model::{Job, Phase};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    key::WaitKey,
    state::{Delivery, Over, Receiver, WaitState, Waiting},
};

/// How a wait is.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    v: u32,
    project: String,
    job: String,
    state: State,
    #[serde(flatten)]
    now: Option<Now>,
    /// How the wait ended: what a notice says.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Box<RawValue>>,
    /// What became of the notices, in the order in which they were asked for.
    notices: Vec<Delivery>,
}

/// How a wait is that is under way.
#[derive(Debug, Serialize)]
struct Now {
    /// The job as last read.
    r#type: Option<String>,
    phase: Option<Phase>,
    steps: Option<Steps>,
    attempts: u32,
    /// Seconds since the wait began, to the millisecond, as of its last tick.
    elapsed: f64,
    /// Why the last attempt gave no job.
    fault: Option<String>,
    /// When the next tick is planned.
    next_attempt: Timestamp,
}

/// Whether a wait is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// There is none: never asked for, or over for long.
    None,
    Waiting,
    /// The job has ended.
    Ended,
    /// The wait stopped before.
    Stopped,
}

/// How many steps there are, and how many are done.
#[derive(Debug, Serialize)]
struct Steps {
    total: usize,
    success: usize,
    failed: usize,
}

impl Status {
    pub(crate) fn of(key: &WaitKey, state: Option<&WaitState>) -> Self {
        match state {
            None => Self::new(key, State::None),
            Some(WaitState::Waiting(waiting)) => Self::of_waiting(key, waiting),
            Some(WaitState::Over(over)) => Self::of_over(key, over),
        }
    }

    fn new(key: &WaitKey, state: State) -> Self {
        let (project, job) = (key.project.as_str().into(), key.job.as_str().into());
        Self { v: 1, project, job, state, now: None, end: None, notices: Vec::new() }
    }

    fn of_waiting(key: &WaitKey, waiting: &Waiting) -> Self {
        let machine = waiting.checkpoint.machine();
        let job = machine.job();
        let job = job.as_deref();
        let progress = job.map(Job::progress).filter(|progress| progress.total > 0);
        let now = Now {
            r#type: job.and_then(Job::job_type).map(String::from),
            phase: job.and_then(Job::phase).cloned(),
            steps: progress.map(|progress| Steps {
                total: progress.total,
                success: progress.success,
                failed: progress.failed,
            }),
            attempts: machine.attempts(),
            elapsed: waiting.checkpoint.elapsed().as_millis() as f64 / 1000.0,
            fault: machine.fault().map(ToString::to_string),
            next_attempt: waiting.next,
        };
        let notices = deliveries(&waiting.receivers);
        Self { now: Some(now), notices, ..Self::new(key, State::Waiting) }
    }

    fn of_over(key: &WaitKey, over: &Over) -> Self {
        let state = if over.has_ended { State::Ended } else { State::Stopped };
        let end = RawValue::from_string(over.body.clone()).ok();
        Self { end, notices: deliveries(&over.receivers), ..Self::new(key, state) }
    }
}

fn deliveries(receivers: &[Receiver]) -> Vec<Delivery> {
    receivers.iter().map(|receiver| receiver.delivery.clone()).collect()
}

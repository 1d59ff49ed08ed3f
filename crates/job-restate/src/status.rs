//! The JSON reply of `status`. Its format is stable: fields may be added, but are never removed.

use jiff::Timestamp;
use job_model::{Job, Phase};
use job_notify::{DeliveryState, receiver_name};
use job_poller::{durable::WaitKey, machine::ObjectStatus};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::state::{ActiveWait, FinishedWait, Receiver, WaitState};

/// The status of a wait.
#[derive(Debug, Serialize)]
pub(crate) struct WaitStatus {
    v: u32,
    project: String,
    job: String,
    state: WaitStateLabel,
    #[serde(flatten)]
    active: Option<ActiveStatus>,
    /// The result of the wait, which is also the body of its notifications.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Box<RawValue>>,
    /// The delivery to each receiver, in the order in which the receivers were added.
    notifications: Vec<NotificationStatus>,
}

/// The delivery of a notification to one receiver.
#[derive(Debug, Serialize)]
struct NotificationStatus {
    /// The receiver's host and path, if its address is a URL.
    receiver: Option<String>,
    state: DeliveryState,
    tries: u32,
    /// The error of the last try that failed. It names the receiver.
    last_error: Option<String>,
    /// When the next try is planned.
    next_try: Option<Timestamp>,
}

/// The status of an active wait.
#[derive(Debug, Serialize)]
struct ActiveStatus {
    /// The type of the job as last read.
    r#type: Option<String>,
    phase: Option<Phase>,
    steps: Option<StepCounts>,
    attempts: u32,
    /// The clusters and nodes that are read after the job.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    objects: Vec<ObjectStatus>,
    /// Seconds from the start of the wait to its last tick, with millisecond precision.
    elapsed: f64,
    /// The error of the last attempt, if it failed.
    attempt_error: Option<String>,
    /// When the next tick is planned.
    next_attempt: Timestamp,
}

/// The state of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum WaitStateLabel {
    /// The job has no wait: no wait was started, or it finished and was deleted after the retention.
    None,
    Waiting,
    /// The tick of the wait is overdue, so it stands still until the watchdog or a `watch` revives it.
    Stalled,
    /// The wait stops when the attempt in flight has ended.
    Stopping,
    /// The job has ended.
    Ended,
    /// The wait stopped before the job ended.
    Stopped,
}

/// The number of steps, and how many of them succeeded or failed.
#[derive(Debug, Serialize)]
struct StepCounts {
    total: usize,
    success: usize,
    failed: usize,
}

impl WaitStatus {
    pub(crate) fn from_state(key: &WaitKey, state: Option<&WaitState>) -> Self {
        match state {
            None => Self::new(key, WaitStateLabel::None),
            Some(WaitState::Waiting(waiting)) => Self::from_active(key, waiting),
            Some(WaitState::Finished(finished)) => Self::from_finished(key, finished),
        }
    }

    /// Returns the status of an active wait whose tick is overdue.
    pub(crate) const fn stalled(mut self) -> Self {
        self.state = WaitStateLabel::Stalled;
        self
    }

    /// Returns the status of an active wait that will be stopped after its attempt in flight.
    pub(crate) const fn stopping(mut self) -> Self {
        self.state = WaitStateLabel::Stopping;
        self
    }

    fn new(key: &WaitKey, state: WaitStateLabel) -> Self {
        let (project, job) = (key.project.as_str().into(), key.job.as_str().into());
        Self { v: 1, project, job, state, active: None, end: None, notifications: Vec::new() }
    }

    fn from_active(key: &WaitKey, waiting: &ActiveWait) -> Self {
        let machine = waiting.stored.checkpoint().machine();
        let job = machine.job();
        let job = job.as_deref();
        let progress = job.map(Job::progress).filter(|progress| progress.total > 0);
        let active = ActiveStatus {
            r#type: job.and_then(Job::job_type).map(String::from),
            phase: job.and_then(Job::phase).cloned(),
            steps: progress.map(|progress| StepCounts {
                total: progress.total,
                success: progress.success,
                failed: progress.failed,
            }),
            attempts: machine.attempts(),
            objects: machine.objects().cloned().collect(),
            elapsed: waiting.stored.checkpoint().elapsed().as_millis() as f64 / 1000.0,
            attempt_error: machine.last_error().map(ToString::to_string),
            next_attempt: waiting.next_tick_at,
        };
        let notifications = deliveries(&waiting.receivers);
        Self { active: Some(active), notifications, ..Self::new(key, WaitStateLabel::Waiting) }
    }

    fn from_finished(key: &WaitKey, finished: &FinishedWait) -> Self {
        let FinishedWait { result, receivers, .. } = finished;
        let state =
            if result.has_job_ended { WaitStateLabel::Ended } else { WaitStateLabel::Stopped };
        let end = RawValue::from_string(result.body.clone()).ok();
        Self { end, notifications: deliveries(receivers), ..Self::new(key, state) }
    }
}

fn deliveries(receivers: &[Receiver]) -> Vec<NotificationStatus> {
    let status = |Receiver { address, delivery }: &Receiver| NotificationStatus {
        receiver: receiver_name(address),
        state: delivery.state(),
        tries: delivery.tries(),
        last_error: delivery.last_error().map(String::from),
        next_try: delivery.next_try_at(),
    };
    receivers.iter().map(status).collect()
}

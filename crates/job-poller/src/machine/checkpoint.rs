//! The serializable state of a wait, to resume it in another process. Only this module uses
//! wall-clock time.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use job_model::{Job, JobId, Phase};
use job_transport::JobSnapshot;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{Machine, policy::WaitPolicy, until::Until};

/// The state of a wait, from which it can be resumed, also in another process.
///
/// It can be stored in any serde format. It contains the job as last read, what is known of its
/// clusters and nodes, and no credentials.
///
/// # Versions
///
/// A checkpoint contains the number of its format. The number changes only if a version of this
/// crate would misunderstand the checkpoints of another one, for example because the meaning of a
/// field has changed. A checkpoint with another number is refused with an error, and its job needs a
/// new wait.
///
/// The number is 2, or 3 if the wait is until objects are ready or gone, because an earlier version
/// would end such a wait with the job. This version reads both.
///
/// With the same number, a version of this crate reads the checkpoints of all earlier versions. It
/// also reads those of later versions, except if they contain a value that it does not know, such
/// as a new kind of error. It ignores fields that it does not know, and fields that were added
/// later have a default. A resumed wait therefore ignores a limit that only the later version has.
///
/// Formats that do not store the names of fields, such as postcard, cannot skip or default a field.
/// In such a format, only the version that wrote a checkpoint can read it.
///
/// # Examples
///
/// ```
/// use job_poller::{Checkpoint, WaitPolicy, machine::Machine};
///
/// let machine = Machine::new("354331b2c-229a-11e8-9c75-0255ac100ceb".parse()?, WaitPolicy::new());
/// let checkpoint = Checkpoint::new(machine, std::time::Duration::from_secs(90));
/// let text = serde_json::to_string(&checkpoint)?;
/// assert_eq!(serde_json::from_str::<Checkpoint>(&text)?, checkpoint);
///
/// let newer = text.replacen("\"version\":2", "\"version\":4", 1);
/// let error = serde_json::from_str::<Checkpoint>(&newer).unwrap_err();
/// assert!(error.to_string().starts_with("checkpoint version 4 is not supported"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A table can have columns for queries, such as which wait is due, beside the checkpoint:
///
/// ```
/// use std::time::Duration;
/// use jiff::Timestamp;
/// use job_poller::{Checkpoint, WaitPolicy, machine::Machine};
///
/// let policy = WaitPolicy::new().timeout(Duration::from_secs(3600));
/// let machine = Machine::new("4a5b".parse()?, policy);
/// let now: Timestamp = "2027-01-15T08:00:00Z".parse()?;
/// let checkpoint = Checkpoint::new(machine, Duration::from_secs(60)).with_taken_at(now);
///
/// let insert = "INSERT INTO waits (job_id, phase, attempts, taken_at, next_attempt_at, deadline_at, \
///               state) VALUES (?, ?, ?, ?, ?, ?, ?)";
/// let unix_time = |time: Option<Timestamp>| time.map(Timestamp::as_second);
/// let row = (
///     checkpoint.job_id().as_str(),
///     checkpoint.phase().map(|phase| phase.as_str()),
///     checkpoint.attempts(),
///     unix_time(checkpoint.taken_at()),
///     unix_time(checkpoint.next_attempt_at()),
///     unix_time(checkpoint.deadline_at()),
///     serde_json::to_string(&checkpoint)?,
/// );
/// # assert_eq!(insert.matches('?').count(), 7);
/// assert_eq!((row.0, row.1, row.2), ("4a5b", None, 0));
/// // The wait began a minute ago, and its first attempt was due at once.
/// assert_eq!(checkpoint.next_attempt_at(), Some("2027-01-15T07:59:00Z".parse()?));
/// assert_eq!(checkpoint.deadline_at(), Some("2027-01-15T08:59:00Z".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    version: Version,
    /// The wall-clock time when the checkpoint was taken, if it is known.
    #[serde(default)]
    taken_at: Option<Timestamp>,
    /// The time since the wait began, when the checkpoint was taken.
    elapsed: Duration,
    machine: Machine,
}

impl Checkpoint {
    /// Creates a checkpoint of a machine. `elapsed` is the time since its wait began.
    #[must_use]
    pub fn new(machine: Machine, elapsed: Duration) -> Self {
        Self { version: Version::from_machine(&machine), taken_at: None, elapsed, machine }
    }

    /// Sets the wall-clock time when the checkpoint was taken.
    ///
    /// Without it, the time until the wait is resumed is not counted.
    #[must_use]
    pub const fn with_taken_at(mut self, now: Timestamp) -> Self {
        self.taken_at = Some(now);
        self
    }

    /// Sets all limits. They count from the beginning of the wait.
    #[must_use]
    pub fn with_policy(mut self, policy: WaitPolicy) -> Self {
        self.machine = self.machine.with_policy(policy);
        self.version = Version::from_machine(&self.machine);
        self
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn with_timeout(self, timeout: Duration) -> Self {
        let policy = self.policy().timeout(timeout);
        self.with_policy(policy)
    }

    /// Sets the last reading of the job, or removes it.
    ///
    /// Most of a checkpoint is the text of this reading, and it rarely changes. A store can
    /// therefore keep it apart from the rest, and combine both when it reads the checkpoint.
    ///
    /// # Examples
    ///
    /// ```
    /// use job_poller::{Checkpoint, WaitPolicy, machine::Machine};
    /// use job_transport::JobSnapshot;
    ///
    /// let machine = Machine::new("4a5b".parse()?, WaitPolicy::new());
    /// let job = JobSnapshot::from_slice(br#"{"status": {"phase": "Running"}}"#)?;
    /// let whole = Checkpoint::new(machine, std::time::Duration::ZERO).with_snapshot(Some(job));
    ///
    /// let rest = whole.clone().with_snapshot(None);
    /// assert!(rest.job().is_none());
    /// assert_eq!(rest.with_snapshot(whole.machine().snapshot().cloned()), whole);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_snapshot(mut self, snapshot: Option<JobSnapshot>) -> Self {
        self.machine = self.machine.with_snapshot(snapshot);
        self
    }

    /// Makes the checkpoint short: removes all that does not affect requests or the outcome.
    ///
    /// A wait that is resumed from it makes the same requests and has the same outcome. Until the job
    /// is read again, its type, its phase and the ids of the objects that it makes or deletes are
    /// known. Its `updateTimestamp` and a hash of its sub-jobs are kept, so that a stale reading or one
    /// without changes is recognized. If a sub-job has changed, the next reading emits an event for
    /// every sub-job. Texts of errors are shortened.
    ///
    /// In a compact format, the checkpoint of a wait for one job then has about 250 bytes. It has more
    /// if the steps of the job name nodes.
    ///
    /// # Examples
    ///
    /// ```
    /// use job_poller::{Checkpoint, WaitPolicy, machine::Machine};
    /// use job_transport::JobSnapshot;
    ///
    /// let job = br#"{"spec": {"type": "CreateCluster", "resourceName": "prod", "subJobs": [{}]},
    ///     "status": {"phase": "Running", "message": "The servers are being installed."}}"#;
    /// let machine = Machine::new("4a5b".parse()?, WaitPolicy::new());
    /// let checkpoint = Checkpoint::new(machine, std::time::Duration::ZERO)
    ///     .with_snapshot(Some(JobSnapshot::from_slice(job)?));
    ///
    /// let job = checkpoint.reduced().job().expect("it was read");
    /// let left = r#"{"spec":{"type":"CreateCluster"},"status":{"phase":"Running"}}"#;
    /// assert_eq!(serde_json::to_string(&job)?, left);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reduced(mut self) -> Self {
        self.machine = self.machine.reduced();
        self
    }

    #[cfg(feature = "tokio")]
    pub(super) const fn set_taken_at(&mut self, now: Timestamp) {
        self.taken_at = Some(now);
    }

    /// Returns the machine as it was when the checkpoint was taken.
    #[must_use]
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Returns the id of the job.
    #[must_use]
    pub const fn job_id(&self) -> &JobId {
        self.machine.job_id()
    }

    /// Returns the wall-clock time when the checkpoint was taken, if it is known.
    #[must_use]
    pub const fn taken_at(&self) -> Option<Timestamp> {
        self.taken_at
    }

    /// Returns when the next attempt is due. The time may have passed.
    ///
    /// Returns `None` if it is unknown when the checkpoint was taken. After the job has ended, this
    /// is the time of the last attempt.
    #[must_use]
    pub fn next_attempt_at(&self) -> Option<Timestamp> {
        self.timestamp(self.machine.next_attempt_at())
    }

    /// Returns the deadline. It may have passed.
    ///
    /// Returns `None` if the wait has no timeout, or if it is unknown when the checkpoint was taken.
    #[must_use]
    pub fn deadline_at(&self) -> Option<Timestamp> {
        self.timestamp(self.policy().timeout?)
    }

    /// Returns the wall-clock time of a time since the wait began.
    fn timestamp(&self, since_start: Duration) -> Option<Timestamp> {
        self.taken_at?.checked_sub(self.elapsed).ok()?.checked_add(since_start).ok()
    }

    /// Returns the number of attempts. Sub-job lookups are not included.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.machine.attempts()
    }

    /// Returns the phase as last read, or `None` if it is absent or the job was never read. Decodes
    /// nothing.
    #[must_use]
    pub fn phase(&self) -> Option<&Phase> {
        self.machine.last_phase().flatten()
    }

    /// Returns the job as last read, or `None` if it was never read.
    #[must_use]
    pub fn job(&self) -> Option<Box<Job>> {
        self.machine.job()
    }

    /// Returns the limits of the wait.
    #[must_use]
    pub fn policy(&self) -> &WaitPolicy {
        self.machine.policy()
    }

    /// Returns the time from the beginning of the wait until the checkpoint was taken.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Returns the machine, and the time since its wait began.
    ///
    /// `now` is the current wall-clock time. If it is before the time of the checkpoint, because
    /// the clock was set back, no time is added.
    ///
    /// If the deadline has passed in the meantime, the machine makes one more attempt.
    #[must_use]
    pub fn resume(self, now: Timestamp) -> (Machine, Duration) {
        let elapsed = self.elapsed_at(now);
        (self.machine.resume(), elapsed)
    }

    /// Returns the machine and the time for a wait that never stopped.
    ///
    /// Use it in a durable engine that stores a checkpoint between steps. Unlike
    /// [`resume`](Self::resume), it keeps the job's observation. If the engine wakes a second or
    /// more after the deadline, one attempt is still made.
    #[must_use]
    pub fn continue_at(self, now: Timestamp) -> (Machine, Duration) {
        let elapsed = self.elapsed_at(now);
        let missed = elapsed.saturating_sub(LATE_WAKE_TOLERANCE) >= self.policy().deadline();
        (self.machine.with_missed_deadline(missed), elapsed)
    }

    fn elapsed_at(&self, now: Timestamp) -> Duration {
        let gap = self.taken_at.map(|then| now.duration_since(then));
        let gap = gap.and_then(|gap| Duration::try_from(gap).ok()).unwrap_or_default();
        self.elapsed.saturating_add(gap)
    }
}

/// Waking later than this after the deadline counts as having missed it.
const LATE_WAKE_TOLERANCE: Duration = Duration::from_secs(1);

/// Omits the job, which may have thousands of lines.
impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint")
            .field("job_id", self.job_id())
            .field("taken_at", &self.taken_at)
            .field("elapsed", &self.elapsed)
            .finish_non_exhaustive()
    }
}

/// The number of the format. [`Checkpoint`] documents when it changes, and a test reads the
/// checkpoints in `fixtures/checkpoints`.
///
/// It is serialized first, so that it is checked before any field that may differ in another
/// version.
#[derive(Clone, Copy, PartialEq)]
enum Version {
    /// The wait is for the end of the job.
    V2 = 2,
    /// The wait is until objects are ready or gone.
    V3 = 3,
}

impl Version {
    const KNOWN: [Self; 2] = [Self::V2, Self::V3];

    fn from_machine(machine: &Machine) -> Self {
        let is_for_job = machine.policy().until == Until::Ended && !machine.is_reading_objects();
        if is_for_job { Self::V2 } else { Self::V3 }
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(*self as u32)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        let known = Self::KNOWN.into_iter().find(|known| *known as u32 == number);
        known.ok_or_else(|| {
            D::Error::custom(format_args!(
                "checkpoint version {number} is not supported, only versions 2 and 3 are; start a new \
                 wait"
            ))
        })
    }
}

#[cfg(test)]
mod tests;

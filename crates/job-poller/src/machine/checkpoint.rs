//! A wait's state, to go on from in another process. Here, and nowhere else, is wall time.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use job_model::{Job, JobId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{Machine, policy::WaitPolicy};

/// A wait's state, in any format of serde. It holds the job as last read and no secret.
///
/// ```
/// use job_poller::{Checkpoint, Machine, WaitPolicy};
///
/// let machine = Machine::new("354331b2c-229a-11e8-9c75-0255ac100ceb".parse()?, WaitPolicy::new());
/// let checkpoint = Checkpoint::new(machine, std::time::Duration::from_secs(90));
/// let text = serde_json::to_string(&checkpoint)?;
/// assert_eq!(serde_json::from_str::<Checkpoint>(&text)?, checkpoint);
///
/// let newer = text.replacen("\"version\":1", "\"version\":2", 1);
/// let error = serde_json::from_str::<Checkpoint>(&newer).unwrap_err();
/// assert!(error.to_string().starts_with("a checkpoint of version 2, and only 1 is known here"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    version: Version,
    /// When it was taken, by the wall clock; absent where there was none.
    taken_at: Option<Timestamp>,
    /// Time since the wait began, when it was taken.
    elapsed: Duration,
    machine: Machine,
}

impl Checkpoint {
    /// Creates a checkpoint of a decision at this time since its wait began.
    #[must_use]
    pub const fn new(machine: Machine, elapsed: Duration) -> Self {
        Self { version: Version, taken_at: None, elapsed, machine }
    }

    /// Sets the wall time at which it was taken. Without, no time passes until the wait is resumed.
    #[must_use]
    pub const fn taken_at(mut self, now: Timestamp) -> Self {
        self.taken_at = Some(now);
        self
    }

    /// Sets other limits. They count from the wait's beginning.
    #[must_use]
    pub fn with_policy(mut self, policy: WaitPolicy) -> Self {
        self.machine = self.machine.with_policy(policy);
        self
    }

    /// Sets the job as last read. Encodes it.
    #[cfg(feature = "tokio")]
    pub(crate) fn with_job(mut self, job: Job) -> Self {
        self.machine = self.machine.with_job(job);
        self
    }

    #[cfg(feature = "tokio")]
    pub(super) const fn set_taken_at(&mut self, now: Timestamp) {
        self.taken_at = Some(now);
    }

    /// Returns the machine as it was then.
    #[must_use]
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Returns which job is waited for.
    #[must_use]
    pub const fn job_id(&self) -> &JobId {
        self.machine.job_id()
    }

    /// Returns the job as last read, where it ever was.
    #[must_use]
    pub fn job(&self) -> Option<Box<Job>> {
        self.machine.job()
    }

    /// Returns the wait's limits.
    #[must_use]
    pub fn policy(&self) -> &WaitPolicy {
        self.machine.policy()
    }

    /// Returns the time from the wait's beginning until the checkpoint was taken.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Returns the decision, and the time since the wait began when it is this time by the wall
    /// clock. A clock that was set back counts as no time.
    ///
    /// Where the deadline passed meanwhile, the machine makes one attempt all the same.
    #[must_use]
    pub fn resume(self, now: Timestamp) -> (Machine, Duration) {
        let elapsed = self.elapsed_at(now);
        (self.machine.resume(), elapsed)
    }

    /// Returns the same for a wait that never stopped: an engine keeps it as a checkpoint between one step and the
    /// next. The observation of the job goes on, and the attempt beyond the deadline is made only if the engine
    /// woke at least a second after the deadline.
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

/// An engine that wakes later than this after the deadline could not make an attempt in time.
const LATE_WAKE_TOLERANCE: Duration = Duration::from_secs(1);

/// Shows all but the job, which may have thousands of lines.
impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint")
            .field("job_id", self.job_id())
            .field("taken_at", &self.taken_at)
            .field("elapsed", &self.elapsed)
            .finish_non_exhaustive()
    }
}

/// The one version there is. It is written first, so that it is read before anything that another
/// version may have otherwise.
#[derive(Clone, Copy, PartialEq)]
struct Version;

impl Version {
    const FORMAT_VERSION: u32 = 1;
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(Self::FORMAT_VERSION)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            Self::FORMAT_VERSION => Ok(Self),
            other => Err(D::Error::custom(format_args!(
                "a checkpoint of version {other}, and only {} is known here; start the wait anew",
                Self::FORMAT_VERSION
            ))),
        }
    }
}

#[cfg(test)]
mod tests;

//! A digest of the fields of a job that a wait needs, so that the decoded job need not be kept.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    mem,
    num::NonZeroU64,
    time::Duration,
};

use jiff::Timestamp;
use job_model::{Job, Phase};

/// The fields of a job that a wait needs: phase, type, times, and the state of sub-jobs.
///
/// A [`JobSnapshot`](super::JobSnapshot) computes it once, when it decodes the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobDigest {
    phase: Option<Phase>,
    job_type: Option<Box<str>>,
    created_at: Option<CompactTimestamp>,
    updated_at: Option<CompactTimestamp>,
    step_ends: Option<Box<[Duration]>>,
    /// A hash of the tree of sub-jobs: the uid, the phase and the number of sub-jobs of each.
    tree_hash: u64,
    has_active_sub_jobs: bool,
    has_failure: bool,
    all_sub_jobs_succeeded: bool,
}

impl JobDigest {
    /// Computes the digest of a job.
    #[must_use]
    pub fn new(job: &Job) -> Self {
        let mut tree = TreeSummary::new(job);
        // The remaining sub-jobs of the current job, and those of its ancestors. Most jobs have one
        // level of sub-jobs, so this list allocates no memory for them.
        let (mut siblings, mut ancestors) = (job.sub_jobs().iter(), Vec::new());
        loop {
            match siblings.next() {
                Some(sub_job) => {
                    tree.add_sub_job(sub_job);
                    if !sub_job.sub_jobs().is_empty() {
                        ancestors.push(mem::replace(&mut siblings, sub_job.sub_jobs().iter()));
                    }
                }
                None => match ancestors.pop() {
                    Some(remaining) => siblings = remaining,
                    None => break,
                },
            }
        }
        let direct = job.sub_jobs();
        Self {
            phase: job.phase().map(Phase::shortened),
            job_type: job.job_type().map(shortened_type),
            created_at: tree.created_at.and_then(CompactTimestamp::new),
            updated_at: job.updated_at().and_then(CompactTimestamp::new),
            tree_hash: tree.hash.finish(),
            has_active_sub_jobs: tree.has_active_sub_jobs,
            // Search for the deepest failed sub-job only if one has failed, which is rare.
            has_failure: tree.has_failed_job && job.failure().is_some(),
            all_sub_jobs_succeeded: !direct.is_empty()
                && direct.iter().all(|sub_job| sub_job.phase() == Some(&Phase::Success)),
            step_ends: tree.into_step_ends(),
        }
    }

    /// Returns the phase, or `None` if the job has none.
    #[must_use]
    pub const fn phase(&self) -> Option<&Phase> {
        self.phase.as_ref()
    }

    /// Returns whether the job has ended: its phase is `Success` or `Failed`.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.phase.as_ref().is_some_and(Phase::is_terminal)
    }

    /// Returns the job's type, such as `CreateCluster`.
    #[must_use]
    pub fn job_type(&self) -> Option<&str> {
        self.job_type.as_deref()
    }

    /// Returns `creationTimestamp` if it is between the years 1678 and 2262.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.created_at.map(CompactTimestamp::get)
    }

    /// Returns `updateTimestamp` if it is between the years 1678 and 2262.
    #[must_use]
    pub fn updated_at(&self) -> Option<Timestamp> {
        self.updated_at.map(CompactTimestamp::get)
    }

    /// Returns the ages of the job at which its successful steps ended, in ascending order.
    ///
    /// A step is a sub-job without sub-jobs. Returns an empty slice if the time of a step is
    /// missing or is before the job's creation, because the other times cannot be trusted then.
    #[must_use]
    pub fn step_ends(&self) -> &[Duration] {
        self.step_ends.as_deref().unwrap_or_default()
    }

    /// Returns whether two jobs have the same phase and the same tree of sub-jobs.
    ///
    /// The trees are the same if they list the same uids in the same order with the same phases.
    /// They are compared by a hash of 64 bits.
    #[must_use]
    pub const fn has_same_tree(&self, other: &Self) -> bool {
        self.tree_hash == other.tree_hash
    }

    /// Returns the hash that [`has_same_tree`](Self::has_same_tree) compares.
    ///
    /// It is not stable: another version may return another hash for the same tree.
    #[must_use]
    pub const fn tree_hash(&self) -> u64 {
        self.tree_hash
    }

    /// Returns whether a sub-job, at any depth, is `Initializing` or `Running`.
    #[must_use]
    pub const fn has_active_sub_jobs(&self) -> bool {
        self.has_active_sub_jobs
    }

    /// Returns whether the job or a sub-job has failed, as [`Job::failure`] defines it.
    #[must_use]
    pub const fn has_failure(&self) -> bool {
        self.has_failure
    }

    /// Returns whether the job has sub-jobs and all of the first level are `Success`.
    #[must_use]
    pub const fn all_sub_jobs_succeeded(&self) -> bool {
        self.all_sub_jobs_succeeded
    }
}

/// A timestamp in 8 bytes, even in an `Option`: nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CompactTimestamp(NonZeroU64);

/// Flipping the sign bit makes zero, which `NonZeroU64` cannot store, the earliest time instead of
/// the epoch.
const SIGN_BIT: u64 = 1 << 63;

impl CompactTimestamp {
    /// Returns `None` before 1678 and after 2262, when the nanoseconds do not fit into 64 bits.
    fn new(time: Timestamp) -> Option<Self> {
        let nanoseconds = i64::try_from(time.as_nanosecond()).ok()?;
        NonZeroU64::new(nanoseconds.cast_unsigned() ^ SIGN_BIT).map(Self)
    }

    fn get(self) -> Timestamp {
        let nanoseconds = (self.0.get() ^ SIGN_BIT).cast_signed();
        Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default()
    }
}

/// The parts of a digest that depend on the whole tree of sub-jobs.
struct TreeSummary {
    created_at: Option<Timestamp>,
    /// The keys of this hasher are fixed, so that equal trees have equal hashes in this process.
    hash: DefaultHasher,
    has_active_sub_jobs: bool,
    has_failed_job: bool,
    step_ends: Vec<Duration>,
    has_undated_step: bool,
}

impl TreeSummary {
    fn new(job: &Job) -> Self {
        let mut hash = DefaultHasher::new();
        // The job's own uid is excluded, because a reply may lack it.
        (job.phase(), job.sub_jobs().len()).hash(&mut hash);
        Self {
            created_at: job.created_at(),
            hash,
            has_active_sub_jobs: false,
            has_failed_job: job.phase() == Some(&Phase::Failed),
            step_ends: Vec::new(),
            has_undated_step: false,
        }
    }

    fn add_sub_job(&mut self, job: &Job) {
        (job.uid(), job.phase(), job.sub_jobs().len()).hash(&mut self.hash);
        match job.phase() {
            Some(Phase::Initializing | Phase::Running) => self.has_active_sub_jobs = true,
            Some(Phase::Failed) => self.has_failed_job = true,
            Some(Phase::Success) if job.sub_jobs().is_empty() => {
                match age(job.updated_at(), self.created_at) {
                    Some(end) => self.step_ends.push(end),
                    None => self.has_undated_step = true,
                }
            }
            Some(Phase::Success | Phase::Unknown(_)) | None => {}
        }
    }

    /// Returns the ages in ascending order, or `None` if there are none or one is missing.
    fn into_step_ends(mut self) -> Option<Box<[Duration]>> {
        self.step_ends.sort_unstable();
        (!self.has_undated_step && !self.step_ends.is_empty()).then(|| self.step_ends.into())
    }
}

/// Returns the time from the creation until `time`, or `None` if one of them is missing or `time`
/// is before the creation.
fn age(time: Option<Timestamp>, created_at: Option<Timestamp>) -> Option<Duration> {
    time?.duration_since(created_at?).try_into().ok()
}

/// Returns the beginning of a type, so that a digest stays small if the type is long.
fn shortened_type(job_type: &str) -> Box<str> {
    const MAX_TYPE_BYTES: usize = 1024;
    job_type[..job_type.floor_char_boundary(MAX_TYPE_BYTES)].into()
}

#[cfg(test)]
mod tests;

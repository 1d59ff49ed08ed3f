//! How large a tree of jobs may be, and what of that is left while one is read.

use super::error::DecodeErrorKind;

/// How large a tree of jobs is read; a larger one is an error.
///
/// A body of 8 MiB could otherwise hold three million empty sub-jobs: a gigabyte, once read. What is
/// not limited here, unknown fields and parameters, takes at most some twenty-five times its size
/// in the body.
///
/// ```
/// use job_model::{DecodeErrorKind, Decoded, Limits};
///
/// let body = br#"{"spec": {"subJobs": [{}, {}]}}"#;
/// let error = Decoded::from_slice_with_limits(body, Limits::default().max_sub_jobs(1)).unwrap_err();
/// assert_eq!(error.kind(), DecodeErrorKind::TooManySubJobs);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    max_depth: u32,
    max_sub_jobs: u32,
}

impl Limits {
    /// The most levels that [`Limits::max_depth`] takes.
    pub const MAX_DEPTH_CAP: u32 = 40;

    /// Creates the default limits: 32 levels, 10,000 sub-jobs.
    #[must_use]
    pub const fn new() -> Self {
        Self { max_depth: 32, max_sub_jobs: 10_000 }
    }

    /// Sets how many levels of jobs there may be, the job itself being the first: 32 by default;
    /// at least 1, and at most 40, since the JSON parser follows known fields 128 deep at most.
    #[must_use]
    pub const fn max_depth(mut self, max_depth: u32) -> Self {
        self.max_depth = match max_depth {
            0 => 1,
            Self::MAX_DEPTH_CAP.. => Self::MAX_DEPTH_CAP,
            _ => max_depth,
        };
        self
    }

    /// Sets how many sub-jobs of all levels there may be: 10,000 by default.
    #[must_use]
    pub const fn max_sub_jobs(mut self, max_sub_jobs: u32) -> Self {
        self.max_sub_jobs = max_sub_jobs;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

/// What may still come of a tree that is being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RemainingLimits(Limits);

impl RemainingLimits {
    /// Starts at the job itself.
    pub(crate) const fn new(limits: Limits) -> Self {
        Self(Limits { max_depth: limits.max_depth - 1, ..limits })
    }

    /// Enters a sub-job, one level down; returns the limit that does not allow for it.
    pub(crate) fn enter(&mut self) -> Result<(), DecodeErrorKind> {
        let Limits { max_depth, max_sub_jobs } = self.0;
        self.0.max_depth = max_depth.checked_sub(1).ok_or(DecodeErrorKind::TooDeep)?;
        self.0.max_sub_jobs = max_sub_jobs.checked_sub(1).ok_or(DecodeErrorKind::TooManySubJobs)?;
        Ok(())
    }

    /// Leaves a sub-job that was entered.
    pub(crate) const fn leave(&mut self) {
        self.0.max_depth += 1;
    }
}

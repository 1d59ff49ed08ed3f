//! Limits the size of a decoded tree of jobs.

use super::error::DecodeErrorKind;

/// Limits on the size of a tree of jobs. Decoding a larger tree is an error.
///
/// Without limits, a body of 8 MiB could contain three million empty sub-jobs, which take a
/// gigabyte once decoded. Unknown fields and parameters have no limit here, because they take at
/// most about 25 times their size in the body.
///
/// ```
/// use job_model::{
///     Decoded,
///     decode::{DecodeErrorKind, Limits},
/// };
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
    /// The maximum that [`Limits::max_depth`] accepts.
    pub const MAX_DEPTH_CAP: u32 = 40;

    /// Creates the default limits: 32 levels and 10,000 sub-jobs.
    #[must_use]
    pub const fn new() -> Self {
        Self { max_depth: 32, max_sub_jobs: 10_000 }
    }

    /// Sets the maximum number of levels, including the job itself; 32 by default.
    ///
    /// The value is clamped to 1..=40, because the JSON parser allows at most 128 levels of
    /// nesting.
    #[must_use]
    pub const fn max_depth(mut self, max_depth: u32) -> Self {
        self.max_depth = match max_depth {
            0 => 1,
            Self::MAX_DEPTH_CAP.. => Self::MAX_DEPTH_CAP,
            _ => max_depth,
        };
        self
    }

    /// Sets the maximum number of sub-jobs, counted over all levels; 10,000 by default.
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

/// The part of the limits that is not used up yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RemainingLimits(Limits);

impl RemainingLimits {
    /// Starts at the top-level job.
    pub(crate) const fn new(limits: Limits) -> Self {
        Self(Limits { max_depth: limits.max_depth - 1, ..limits })
    }

    /// Enters a sub-job, one level down. Returns the kind of error if a limit is exceeded.
    pub(crate) fn enter(&mut self) -> Result<(), DecodeErrorKind> {
        let Limits { max_depth, max_sub_jobs } = self.0;
        self.0.max_depth = max_depth.checked_sub(1).ok_or(DecodeErrorKind::TooDeep)?;
        self.0.max_sub_jobs = max_sub_jobs.checked_sub(1).ok_or(DecodeErrorKind::TooManySubJobs)?;
        Ok(())
    }

    /// Leaves the sub-job that was entered last.
    pub(crate) const fn leave(&mut self) {
        self.0.max_depth += 1;
    }
}

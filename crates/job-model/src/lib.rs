//! The jobs of the Cloud Container Engine (CCE) API as plain data: bytes in, a [`Job`] out.
//!
//! **In scope:** reading a reply's body, every table of the service's reference page, sub-jobs,
//! timestamps, where a failed job failed; what an error's body says; the job's id in the reply of
//! the call that submitted it.
//! **Out of scope:** HTTP, credentials, waiting. This crate performs no I/O and reads no clock.
//!
//! Strict on syntax, open on shape: what departs from the reference page is kept and written again
//! as it came; what was odd, and what was coerced or mended, is listed in [`Decoded::deviations`].
//!
//! Needs `alloc` alone; the feature `std` (default) adds `Timestamp::system_time`.
//!
//! ```
//! use job_model::{Job, Phase};
//!
//! let body = br#"{"kind": "Job", "status": {"phase": "Running"}}"#;
//! let job = Job::from_slice(body)?;
//! assert_eq!(job.phase(), Some(&Phase::Running));
//! # Ok::<(), job_model::DecodeError>(())
//! ```
#![no_std]

extern crate alloc;

#[cfg(feature = "std")]
extern crate std;

mod decode;
mod job;
mod tree;
mod reply;
#[cfg(test)]
mod testing;

pub use decode::{DecodeError, DecodeErrorKind, Deviation, DeviationKind, Limits, RawFields};
pub use job::{
    Decoded, ExtendParam, IdError, Job, JobId, Metadata, Phase, ProjectId, Spec, Status, SubJobs,
    Timestamp,
};
pub use reply::{ServiceError, SubmissionError, is_unprintable};
pub use tree::{Failure, Inconsistency, InconsistencyKind, Node, Progress, SubJobPath, Tree, Walk};

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

mod job;
mod phase;
mod timestamp;
mod extend_param;
mod sub_jobs;
mod raw_fields;
mod id;
mod tree;
mod progress;
mod failure;
mod discrepancy;
mod render;
mod unseen;
mod submitted;
mod fault_body;
mod decode;
mod decode_error;
mod deviation;
mod limits;
mod strict;
mod exact;
mod object;
mod repair;
mod scan;
mod path;
mod json;
mod html;
#[cfg(test)]
mod testing;

pub use decode::Decoded;
pub use decode_error::{DecodeError, DecodeErrorKind};
pub use deviation::{Deviation, DeviationKind};
pub use discrepancy::{Discrepancy, DiscrepancyKind};
pub use extend_param::ExtendParam;
pub use failure::Failure;
pub use fault_body::ServiceError;
pub use id::{IdError, JobId, ProjectId};
pub use job::{Job, Metadata, Spec, Status};
pub use limits::Limits;
pub use phase::Phase;
pub use progress::Progress;
pub use raw_fields::RawFields;
pub use render::Tree;
pub use sub_jobs::SubJobs;
pub use submitted::SubmissionError;
pub use timestamp::Timestamp;
pub use tree::{Node, SubJobPath, Walk};
pub use unseen::is_unseen;

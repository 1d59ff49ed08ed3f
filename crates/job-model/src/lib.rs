//! The jobs of the Cloud Container Engine (CCE) API as plain data: bytes in, a [`Job`] out.
//!
//! **In scope:** reading a reply's body, every table of the service's reference page, sub-jobs of
//! any depth, timestamps, and where a failed job failed.
//! **Out of scope:** HTTP, credentials, waiting. This crate performs no I/O and reads no clock.
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

mod job;
mod phase;
mod timestamp;
mod extend_param;
mod id;
mod tree;
mod decode;
mod deviation;
mod repair;
mod object;

pub use decode::{DecodeError, DecodeErrorKind, Decoded};
pub use deviation::{Deviation, DeviationKind};
pub use extend_param::ExtendParam;
pub use id::{IdError, JobId, ProjectId};
pub use job::{Job, Metadata, Spec, Status};
pub use phase::Phase;
pub use timestamp::Timestamp;
pub use tree::{Failure, Node, SubJobPath, Walk};

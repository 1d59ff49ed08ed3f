//! Decodes the jobs of the Cloud Container Engine (CCE) API into plain data.
//!
//! The service runs long operations, such as creating a cluster, as jobs. A client reads a job with
//! a GET request; the steps of a job are sub-jobs, which have the same fields. This crate decodes
//! the body of the reply into a [`Job`] and evaluates it: the phase, the progress, and which step
//! failed and why.
//!
//! **In scope:** every field of the service's reference page ("Reading Job Progress"); sub-jobs at
//! any depth; timestamps; the failed step and its reason; jobs in the spelling of
//! [API v2](Job#api-v2), and lists of them ([`JobList`](job::JobList)); the state of the
//! [clusters and nodes](object) that jobs create, change and delete; the body of an error
//! ([`ServiceError`]); the job's id in the reply of the call that created the job
//! ([`JobId::from_submission`]).
//!
//! **Out of scope:** HTTP, credentials and waiting. This crate performs no I/O and reads no clock.
//! The next layer, [job-transport](../job_transport/index.html), sends the requests, and
//! [job-poller](../job_poller/index.html) waits until a job has ended.
//!
//! # Example
//!
//! ```
//! use job_model::{Decoded, Phase};
//!
//! let body = br#"{
//!     "kind": "Job",
//!     "spec": {"type": "CreateCluster", "subJobs": [
//!         {"spec": {"type": "CreatePSMCert"}, "status": {"phase": "Success"}},
//!         {"spec": {"type": "InstallMaster"}, "status": {"phase": "failed", "reason": "no quota"}},
//!     ]},
//!     "status": {"phase": "Failed", "reason": ""}
//! }"#;
//! let Decoded { job, deviations, .. } = Decoded::from_slice(body)?;
//!
//! assert_eq!(job.phase(), Some(&Phase::Failed));
//! assert_eq!(job.progress().success, 1);
//! let failure = job.failure().expect("the job failed");
//! assert_eq!(failure.to_string(), r#"CreateCluster > InstallMaster: "no quota""#);
//!
//! let deviations: Vec<String> = deviations.iter().map(ToString::to_string).collect();
//! assert_eq!(
//!     deviations,
//!     [
//!         "spec.subJobs: trailing comma",
//!         "spec.subJobs[1].status.phase: unrecognized phase spelling",
//!     ],
//! );
//! # Ok::<(), job_model::DecodeError>(())
//! ```
//!
//! # Deviations
//!
//! The decoder is strict on syntax and open on shape. A missing, unknown or oddly typed field does
//! not affect the rest of the job. Unknown fields and unexpected values are kept and encoded again
//! ([`RawFields`](decode::RawFields)). Unexpected values and repaired syntax errors are also listed
//! in [`Decoded::deviations`].
//!
//! # Jobs without a body
//!
//! [`Job::new`] and its `with_` methods build a job, for example in a test of a program that uses
//! this crate. A job can be serialized and read in [other formats of serde](Job#formats).
//!
//! # Modules
//!
//! The types that most programs need are listed here. The others are in [`decode`], [`job`],
//! [`object`], [`tree`] and [`reply`].
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `std` | yes | `Timestamp::system_time` |
//!
//! Without `std`, the crate needs only `alloc`.
#![no_std]

extern crate alloc;

#[cfg(feature = "std")]
extern crate std;

mod printable;
mod duration;
mod id;
pub mod decode;
pub mod job;
pub mod object;
pub mod tree;
pub mod reply;
#[cfg(test)]
mod testing;

pub use decode::{deviation::Deviation, error::DecodeError};
pub use duration::HumanDuration;
pub use id::IdError;
pub use jiff;
pub use job::{
    decoded::Decoded,
    fields::Job,
    id::{JobId, ProjectId},
    phase::Phase,
    timestamp::Timestamp,
};
pub use printable::is_unprintable;
pub use reply::service_error::ServiceError;
pub use tree::{
    failure::Failure, failure_summary::FailureSummary, inconsistency::Inconsistency,
    progress::Progress, walk::TreeEntry,
};

/// Tests the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

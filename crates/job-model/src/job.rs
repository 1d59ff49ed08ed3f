//! The parts of a [`Job`].
//!
//! A job has [`Metadata`], a [`Spec`] and a [`Status`]. The spec contains the [`SubJobs`] and the
//! [`ExtendParam`]s. A [`JobList`] has a [`JobRow`] for each job of a project.

pub(crate) mod phase;
pub(crate) mod timestamp;
mod extend_param;
mod sub_jobs;
pub(crate) mod id;
pub(crate) mod fields;
mod build;
mod name;
pub(crate) mod decoded;
mod list;

pub use extend_param::ExtendParam;
pub use fields::{Metadata, Spec, Status};
pub use list::{JobList, JobRow};
pub use sub_jobs::SubJobs;

pub(crate) use decoded::Decoded;
pub(crate) use fields::{FIELD_NAMES, Job};
pub(crate) use id::JobId;
pub(crate) use phase::Phase;
pub(crate) use timestamp::Timestamp;

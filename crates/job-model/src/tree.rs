//! The walk through a job and its sub-jobs, its printed form, and paths of sub-jobs.
//!
//! These are the results of methods of [`Job`](crate::Job): [`Walk`] of
//! [`Job::walk`](crate::Job::walk), and [`Tree`] of [`Job::tree`](crate::Job::tree). A
//! [`SubJobPath`] is in every [`TreeEntry`](crate::TreeEntry), [`Failure`](crate::Failure) and
//! [`Inconsistency`](crate::Inconsistency).

pub(crate) mod walk;
pub(crate) mod progress;
pub(crate) mod failure;
pub(crate) mod failure_summary;
pub(crate) mod inconsistency;
mod render;
mod summary;

pub use failure_summary::{FailureReason, StepKind};
pub use inconsistency::InconsistencyKind;
pub use render::Tree;
pub use walk::{SubJobPath, SubJobPathError, Walk};

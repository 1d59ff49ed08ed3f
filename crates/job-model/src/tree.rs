//! Evaluates a job together with its sub-jobs.

mod walk;
mod progress;
mod failure;
mod inconsistency;
mod render;
mod summary;

pub use failure::Failure;
pub use inconsistency::{Inconsistency, InconsistencyKind};
pub use progress::Progress;
pub use render::Tree;
pub use walk::{Node, SubJobPath, SubJobPathError, Walk};

//! Waits that an engine stores between two attempts. For drivers such as `job-restate`.
//!
//! [`Wait`](crate::Wait) and `Fleet` keep their waits in memory. An engine that stores them keeps a
//! [`StoredWait`] for each [`WaitKey`], calls it when its next attempt is due, and replaces it with a
//! [`StoredResult`] at the end.
//!
//! An engine that also reads lists of jobs compares their rows with the jobs' own readings
//! ([`RowState`]), counts how often the list was right ([`ListEvidence`]), and passes the result to
//! [`StoredWait::step_listed`]. The [`Forecast`]s of the jobs show when to read the list again.

mod wait_key;
mod stored_wait;
mod stored_result;

pub use self::{
    stored_result::StoredResult,
    stored_wait::StoredWait,
    wait_key::{WaitKey, WaitKeyError},
};
pub use crate::{
    listing::{ListEvidence, RowAge, RowState},
    machine::forecast::Forecast,
};

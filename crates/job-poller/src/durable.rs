//! Waits that an engine stores between two attempts. For drivers such as `job-restate`.
//!
//! [`Wait`](crate::Wait) and `Fleet` keep their waits in memory. An engine that stores them keeps a
//! [`StoredWait`] for each [`WaitKey`], calls it when its next attempt is due, and replaces it with a
//! [`StoredResult`] at the end.

mod wait_key;
mod stored_wait;
mod stored_result;

pub use self::{
    stored_result::StoredResult,
    stored_wait::StoredWait,
    wait_key::{WaitKey, WaitKeyError},
};

//! Descriptions of bodies that are not jobs.
//!
//! A [`ForeignBody`] is a body of another kind with a status of success. A [`SubmissionError`] is
//! the error of [`JobId::from_submission`](crate::JobId::from_submission). The body of an error is
//! a [`ServiceError`](crate::ServiceError), and its message may state a [`RateLimit`].

mod html;
pub(crate) mod service_error;
mod foreign_body;
mod submission;
mod rate_limit;

pub use foreign_body::ForeignBody;
pub use rate_limit::{RateLimit, RateLimitPolicy};
pub use submission::SubmissionError;

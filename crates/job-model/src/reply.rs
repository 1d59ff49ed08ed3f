//! The other bodies of the service: errors, and the replies that carry a job's id.

mod printable;
mod html;
mod service_error;
mod submission;

pub use printable::is_unprintable;
pub use service_error::ServiceError;
pub use submission::SubmissionError;

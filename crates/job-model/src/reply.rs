//! Reads the service's other bodies: errors, and replies that contain a job's id.

mod printable;
mod html;
mod service_error;
mod submission;

pub use printable::is_unprintable;
pub use service_error::ServiceError;
pub use submission::SubmissionError;

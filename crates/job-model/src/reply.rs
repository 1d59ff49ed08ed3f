//! Reads other bodies than jobs: errors, replies that contain a job's id, and bodies of other
//! services.

mod html;
mod service_error;
mod foreign_body;
mod submission;

pub use foreign_body::ForeignBody;
pub use service_error::ServiceError;
pub use submission::SubmissionError;

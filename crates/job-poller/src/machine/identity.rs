//! Checks whether a reply is about the job that was asked for.

use job_model::{Job, JobId};

use super::attempt_error::AttemptError;

/// Returns an error if the reply is another job.
///
/// A reply without a uid, or with an empty one, counts as the job. A uid that is not a string
/// cannot be the id that was asked for.
pub(crate) fn check_uid(job: &Job, id: &JobId) -> Result<(), AttemptError> {
    match job.uid() {
        Some(uid) if !uid.is_empty() && uid != id.as_str() => {
            return Err(AttemptError::wrong_job(uid));
        }
        Some(_) => return Ok(()),
        None => {}
    }
    let json = job.metadata.as_ref().and_then(|metadata| metadata.raw_fields.get("uid"));
    match json.and_then(|json| json.bytes().next()) {
        None | Some(b'n') => Ok(()),
        Some(b'"') => Err(AttemptError::wrong_uid_type("an invalid string")),
        Some(b'{') => Err(AttemptError::wrong_uid_type("an object, not a string")),
        Some(b'[') => Err(AttemptError::wrong_uid_type("an array, not a string")),
        Some(b't' | b'f') => Err(AttemptError::wrong_uid_type("a boolean, not a string")),
        Some(_) => Err(AttemptError::wrong_uid_type("a number, not a string")),
    }
}

//! A decoded reply: the job, and the reply's own facts. Decides nothing about the wait.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use job_model::{Decoded, Deviation, Job};

use crate::{FetchError, Unreadable};

/// What one attempt brought back.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reading {
    /// The job.
    pub job: Job,
    /// What was odd about the body.
    pub deviations: Vec<Deviation>,
    /// The body as it came.
    pub body: Bytes,
    /// The service's name for this request (`X-Request-Id`), to be quoted to its support.
    pub request_id: Option<String>,
}

impl Reading {
    /// Reads a reply. 200 is the only success (reference page, table 7).
    ///
    /// ```
    /// use bytes::Bytes;
    /// use job_transport::Reading;
    ///
    /// let body = Bytes::from_static(br#"{"kind": "Job", "status": {"phase": "Success"}}"#);
    /// let reading = Reading::from_response(http::Response::new(body))?;
    /// assert!(reading.job.phase().is_some_and(|phase| phase.is_terminal()));
    /// # Ok::<(), job_transport::FetchError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where the status is not 200, or the body is no job. A body whose `kind` is there and is not
    /// `Job` is no job, however well it reads.
    pub fn from_response(response: Response<Bytes>) -> Result<Self, FetchError> {
        let request_id = request_id(response.headers());
        if response.status() != StatusCode::OK {
            return Err(FetchError::status(response.status(), request_id));
        }
        let body = response.into_body();
        let Decoded { job, deviations, .. } = match Decoded::from_slice(&body) {
            Ok(decoded) => decoded,
            Err(error) => return Err(FetchError::unreadable(Unreadable::Body(error), request_id)),
        };
        // A kind of another type than text is kept beside the known fields.
        if job.kind.as_deref().is_some_and(|kind| kind != "Job")
            || job.raw_fields.get("kind").is_some()
        {
            return Err(FetchError::unreadable(Unreadable::Kind, request_id));
        }
        Ok(Self { job, deviations, body, request_id })
    }
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    headers.get("x-request-id")?.to_str().ok().map(String::from)
}

#[cfg(test)]
mod tests;

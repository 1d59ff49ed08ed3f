//! A decoded reply: the job, and the reply's own facts. Decides nothing about the wait.

use bytes::Bytes;
use http::{Response, StatusCode};
use jiff::Timestamp;
use job_model::{Decoded, Deviation, Job};

use crate::request::{FetchError, FetchErrorKind, date, request_id};

/// What one attempt brought back.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reading {
    /// The job.
    pub job: Job,
    /// What was odd about the body.
    pub deviations: Vec<Deviation>,
    /// The body as it came: the JSON text of this job and nothing around it, for a wait keeps it in the job's
    /// place. Empty where the job came otherwise.
    pub body: Bytes,
    /// The service's name for this request (`X-Request-Id`), to be quoted to its support.
    pub request_id: Option<String>,
    /// The service's own time when it replied (`Date`), to whole seconds.
    pub date: Option<Timestamp>,
    /// Whether the credentials were renewed in the course of the attempt.
    pub credentials_refreshed: bool,
}

impl Reading {
    /// Creates the reading of a job that came some other way than as a reply, for sources of the
    /// caller's own.
    ///
    /// ```
    /// let job = job_model::Job::from_slice(br#"{"status": {"phase": "Running"}}"#)?;
    /// let reading = job_transport::Reading::new(job);
    /// assert!(reading.body.is_empty());
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub const fn new(job: Job) -> Self {
        Self {
            job,
            deviations: Vec::new(),
            body: Bytes::new(),
            request_id: None,
            date: None,
            credentials_refreshed: false,
        }
    }

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
        if response.status() != StatusCode::OK {
            return Err(FetchError::from_response(&response));
        }
        Self::from_ok_response(response)
    }

    /// Reads a reply with status 200.
    pub(crate) fn from_ok_response(response: Response<Bytes>) -> Result<Self, FetchError> {
        let request_id = request_id(response.headers()).map(String::from);
        let unreadable = |kind| FetchError::new(kind).with_request_id(request_id.clone());
        let date = date(response.headers());
        let body = response.into_body();
        if body.is_empty() {
            return Err(unreadable(FetchErrorKind::EmptyBody));
        }
        let Decoded { job, deviations, .. } = match Decoded::from_slice(&body) {
            Ok(decoded) => decoded,
            Err(error) => {
                let is_html = body.trim_ascii_start().starts_with(b"<");
                return Err(if is_html {
                    unreadable(FetchErrorKind::HtmlPage)
                } else {
                    unreadable(FetchErrorKind::Undecodable).with_source(error)
                });
            }
        };
        // A kind of another type than text is kept beside the known fields.
        if job.kind.as_deref().is_some_and(|kind| kind != "Job")
            || job.raw_fields.get("kind").is_some()
        {
            return Err(unreadable(FetchErrorKind::WrongKind));
        }
        Ok(Self { deviations, body, request_id, date, ..Self::new(job) })
    }
}

#[cfg(test)]
mod tests;

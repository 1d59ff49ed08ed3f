//! The result of reading the list of jobs.

use bytes::Bytes;
use http::{Response, StatusCode};
use jiff::Timestamp;
use job_model::{DecodeError, decode::DecodeErrorKind, job::JobList};

use super::unreadable::Requested;
use crate::request::{FetchError, FetchErrorKind, date, request_id};

/// A list of jobs as read by one attempt, with details of the reply.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListReading {
    /// The jobs.
    pub list: JobList,
    /// Size of the body in bytes.
    pub body_len: usize,
    /// The service's id for the request (`X-Request-Id`), for questions to its support.
    pub request_id: Option<String>,
    /// The service's time when it replied (`Date`), in whole seconds.
    pub date: Option<Timestamp>,
    /// Whether the credentials were refreshed during the attempt.
    pub credentials_refreshed: bool,
}

impl ListReading {
    /// Creates a reading without a date and without a size, for custom sources.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = job_model::job::JobList::from_slice(b"[]")?;
    /// assert!(job_transport::ListReading::new(list).date.is_none());
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub const fn new(list: JobList) -> Self {
        Self { list, body_len: 0, request_id: None, date: None, credentials_refreshed: false }
    }

    /// Decodes a reply. 200 is the only success.
    ///
    /// # Errors
    ///
    /// Returns an error if the status is not 200, or if the body is not a list. The error describes
    /// the body.
    pub fn from_response(response: &Response<Bytes>) -> Result<Self, FetchError> {
        if response.status() != StatusCode::OK {
            return Err(FetchError::from_response(response));
        }
        Self::from_ok_response(response)
    }

    /// Reads a reply with status 200.
    pub(crate) fn from_ok_response(response: &Response<Bytes>) -> Result<Self, FetchError> {
        let request_id = request_id(response.headers()).map(String::from);
        let (date, body) = (date(response.headers()), response.body());
        match JobList::from_slice(body) {
            Ok(list) => Ok(Self { body_len: body.len(), request_id, date, ..Self::new(list) }),
            Err(cause) => Err(unreadable(body, cause).with_request_id(request_id)),
        }
    }
}

/// Returns the error of a body that is not a list of jobs. It describes the body.
fn unreadable(body: &[u8], cause: DecodeError) -> FetchError {
    let error = Requested::ListOfJobs.error(body, None);
    match (error.kind(), error.detail(), cause.kind()) {
        // The body is an object, and nothing is wrong with it except that it is a job.
        (FetchErrorKind::Undecodable, None, DecodeErrorKind::NotAnArray) => {
            Requested::ListOfJobs.single_job()
        }
        (FetchErrorKind::Undecodable, ..) => error.with_source(cause),
        _ => error,
    }
}

#[cfg(test)]
mod tests;

//! The result of an attempt: a decoded reply, or a reply that equals the last one.

use bytes::Bytes;
use http::{Response, StatusCode};
use jiff::Timestamp;
use job_model::Job;

use super::{snapshot::JobSnapshot, unreadable::Requested};
use crate::request::{FetchError, date, request_id};

/// A job as read by one attempt, with details of the reply.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reading {
    /// The job, its JSON text and the deviations of the body.
    pub snapshot: JobSnapshot,
    /// The service's id for the request (`X-Request-Id`), for questions to its support.
    pub request_id: Option<String>,
    /// The service's time when it replied (`Date`), in whole seconds.
    pub date: Option<Timestamp>,
    /// Whether the credentials were refreshed during the attempt.
    pub credentials_refreshed: bool,
}

/// The result of an attempt that compares the reply with the last accepted one.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a driver must handle both")]
pub enum Fetched {
    /// The reply differs from the last one.
    Reading(Reading),
    /// The reply equals the last one byte for byte. It was not decoded.
    Unchanged(Unchanged),
}

/// The details of a reply that equals the last one byte for byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unchanged {
    /// The service's time when it replied (`Date`), in whole seconds.
    pub date: Option<Timestamp>,
    /// Whether the credentials were refreshed during the attempt.
    pub credentials_refreshed: bool,
}

impl Unchanged {
    /// Reads the headers of a reply with status 200.
    pub(crate) fn from_ok_response(response: &Response<Bytes>) -> Self {
        Self { date: date(response.headers()), ..Self::new() }
    }

    /// Creates a result without a date and without refreshed credentials.
    #[must_use]
    pub const fn new() -> Self {
        Self { date: None, credentials_refreshed: false }
    }
}

impl From<Reading> for Fetched {
    fn from(reading: Reading) -> Self {
        Self::Reading(reading)
    }
}

impl Reading {
    /// Creates a reading without a request id or a date, for custom sources.
    ///
    /// # Examples
    ///
    /// ```
    /// let job = job_model::Job::from_slice(br#"{"status": {"phase": "Running"}}"#)?;
    /// let reading = job_transport::Reading::new(job);
    /// assert!(reading.date.is_none());
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub fn new(snapshot: impl Into<JobSnapshot>) -> Self {
        let snapshot = snapshot.into();
        Self { snapshot, request_id: None, date: None, credentials_refreshed: false }
    }

    /// Returns the job.
    #[must_use]
    pub fn job(&self) -> &Job {
        self.snapshot.job()
    }

    /// Decodes a reply. 200 is the only success (reference page, table 7).
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::Bytes;
    /// use job_transport::Reading;
    ///
    /// let body = Bytes::from_static(br#"{"kind": "Job", "status": {"phase": "Success"}}"#);
    /// let reading = Reading::from_response(http::Response::new(body))?;
    /// assert!(reading.job().phase().is_some_and(|phase| phase.is_terminal()));
    /// # Ok::<(), job_transport::FetchError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the status is not 200, or if the body is not a job: for example an error
    /// body, an object whose `kind` is not `Job`, or one that has none of a job's `metadata`,
    /// `spec` and `status` ([`Job::is_foreign`]). The error describes the body.
    pub fn from_response(response: Response<Bytes>) -> Result<Self, FetchError> {
        if response.status() != StatusCode::OK {
            return Err(FetchError::from_response(&response));
        }
        Self::from_ok_response(&response)
    }

    /// Reads a reply with status 200.
    pub(crate) fn from_ok_response(response: &Response<Bytes>) -> Result<Self, FetchError> {
        let request_id = request_id(response.headers()).map(String::from);
        let date = date(response.headers());
        let body = response.body();
        let snapshot = match JobSnapshot::from_bytes(kept_body(body)) {
            Ok(snapshot) if !snapshot.job().is_foreign() => snapshot,
            decoded => {
                let error = Requested::Job.error(body, decoded.err());
                return Err(error.with_request_id(request_id));
            }
        };
        Ok(Self { request_id, date, ..Self::new(snapshot) })
    }
}

/// Returns the body as it is kept. A small one is copied, because it may be a part of a larger
/// buffer, which would be kept with it.
fn kept_body(body: &Bytes) -> Bytes {
    const MIN_SHARED_BYTES: usize = 64 * 1024;
    if body.len() < MIN_SHARED_BYTES { Bytes::copy_from_slice(body) } else { body.clone() }
}

#[cfg(test)]
mod tests;

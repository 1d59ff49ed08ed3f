//! Decodes a job and lists the deviations of its body.

use alloc::vec::Vec;

use super::Job;
use crate::decode::{DecodeError, Deviation, Limits, decode};

/// A decoded job, and how its body deviated from the reference page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Decoded {
    /// The job.
    pub job: Job,
    /// The differences from the reference page that decoding tolerated; normally empty.
    ///
    /// At most 1,000 deviations are listed. If there are more, the last entry is
    /// [`DeviationKind::Truncated`](crate::decode::DeviationKind::Truncated).
    pub deviations: Vec<Deviation>,
}

impl Decoded {
    /// Creates the result of decoding, for example in a test.
    #[must_use]
    pub const fn new(job: Job, deviations: Vec<Deviation>) -> Self {
        Self { job, deviations }
    }

    /// Decodes a job within the default [`Limits`].
    ///
    /// The body must be valid JSON, except that a byte order mark, trailing commas and, within
    /// strings, control characters, invalid UTF-8 and lone surrogates are tolerated. The shape is
    /// open: a field that is missing, unknown or of an unexpected type does not affect the rest of
    /// the job. Repaired syntax errors and unexpected values are listed in [`Decoded::deviations`];
    /// missing and unknown fields are not.
    ///
    /// If the body has deviations, a slower decoder parses it a second time. Together this takes two
    /// to four times as long, at any depth, and up to seven times if the body consists of tiny values
    /// and has a trailing comma at its end.
    ///
    /// ```
    /// use job_model::{Decoded, decode::DeviationKind};
    ///
    /// let decoded = Decoded::from_slice(br#"{"kind": 7, "status": {"phase": "Running",}}"#)?;
    /// assert!(decoded.job.phase().is_some());
    /// assert_eq!(decoded.deviations[0].to_string(), "status: trailing comma");
    /// assert_eq!(decoded.deviations[1].kind, DeviationKind::UnexpectedType);
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the body is not valid JSON, is truncated, is not an object, has a known
    /// field twice in one object, or exceeds the limits.
    pub fn from_slice(body: &[u8]) -> Result<Self, DecodeError> {
        Self::from_slice_with_limits(body, Limits::default())
    }

    /// Decodes a job within the given limits.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`Decoded::from_slice`].
    pub fn from_slice_with_limits(body: &[u8], limits: Limits) -> Result<Self, DecodeError> {
        let (job, deviations) = decode(body, limits)?;
        Ok(Self { job, deviations })
    }
}

impl Job {
    /// Decodes a job and drops the deviations.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`Decoded::from_slice`].
    pub fn from_slice(body: &[u8]) -> Result<Self, DecodeError> {
        Decoded::from_slice(body).map(|decoded| decoded.job)
    }
}

#[cfg(test)]
mod tests;

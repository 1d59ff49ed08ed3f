//! A job and the deviations of the body that it was read from.

use alloc::{boxed::Box, format, vec::Vec};

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;

use super::{FIELD_NAMES, Job};
use crate::decode::{DecodeError, Deviation, Limits, decode};

/// A job, and what was odd about the body it was read from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Decoded {
    /// The job.
    pub job: Job,
    /// Where the body departed from the reference page and was understood; empty as a rule. Of a
    /// body with more than 1,000 oddities, the first 1,000.
    pub deviations: Vec<Deviation>,
}

impl Decoded {
    /// Reads a job within the default [`Limits`].
    ///
    /// Strict on syntax, but for a byte order mark, trailing commas and half surrogate pairs. Open
    /// on shape: a field that is missing, unknown or of an odd type loses nothing of the rest.
    /// What was tolerated is in the deviations. A body with any is read a second time, with care:
    /// that takes several times as long, and longer the deeper its sub-jobs are nested.
    ///
    /// ```
    /// use job_model::{Decoded, DeviationKind};
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
    /// Where the body is not JSON, is cut short, is no object, has a known field twice in one
    /// object, or goes beyond the limits.
    pub fn from_slice(body: &[u8]) -> Result<Self, DecodeError> {
        Self::from_slice_with_limits(body, Limits::default())
    }

    /// Reads a job within limits.
    ///
    /// # Errors
    ///
    /// As [`Decoded::from_slice`].
    pub fn from_slice_with_limits(body: &[u8], limits: Limits) -> Result<Self, DecodeError> {
        let (job, deviations) = decode(body, limits, FIELD_NAMES)?;
        Ok(Self { job, deviations })
    }
}

impl Job {
    /// Reads a job as [`Decoded::from_slice`] does, for a caller who does not ask what was odd.
    ///
    /// # Errors
    ///
    /// As [`Decoded::from_slice`].
    pub fn from_slice(body: &[u8]) -> Result<Self, DecodeError> {
        Decoded::from_slice(body).map(|decoded| decoded.job)
    }
}

/// Reads a job within a larger JSON document as [`Job::from_slice`] does. Only by `serde_json`, and
/// not below serde's `flatten` or an untagged or internally tagged enum: unknown fields are kept as
/// the JSON text they came as, which those do not pass on.
impl<'de> Deserialize<'de> for Job {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        // Without the line and column, which are those within the job's own text.
        let at = |error: DecodeError| format!("{} at {}", error.kind(), error.path());
        Self::from_slice(json.get().as_bytes()).map_err(|error| D::Error::custom(at(error)))
    }
}

#[cfg(test)]
mod tests;

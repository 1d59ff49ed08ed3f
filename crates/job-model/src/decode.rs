//! From a reply's bytes to a job: strictly and fast, or else repaired and with care.

mod deviation;
mod error;
mod limits;
mod path;
pub(crate) mod json;
mod scan;
mod repair;
mod object;
pub(crate) mod fast;
mod lenient;
mod raw_fields;

pub use deviation::{Deviation, DeviationKind};
pub use error::{DecodeError, DecodeErrorKind};
pub(crate) use fast::{next_value, object};
pub(crate) use json::ObjectEntries;
pub(crate) use lenient::LenientDecoder;
pub use limits::Limits;
pub(crate) use limits::RemainingLimits;
pub(crate) use object::{Fidelity, Field, Object, StringField, json_object, write, write_unknown};
pub use raw_fields::RawFields;
pub(crate) use repair::repair;

use alloc::{boxed::Box, format, vec::Vec};

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;

use self::path::Path;
use crate::job::Job;

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
        let fast = str::from_utf8(body).ok().and_then(|body| fast::decode(body, limits).ok());
        if let Some(job) = fast {
            return Ok(Self { job, deviations: Vec::new() });
        }
        // Only now: a body that is as the reference page has it pays nothing for the tolerance.
        let (body, deviations) = repair(body);
        let (body, object) = parse_object(&body)?;
        let (job, deviations) = lenient::decode(body, object, limits, deviations)?;
        Ok(Self { job, deviations })
    }
}

/// Returns the body as text, and the one object that it is.
pub(crate) fn parse_object(body: &[u8]) -> Result<(&str, &RawValue), DecodeError> {
    let body = str::from_utf8(body).map_err(|error| DecodeError::not_utf8(body, &error))?;
    let json: &RawValue =
        serde_json::from_str(body).map_err(|error| DecodeError::syntax(body, &error))?;
    if !json.get().starts_with('{') {
        let kind = DecodeErrorKind::NotAnObject;
        return Err(DecodeError::for_value(body, json, kind, &Path::default()));
    }
    Ok((body, json))
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

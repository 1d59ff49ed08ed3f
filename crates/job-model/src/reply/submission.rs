//! Reads the job's id from the reply of the call that created the job.

use alloc::{vec, vec::Vec};
use core::fmt;

use serde_json::value::RawValue;

use crate::{
    decode::{
        DecodeError, ObjectEntries,
        json::{self, LossyString},
        parse_object, repair,
    },
    job::{FIELD_NAMES, IdError, JobId},
};

/// The fields that may contain the id, in their order of precedence.
const JOB_ID_PATHS: [&str; 5] =
    ["status.jobID", "jobid", "jobID", "status.jobId", "metadata.annotations.jobid"];

impl JobId {
    /// Reads the job's id from the reply of the call that created the job.
    ///
    /// The service uses five different fields. They are read in this order, and the first one with
    /// an id is used:
    ///
    /// | field | returned by |
    /// |---|---|
    /// | `status.jobID` | create or delete a cluster or a node, remove or migrate a node |
    /// | `jobid` | accept or reset a node, add it to a pool, rotate credentials |
    /// | `jobID` | resize a cluster |
    /// | `status.jobId` | create or delete a node pool |
    /// | `metadata.annotations.jobid` | create a cluster, beside the first |
    ///
    /// (`resourceJobId`, seen beside the last one, is the id of another job.) If two fields have
    /// different ids, the reply is rejected, because either one may be the wrong job.
    ///
    /// ```
    /// let reply = br#"{"kind": "Cluster", "status": {"jobID": "354331b2c-229a-11e8"}}"#;
    /// let id = job_model::JobId::from_submission(reply)?;
    /// assert_eq!(id.as_str(), "354331b2c-229a-11e8");
    /// # Ok::<(), job_model::SubmissionError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the reply is not a JSON object, or has no id, an invalid id, or two
    /// different ids.
    pub fn from_submission(reply: &[u8]) -> Result<Self, SubmissionError> {
        let (reply, _) = repair(reply);
        let (_, reply) = parse_object(&reply, FIELD_NAMES).map_err(SubmissionError::Unreadable)?;
        let (mut found, mut unusable) = (None, None);
        for path in JOB_ID_PATHS {
            for json in values_at_path(reply, path) {
                match (read_id(path, json), &found) {
                    (Ok(None), _) => {}
                    (Err(error), _) => unusable = unusable.or(Some(error)),
                    (Ok(Some(id)), None) => found = Some((path, id)),
                    (Ok(Some(id)), Some((first, known))) if id != *known => {
                        return Err(SubmissionError::Ambiguous { first, second: path });
                    }
                    (Ok(Some(_)), Some(_)) => {}
                }
            }
        }
        let id = found.map(|(_, id)| id);
        id.ok_or_else(|| unusable.unwrap_or(SubmissionError::Absent))
    }
}

/// Returns the values at a path. There are several if a name is given more than once.
fn values_at_path<'b>(json: &'b RawValue, path: &str) -> Vec<&'b RawValue> {
    let mut values = vec![json];
    for name in path.split('.') {
        let objects = values.into_iter().filter_map(json::read::<ObjectEntries<'b>>);
        let members = objects.flat_map(|object| object.members);
        values = members.filter(|(known, _)| known == name).map(|(_, json)| json).collect();
    }
    values
}

/// Reads an id. Returns `None` if it is null or empty.
fn read_id(path: &'static str, json: &RawValue) -> Result<Option<JobId>, SubmissionError> {
    let text = match json::read::<LossyString>(json) {
        None if json.get() == "null" => return Ok(None),
        Some(LossyString { text, has_lone_surrogates: false }) => text,
        _ => return Err(SubmissionError::NotText { path }),
    };
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| SubmissionError::Invalid { path, error })
}

/// Why no job id could be read from a reply.
///
/// Contains nothing of the reply, except the character in [`IdError::InvalidCharacter`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmissionError {
    /// The reply is not a JSON object. If it was truncated, the service has still accepted the
    /// call, and the job goes on.
    Unreadable(DecodeError),
    /// None of the known fields contains a job id.
    Absent,
    /// The value of the field is not a string.
    NotText {
        /// The path of the field.
        path: &'static str,
    },
    /// The value of the field is not a valid id.
    Invalid {
        /// The path of the field.
        path: &'static str,
        /// Why the value is not a valid id.
        error: IdError,
    },
    /// Two fields have different ids.
    Ambiguous {
        /// The path of the first field.
        first: &'static str,
        /// The path of the field with another id.
        second: &'static str,
    },
}

impl fmt::Display for SubmissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(_) => f.write_str("the reply cannot be read"),
            Self::Absent => {
                let [first, second, third, fourth, fifth] = JOB_ID_PATHS;
                f.write_str("the reply has no job id at ")?;
                write!(f, "{first}, {second}, {third}, {fourth} or {fifth}")
            }
            Self::NotText { path } => write!(f, "the job id at {path} is not a string"),
            Self::Invalid { path, .. } => write!(f, "the value at {path} is not a valid job id"),
            Self::Ambiguous { first, second } => {
                write!(f, "the reply has different job ids at {first} and {second}")
            }
        }
    }
}

impl core::error::Error for SubmissionError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Unreadable(error) => Some(error),
            Self::Invalid { error, .. } => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;

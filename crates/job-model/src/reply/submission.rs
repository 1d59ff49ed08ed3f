//! The job's id in the reply of a call that submitted one. Sends no call.

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

/// The spellings, in their order of precedence, each as the names that lead to it.
const JOB_ID_PATHS: [&str; 5] =
    ["status.jobID", "jobid", "jobID", "status.jobId", "metadata.annotations.jobid"];

impl JobId {
    /// Reads the job's id out of the reply of the call that submitted the job.
    ///
    /// The service has five spellings. They are looked for in this order, and the first that has an
    /// id gives it:
    ///
    /// | where | in the reply of |
    /// |---|---|
    /// | `status.jobID` | create or delete a cluster or a node, remove or migrate a node |
    /// | `jobid` | accept or reset a node, add it to a pool, rotate credentials |
    /// | `jobID` | resize a cluster |
    /// | `status.jobId` | create or delete a node pool |
    /// | `metadata.annotations.jobid` | create a cluster, beside the first |
    ///
    /// (`resourceJobId`, seen beside the last, is another job.) A reply in which two have ids that
    /// differ is refused: to wait for either may be to wait for the wrong job.
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
    /// Where the reply is no JSON object, has no id, an id that cannot be one, or two that differ.
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

/// Returns the values that a path leads to; more than one where a name is given twice.
fn values_at_path<'b>(json: &'b RawValue, path: &str) -> Vec<&'b RawValue> {
    let mut values = vec![json];
    for name in path.split('.') {
        let objects = values.into_iter().filter_map(json::read::<ObjectEntries<'b>>);
        let members = objects.flat_map(|object| object.members);
        values = members.filter(|(known, _)| known == name).map(|(_, json)| json).collect();
    }
    values
}

/// Reads an id; `None` where it is null or empty.
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

/// Why a reply gives no job id. Holds nothing of the reply beyond a character that no id has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmissionError {
    /// The reply is no JSON object. One that was cut short is the reply of a call that the service
    /// took: its job goes on.
    Unreadable(DecodeError),
    /// The reply has a job id in none of the known places.
    Absent,
    /// What stands in the id's place is no text.
    NotText {
        /// Where.
        path: &'static str,
    },
    /// What stands in the id's place cannot be one.
    Invalid {
        /// Where.
        path: &'static str,
        /// Why not.
        error: IdError,
    },
    /// Two places have ids, and they differ.
    Ambiguous {
        /// The first place.
        first: &'static str,
        /// The place with another id.
        second: &'static str,
    },
}

impl fmt::Display for SubmissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(_) => f.write_str("the reply cannot be read"),
            Self::Absent => {
                let [first, second, third, fourth, fifth] = JOB_ID_PATHS;
                f.write_str("the reply has no job id: not at ")?;
                write!(f, "{first}, {second}, {third}, {fourth} or {fifth}")
            }
            Self::NotText { path } => write!(f, "the job id at {path} is no text"),
            Self::Invalid { path, .. } => write!(f, "the text at {path} is no job id"),
            Self::Ambiguous { first, second } => {
                write!(f, "the reply has two different job ids: at {first} and at {second}")
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

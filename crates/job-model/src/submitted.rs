//! The job's id in the reply of a call that submitted one. Sends no call.

use alloc::{string::String, vec, vec::Vec};
use core::fmt;

use serde_json::value::RawValue;

use crate::{IdError, JobId, json, repair::repair};

/// The spellings, in their order of precedence, each as the names that lead to it.
const SPELLINGS: [&str; 5] =
    ["status.jobID", "jobid", "jobID", "status.jobId", "metadata.annotations.jobid"];

impl JobId {
    /// Reads the job's id out of the reply of the call that submitted the job.
    ///
    /// The service has five spellings. They are looked for in this order, and the first that is
    /// there and is neither null nor empty gives the id:
    ///
    /// | where | in the reply of |
    /// |---|---|
    /// | `status.jobID` | create or delete a cluster or a node, remove or migrate a node |
    /// | `jobid` | accept or reset a node, add it to a pool, rotate credentials |
    /// | `jobID` | resize a cluster |
    /// | `status.jobId` | create or delete a node pool |
    /// | `metadata.annotations.jobid` | create a cluster, beside the first |
    ///
    /// (`resourceJobId`, seen beside the last, is another job.) A reply in which two of them are
    /// there and differ is refused: to wait for either may be to wait for the wrong job.
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
        let reply: &RawValue =
            serde_json::from_slice(&reply).map_err(|_| SubmissionError::NotAnObject)?;
        if !reply.get().starts_with('{') {
            return Err(SubmissionError::NotAnObject);
        }
        let mut first: Option<(&'static str, Self)> = None;
        for path in SPELLINGS {
            for json in values(reply, path) {
                let Some(id) = read_id(path, json)? else {
                    continue;
                };
                match &first {
                    None => first = Some((path, id)),
                    Some((one, known)) if *known != id => {
                        return Err(SubmissionError::Differing { one, other: path });
                    }
                    Some(_) => {}
                }
            }
        }
        first.map(|(_, id)| id).ok_or(SubmissionError::Absent)
    }
}

/// Returns the values that a path leads to; more than one where a name is given twice.
fn values<'b>(json: &'b RawValue, path: &str) -> Vec<&'b RawValue> {
    let mut values = vec![json];
    for name in path.split('.') {
        let members = values.into_iter().filter_map(|json| json::members(json.get())).flatten();
        values = members.filter(|(known, _)| known == name).map(|(_, json)| json).collect();
    }
    values
}

/// Reads an id; `None` where it is null or empty.
fn read_id(path: &'static str, json: &RawValue) -> Result<Option<JobId>, SubmissionError> {
    match json.get() {
        "null" | "\"\"" => Ok(None),
        json => {
            let text: String =
                serde_json::from_str(json).map_err(|_| SubmissionError::NotText { path })?;
            let id = text.parse().map_err(|error| SubmissionError::Invalid { path, error })?;
            Ok(Some(id))
        }
    }
}

/// Why a reply gives no job id. Holds nothing of the reply beyond a character that no id has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmissionError {
    /// The reply is no JSON object.
    NotAnObject,
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
    Differing {
        /// The first place.
        one: &'static str,
        /// The place with another id.
        other: &'static str,
    },
}

impl fmt::Display for SubmissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject => f.write_str("the reply is no JSON object"),
            Self::Absent => {
                let [first, second, third, fourth, fifth] = SPELLINGS;
                f.write_str("the reply has no job id: not at ")?;
                write!(f, "{first}, {second}, {third}, {fourth} or {fifth}")
            }
            Self::NotText { path } => write!(f, "the job id at {path} is no text"),
            Self::Invalid { path, .. } => write!(f, "the text at {path} is no job id"),
            Self::Differing { one, other } => {
                write!(f, "the reply has two job ids: at {one} and, another, at {other}")
            }
        }
    }
}

impl core::error::Error for SubmissionError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Invalid { error, .. } => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;

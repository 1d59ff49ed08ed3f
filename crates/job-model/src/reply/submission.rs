//! Reads the job's id from the reply of the call that created the job.

use alloc::vec::Vec;
use core::fmt;

use crate::{
    decode::{Cursor, DecodeError, Document, Text},
    id::IdError,
    job::{FIELD_NAMES, Job, JobId},
    reply::service_error::is_spelling_of,
};

/// The fields that may contain the id of the job, in their order of precedence, and then the fields
/// that may contain the id of an order.
const PATHS: [&str; 8] = [
    "status.jobID",
    "jobid",
    "jobID",
    "status.jobId",
    "metadata.annotations.jobid",
    "orderId",
    "status.orderId",
    "metadata.annotations.orderId",
];

/// How many of the paths are those of job ids.
const JOB_ID_PATH_COUNT: usize = 5;

/// The `kind` of a job.
const JOB_KIND: &str = "Job";

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
    /// Other clients print these fields with other names, such as `job_id`. So names are compared
    /// without `_` and in any case. If the reply is a job itself, as `GET` of a job returns it, the
    /// id is its `metadata.uid`.
    ///
    /// ```
    /// let reply = br#"{"kind": "Cluster", "status": {"jobID": "354331b2c-229a-11e8"}}"#;
    /// let id = job_model::JobId::from_submission(reply)?;
    /// assert_eq!(id.as_str(), "354331b2c-229a-11e8");
    /// # Ok::<(), job_model::reply::SubmissionError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the reply is not a JSON object, or has no id, an invalid id, or two
    /// different ids. If it has the id of an order instead, the error is [`SubmissionError::Order`].
    pub fn from_submission(reply: &[u8]) -> Result<Self, SubmissionError> {
        let (document, _) =
            Document::new(reply, FIELD_NAMES).map_err(SubmissionError::Unreadable)?;
        document.check_object().map_err(SubmissionError::Unreadable)?;
        let mut found: [PathIds; PATHS.len()] = Default::default();
        let paths: Vec<_> = PATHS.into_iter().enumerate().collect();
        collect_ids(&mut document.cursor(), &paths, &mut found);
        let has_order = found[JOB_ID_PATH_COUNT..].iter().any(|order| order.first.is_some());
        let (mut id, mut unusable) = (None, None);
        for (path, ids) in PATHS.into_iter().zip(found).take(JOB_ID_PATH_COUNT) {
            unusable = unusable.or(ids.unusable);
            let Some(first) = ids.first else {
                continue;
            };
            let (known_path, known) = id.get_or_insert_with(|| (path, first.clone()));
            if first != *known || ids.differ {
                return Err(SubmissionError::Ambiguous { first: known_path, second: path });
            }
        }
        match (id, unusable) {
            (Some((_, id)), _) => Ok(id),
            (None, Some(unusable)) => Err(unusable),
            (None, None) if has_order => Err(SubmissionError::Order),
            (None, None) => read_own_id(reply),
        }
    }
}

/// Reads the id of a reply that is a job itself.
fn read_own_id(reply: &[u8]) -> Result<JobId, SubmissionError> {
    let job = Job::from_slice(reply).ok();
    let job = job.filter(|job| job.kind.as_deref() == Some(JOB_KIND));
    let uid = job.as_ref().and_then(Job::uid).filter(|uid| !uid.is_empty());
    let invalid = |error| SubmissionError::Invalid { path: "metadata.uid", error };
    uid.ok_or(SubmissionError::Absent)?.parse().map_err(invalid)
}

/// What was found at one path. A path can have several values, because a name may be given more
/// than once.
#[derive(Default)]
struct PathIds {
    first: Option<JobId>,
    /// Whether there is another id than the first.
    differ: bool,
    /// Why the first value without an id has none.
    unusable: Option<SubmissionError>,
}

/// Reads the ids at the paths, in one pass over the next value. The paths begin at this value. The
/// index of each is that of its result, and of its whole path in [`PATHS`].
fn collect_ids(cursor: &mut Cursor<'_>, paths: &[(usize, &'static str)], ids: &mut [PathIds]) {
    if !cursor.enter(b'{') {
        cursor.skip();
        return;
    }
    while let Some(Text { text: name, .. }) = cursor.next_name() {
        // `jobid` and `jobID` are spellings of each other, so the exact name is preferred.
        let exact = paths.iter().find(|(_, path)| **path == *name);
        let spelling = || paths.iter().find(|(_, path)| is_spelling_of(&name, path));
        if let Some((index, _)) = exact.or_else(spelling) {
            let found = &mut ids[*index];
            match read_id(PATHS[*index], cursor) {
                Ok(None) => {}
                Ok(Some(id)) => match &found.first {
                    Some(first) => found.differ |= id != *first,
                    None => found.first = Some(id),
                },
                Err(error) => found.unusable = found.unusable.take().or(Some(error)),
            }
            continue;
        }
        let within = |(index, path): &(usize, &'static str)| {
            let (parent, rest) = path.split_once('.')?;
            is_spelling_of(&name, parent).then_some((*index, rest))
        };
        let inner: Vec<_> = paths.iter().filter_map(within).collect();
        if inner.is_empty() {
            cursor.skip();
        } else {
            collect_ids(cursor, &inner, ids);
        }
    }
}

/// Reads the next value as an id. Returns `None` if it is null or empty.
fn read_id(path: &'static str, cursor: &mut Cursor<'_>) -> Result<Option<JobId>, SubmissionError> {
    if cursor.null() {
        return Ok(None);
    }
    let text = match cursor.text() {
        Some(Text { text, has_lone_surrogates: false }) => text,
        Some(_) => return Err(SubmissionError::NotText { path }),
        None => {
            cursor.skip();
            return Err(SubmissionError::NotText { path });
        }
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
    /// The reply has the id of an order instead of a job id. The service starts a job only after
    /// the order is paid.
    Order,
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
                let [first, second, third, fourth, fifth, ..] = PATHS;
                f.write_str("the reply has no job id at ")?;
                write!(f, "{first}, {second}, {third}, {fourth} or {fifth}")
            }
            Self::Order => f.write_str("the reply has an order id and no job id"),
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

//! The key of a wait.

use std::{fmt, str::FromStr};

use job_model::{JobId, ProjectId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Identifies a wait by its project and job; written `PROJECT:JOB`.
///
/// Engines use it as the key of the stored wait.
///
/// ```
/// use job_poller::durable::WaitKey;
///
/// let key: WaitKey = "10d0b3a1:354331b2c-229a-11e8-9c75-0255ac100ceb".parse()?;
/// assert_eq!(key.project.as_str(), "10d0b3a1");
/// assert_eq!(key.to_string(), "10d0b3a1:354331b2c-229a-11e8-9c75-0255ac100ceb");
///
/// let error = "354331b2c".parse::<WaitKey>().unwrap_err();
/// assert_eq!(error.to_string(), r#""354331b2c" is not a wait key; expected PROJECT:JOB"#);
/// # Ok::<(), job_poller::durable::WaitKeyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a key always has exactly these two parts")]
pub struct WaitKey {
    /// The project of the job.
    pub project: ProjectId,
    /// The id of the job.
    pub job: JobId,
}

/// The error for a text that is not the key of a wait.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a wait key; expected PROJECT:JOB")]
pub struct WaitKeyError {
    text: String,
    #[source]
    source: Option<job_model::IdError>,
}

impl FromStr for WaitKey {
    type Err = WaitKeyError;

    /// Parses `PROJECT:JOB`, and splits at the first colon, because a project id contains no colon.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no colon, or if either part is not a valid id.
    fn from_str(text: &str) -> Result<Self, WaitKeyError> {
        let error = |source| WaitKeyError { text: text.into(), source };
        let (project, job) = text.split_once(':').ok_or_else(|| error(None))?;
        let project = project.parse().map_err(|source| error(Some(source)))?;
        let job = job.parse().map_err(|source| error(Some(source)))?;
        Ok(Self { project, job })
    }
}

impl fmt::Display for WaitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.project.as_str(), self.job.as_str())
    }
}

impl Serialize for WaitKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WaitKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

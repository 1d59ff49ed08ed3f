//! Finds the sub-job that made a job fail, and its reason.

use alloc::{borrow::Cow, string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeStruct};

use super::walk::{NO_LABEL, SubJobPath};
use crate::{
    job::{Job, Phase},
    printable::{Escaped, Quoted, pad},
};

/// Where and why a job failed.
///
/// The `Display` form is one line, such as
/// `ScaleupCluster > CreateNode pool-blue-7: "no such flavor"`. Texts of the service are escaped, and
/// the reason is quoted. If many steps failed, [`FailureSummary`](crate::FailureSummary) shows them
/// all.
///
/// The serialized form is an object with `path`, `job_types`, `uid`, `reason` and `name`. `job_type`
/// is read from the last entry of `job_types`. That entry is the uid or `job` if the job has no type,
/// and then `job_type` is `None`. A missing `name`, which earlier versions did not write, is `None`.
///
/// ```
/// use job_model::Failure;
///
/// let json = r#"{"path":"","job_types":["CreateCluster"],"uid":null,"reason":"no quota","name":null}"#;
/// let failure: Failure = serde_json::from_str(json)?;
/// assert_eq!(failure.to_string(), r#"CreateCluster: "no quota""#);
/// assert_eq!(failure.job_type.as_deref(), Some("CreateCluster"));
/// assert_eq!(serde_json::to_string(&failure)?, json);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Failure {
    /// The types of the jobs from the top-level job down to the deepest failed sub-job. A job
    /// without a type is listed as its uid, or as `job` if it has no uid either.
    pub job_types: Vec<String>,
    /// The path of the deepest failed sub-job.
    pub path: SubJobPath,
    /// The type of that sub-job.
    pub job_type: Option<String>,
    /// The uid of that sub-job.
    pub uid: Option<String>,
    /// The reason of that sub-job.
    ///
    /// If it has none, this is the reason of the nearest failed job above it that has one.
    pub reason: Option<String>,
    /// The name of that sub-job. It is the first of these that exists:
    ///
    /// - the name of its resource
    /// - the name of the resource of the nearest job above it, except for the top-level job
    /// - the first 8 characters of its uid
    ///
    /// If no sub-job failed, this is the name of the job's own resource.
    pub name: Option<String>,
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Failure", 5)?;
        object.serialize_field("path", &self.path)?;
        object.serialize_field("job_types", &self.job_types)?;
        object.serialize_field("uid", &self.uid)?;
        object.serialize_field("reason", &self.reason)?;
        object.serialize_field("name", &self.name)?;
        object.end()
    }
}

impl<'de> Deserialize<'de> for Failure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "Failure")]
        struct Fields {
            path: SubJobPath,
            job_types: Vec<String>,
            uid: Option<String>,
            reason: Option<String>,
            #[serde(default)]
            name: Option<String>,
        }

        let Fields { path, job_types, uid, reason, name } = Fields::deserialize(deserializer)?;
        let is_type = |label: &&String| Some(*label) != uid.as_ref() && *label != NO_LABEL;
        let job_type = job_types.last().filter(is_type).cloned();
        Ok(Self { job_types, path, job_type, uid, reason, name })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        pad(f, format_args!("{}", Line(self)))
    }
}

/// Displays a failure without a width.
struct Line<'a>(&'a Failure);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (level, step) in self.0.job_types.iter().enumerate() {
            let arrow = if level == 0 { "" } else { " > " };
            write!(f, "{arrow}{}", Escaped(step))?;
        }
        // A step without a type is listed as its uid, and its name may be the beginning of that.
        let uid = self.0.uid.as_ref().filter(|_| self.0.job_type.is_none());
        let is_new = |name: &&String| !uid.is_some_and(|uid| uid.starts_with(name.as_str()));
        if let Some(name) = self.0.name.as_ref().filter(is_new) {
            write!(f, " {}", Escaped(name))?;
        }
        match &self.0.reason {
            Some(reason) => write!(f, ": {}", Quoted(reason)),
            None => f.write_str(": no reason given"),
        }
    }
}

impl Job {
    /// Returns where and why this job failed, or `None` if nothing failed.
    ///
    /// The result describes the deepest failed sub-job, or the job itself if none failed. If
    /// several are equally deep, it is the first one with a reason, or the first one if none has a
    /// reason.
    ///
    /// Failures below a successful sub-job are ignored, because that sub-job recovered from them. A
    /// sub-job may have failed although the job itself is still running or succeeded. Use
    /// [`Job::phase`] to find out how the job itself ended.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let failed = self.walk().filter(|entry| entry.job.phase() == Some(&Phase::Failed));
        let lines = failed.map(|entry| (self.lineage(&entry.path), entry.path));
        let overcome = |sub_job: &&Self| sub_job.phase() == Some(&Phase::Success);
        let weight =
            |line: &[&Self]| (line.len(), line.last().and_then(|job| job.reason()).is_some());
        let (line, path) = lines
            .filter(|(line, _)| !line.iter().skip(1).any(overcome))
            .reduce(|most, line| if weight(&line.0) > weight(&most.0) { line } else { most })?;
        let failed = line.iter().rev().filter(|job| job.phase() == Some(&Phase::Failed));
        Some(Failure {
            job_types: line.iter().map(|job| job.label().into()).collect(),
            job_type: line.last().and_then(|job| job.job_type()).map(String::from),
            uid: line.last().and_then(|job| job.uid()).map(String::from),
            reason: failed.filter_map(|job| job.reason()).next().map(String::from),
            name: step_name(&line).map(Cow::into_owned),
            path,
        })
    }
}

/// Returns the name of the last job of a line that begins with the top-level job.
///
/// The step that failed often has no name, such as `CreateNodeVM`, but the step above it is that of
/// the node. The top-level job names what all steps have in common.
pub(super) fn step_name<'a>(line: &[&'a Job]) -> Option<Cow<'a, str>> {
    match line {
        [] => None,
        [job] => job.resource_name().map(Cow::Borrowed),
        [_, steps @ ..] => {
            let named = steps.iter().rev().find_map(|job| job.resource_name());
            named.map(Cow::Borrowed).or_else(|| steps.last()?.display_name())
        }
    }
}

#[cfg(test)]
mod tests;

//! Finds the sub-job that made a job fail, and its reason.

use alloc::{string::String, vec::Vec};
use core::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::walk::SubJobPath;
use crate::{
    job::{Job, Phase},
    printable::{Escaped, Quoted},
};

/// Where and why a job failed.
///
/// The `Display` form is one line, such as `CreateCluster > InstallMaster: "no such flavor"`. Texts
/// of the service are quoted and escaped.
///
/// The serialized form is an object with `path`, `job_types`, `uid` and `reason`. The last of the
/// `job_types` is the type of the deepest sub-job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Failure", 4)?;
        object.serialize_field("path", &self.path)?;
        object.serialize_field("job_types", &self.job_types)?;
        object.serialize_field("uid", &self.uid)?;
        object.serialize_field("reason", &self.reason)?;
        object.end()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (level, step) in self.job_types.iter().enumerate() {
            let arrow = if level == 0 { "" } else { " > " };
            write!(f, "{arrow}{}", Escaped(step))?;
        }
        match &self.reason {
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
        let failed = self.walk().filter(|node| node.job.phase() == Some(&Phase::Failed));
        let lines = failed.map(|node| (self.lineage(&node.path), node.path));
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
            path,
        })
    }
}

#[cfg(test)]
mod tests;

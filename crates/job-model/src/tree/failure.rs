//! Where and why a job failed. Judges no wait.

use alloc::{string::String, vec::Vec};
use core::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::walk::SubJobPath;
use crate::job::{Job, Phase};

/// Where and why a job failed.
///
/// Displays as one line, such as `CreateCluster > InstallMaster: "no such flavor"`; what the
/// service wrote is quoted and escaped. Serializes as an object with `path`, `job_types`, `uid` and
/// `reason`; the deepest sub-job's type is the last of `job_types`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The types of the jobs from the failed job down to its deepest failed sub-job; a job without
    /// a type stands there as its uid, one without either as `job`.
    pub job_types: Vec<String>,
    /// Where the deepest failed sub-job stands.
    pub path: SubJobPath,
    /// Its type.
    pub job_type: Option<String>,
    /// Its uid.
    pub uid: Option<String>,
    /// Its reason or, where it gives none, that of the nearest failed job above it that does.
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
            write!(f, "{arrow}{}", step.escape_debug())?;
        }
        match &self.reason {
            Some(reason) => write!(f, ": {reason:?}"),
            None => f.write_str(": no reason given"),
        }
    }
}

impl Job {
    /// Returns where and why this job failed: the deepest of the sub-jobs that failed; where several
    /// are equally deep the first that gives a reason, else the first. `None` where nothing in the
    /// tree failed.
    ///
    /// What failed below a sub-job that succeeded is passed over: that sub-job got past it.
    /// A sub-job may have failed while the job itself goes on, or succeeds: this says what is in
    /// the reply, [`Job::phase`] says how the job is.
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

//! Walking a job's sub-jobs, and finding where a failed one failed. Never recurses.

use alloc::{string::String, vec, vec::Vec};
use core::{fmt, slice};

use crate::{Job, Phase};

/// Where a sub-job stands below its job: an index for each level. Displayed as a JSON path, such
/// as `spec.subJobs[1].spec.subJobs[0]`; empty for the job itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubJobPath(Vec<usize>);

impl SubJobPath {
    /// Returns how many levels below the job this is; 0 is the job itself.
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.0.len()
    }

    /// Returns the index at each level, from the job down.
    #[must_use]
    pub fn indices(&self) -> &[usize] {
        &self.0
    }
}

impl fmt::Display for SubJobPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (level, index) in self.0.iter().enumerate() {
            let dot = if level == 0 { "" } else { "." };
            write!(f, "{dot}spec.subJobs[{index}]")?;
        }
        Ok(())
    }
}

/// A job within a tree of jobs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Node<'a> {
    /// The job or sub-job.
    pub job: &'a Job,
    /// Where it stands.
    pub path: SubJobPath,
}

/// Iterates over a job and its sub-jobs of every level, each parent before its own: [`Job::walk`].
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    root: Option<&'a Job>,
    levels: Vec<slice::Iter<'a, Job>>,
    path: SubJobPath,
}

impl<'a> Iterator for Walk<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        if let Some(job) = self.root.take() {
            return Some(self.enter(job));
        }
        loop {
            match self.levels.last_mut()?.next() {
                Some(job) => {
                    if self.path.depth() == self.levels.len() {
                        self.path.0[self.levels.len() - 1] += 1;
                    } else {
                        self.path.0.push(0);
                    }
                    return Some(self.enter(job));
                }
                None => {
                    self.path.0.truncate(self.levels.len() - 1);
                    self.levels.pop();
                }
            }
        }
    }
}

impl<'a> Walk<'a> {
    fn enter(&mut self, job: &'a Job) -> Node<'a> {
        self.levels.push(job.sub_jobs().iter());
        Node { job, path: self.path.clone() }
    }
}

/// Where and why a job failed.
///
/// Displays as one line, such as `CreateCluster > InstallMaster: "no such flavor"`; what the
/// service wrote is quoted and escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The types of the jobs from the failed job down to its deepest failed sub-job; a job without
    /// a type stands there as its uid, one without either as `job`.
    pub steps: Vec<String>,
    /// Where the deepest failed sub-job stands.
    pub path: SubJobPath,
    /// Its uid.
    pub uid: Option<String>,
    /// Its reason or, where it gives none, that of the nearest job above it that does.
    pub reason: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (level, step) in self.steps.iter().enumerate() {
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
    /// Walks this job and its sub-jobs of every level, each parent before its own.
    ///
    /// ```
    /// let body = br#"{"spec": {"subJobs": [{"spec": {"type": "InstallMaster"}}]}}"#;
    /// let job = job_model::Job::from_slice(body)?;
    /// let node = job.walk().last().expect("the sub-job");
    /// assert_eq!(node.path.to_string(), "spec.subJobs[0]");
    /// assert_eq!(node.job.job_type(), Some("InstallMaster"));
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub fn walk(&self) -> Walk<'_> {
        Walk { root: Some(self), levels: Vec::new(), path: SubJobPath::default() }
    }

    /// Returns where and why this job failed: the deepest of the sub-jobs that failed, the first
    /// of them where several are equally deep. `None` where nothing in the tree failed.
    ///
    /// What failed below a sub-job that succeeded is passed over: that sub-job got past it.
    /// A sub-job may have failed while the job itself goes on, or succeeds: this says what is in
    /// the reply, [`Job::phase`] says how the job is.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let failed = self.walk().filter(|node| node.job.phase() == Some(&Phase::Failed));
        let lines = failed.map(|node| (self.line(&node.path), node.path));
        let overcome = |sub_job: &&Self| sub_job.phase() == Some(&Phase::Success);
        let (line, path) = lines
            .filter(|(line, _)| !line.iter().skip(1).any(overcome))
            .reduce(|deepest, line| if line.0.len() > deepest.0.len() { line } else { deepest })?;
        Some(Failure {
            steps: line.iter().map(|job| job.label().into()).collect(),
            uid: line.last().and_then(|job| job.uid()).map(String::from),
            reason: line.iter().rev().find_map(|job| job.reason()).map(String::from),
            path,
        })
    }

    /// Returns this job and those on the way down to a place in its tree, that one included.
    fn line(&self, path: &SubJobPath) -> Vec<&Self> {
        let mut line = vec![self];
        let mut job = self;
        for index in path.indices() {
            job = &job.sub_jobs()[*index];
            line.push(job);
        }
        line
    }

    /// Returns what to call this job: its type, else its uid, else `job`.
    #[must_use]
    pub fn label(&self) -> &str {
        let known = |text: &&str| !text.is_empty();
        self.job_type().filter(known).or_else(|| self.uid().filter(known)).unwrap_or("job")
    }
}

#[cfg(test)]
mod tests;

//! Walks a tree of jobs without recursion, and finds sub-jobs by type.

use alloc::{borrow::Cow, vec, vec::Vec};
use core::{fmt, slice, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{job::Job, printable::pad};

/// The label of a job that has neither a type nor a uid.
pub(crate) const NO_LABEL: &str = "job";

/// The position of a sub-job in a tree of jobs: one index for each level.
///
/// Displayed and serialized as a JSON path, such as `spec.subJobs[1].spec.subJobs[0]`. The path of
/// the job itself is empty. A displayed path can be parsed.
///
/// ```
/// use job_model::tree::SubJobPath;
///
/// let path: SubJobPath = "spec.subJobs[1].spec.subJobs[0]".parse()?;
/// assert_eq!(path.indices(), [1, 0]);
/// assert_eq!(path, SubJobPath::from_iter([1, 0]));
/// # Ok::<(), job_model::tree::SubJobPathError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubJobPath(Vec<usize>);

impl SubJobPath {
    /// Returns the number of levels below the top-level job, whose own depth is 0.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    /// Returns the index at each level, from the top down.
    #[must_use]
    pub fn indices(&self) -> &[usize] {
        &self.0
    }
}

impl FromIterator<usize> for SubJobPath {
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> Self {
        Self(indices.into_iter().collect())
    }
}

/// The error for a text that is not the path of a sub-job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubJobPathError;

impl fmt::Display for SubJobPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a path of a sub-job, such as `spec.subJobs[1].spec.subJobs[0]`")
    }
}

impl core::error::Error for SubJobPathError {}

impl FromStr for SubJobPath {
    type Err = SubJobPathError;

    /// Parses the displayed form of a path.
    ///
    /// # Errors
    ///
    /// Returns an error for any other text, such as one with an index that starts with a zero.
    fn from_str(text: &str) -> Result<Self, SubJobPathError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let index = |level: &str| {
            let digits = level.strip_prefix("spec.subJobs[")?.strip_suffix(']')?;
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            let is_canonical = digits == "0" || !digits.starts_with('0');
            digits.parse().ok().filter(|_| is_number && is_canonical)
        };
        let levels = text
            .split_inclusive(']')
            .enumerate()
            .map(|(level, text)| index(if level == 0 { text } else { text.strip_prefix('.')? }));
        levels.collect::<Option<_>>().ok_or(SubJobPathError)
    }
}

impl Serialize for SubJobPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SubJobPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for SubJobPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        pad(f, format_args!("{}", Levels(&self.0)))
    }
}

/// Displays a path without a width.
struct Levels<'a>(&'a [usize]);

impl fmt::Display for Levels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (level, index) in self.0.iter().enumerate() {
            let dot = if level == 0 { "" } else { "." };
            write!(f, "{dot}spec.subJobs[{index}]")?;
        }
        Ok(())
    }
}

/// A job or sub-job in a tree of jobs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TreeEntry<'a> {
    /// The job or sub-job.
    pub job: &'a Job,
    /// The position in the tree.
    pub path: SubJobPath,
}

/// Iterates over a job and all its sub-jobs, parents before their children. Created by
/// [`Job::walk`].
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    root: Option<&'a Job>,
    levels: Vec<slice::Iter<'a, Job>>,
    path: SubJobPath,
}

impl<'a> Iterator for Walk<'a> {
    type Item = TreeEntry<'a>;

    fn next(&mut self) -> Option<TreeEntry<'a>> {
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
    fn enter(&mut self, job: &'a Job) -> TreeEntry<'a> {
        self.levels.push(job.sub_jobs().iter());
        TreeEntry { job, path: self.path.clone() }
    }
}

impl Job {
    /// Iterates over this job and all its sub-jobs, parents before their children.
    ///
    /// ```
    /// let body = br#"{"spec": {"subJobs": [{"spec": {"type": "InstallMaster"}}]}}"#;
    /// let job = job_model::Job::from_slice(body)?;
    /// let entry = job.walk().last().expect("the sub-job");
    /// assert_eq!(entry.path.to_string(), "spec.subJobs[0]");
    /// assert_eq!(entry.job.job_type(), Some("InstallMaster"));
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub fn walk(&self) -> Walk<'_> {
        Walk { root: Some(self), levels: Vec::new(), path: SubJobPath::default() }
    }

    /// Returns the sub-job at this path, or this job if the path is empty.
    ///
    /// Returns `None` if there is no such sub-job.
    ///
    /// ```
    /// let body = br#"{"status": {"phase": "Failed"}, "spec": {"subJobs": [
    ///     {"metadata": {"uid": "a"}, "status": {"phase": "Failed"}}]}}"#;
    /// let job = job_model::Job::from_slice(body)?;
    /// let failure = job.failure().expect("it failed");
    /// assert_eq!(job.sub_job_at(&failure.path).and_then(|job| job.uid()), Some("a"));
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub fn sub_job_at(&self, path: &SubJobPath) -> Option<&Self> {
        path.indices().iter().try_fold(self, |job, index| job.sub_jobs().get(*index))
    }

    /// Returns the first job with this type, searching this job and all its sub-jobs.
    #[must_use]
    pub fn find(&self, job_type: &str) -> Option<TreeEntry<'_>> {
        self.walk().find(|entry| entry.job.job_type() == Some(job_type))
    }

    /// Returns all jobs with this type among this job and all its sub-jobs.
    pub fn find_all<'a>(&'a self, job_type: &'a str) -> impl Iterator<Item = TreeEntry<'a>> {
        self.walk().filter(move |entry| entry.job.job_type() == Some(job_type))
    }

    /// Returns the ids of the resources that steps of a given type work on.
    ///
    /// `types` ends with the type of the step. The types before it must occur in this order among
    /// the jobs above the step; other jobs may be in between. If `types` is empty, there are no
    /// results.
    ///
    /// For example, the id of a new node is that of `InstallNode` within `CreateNode`. This works
    /// for virtual nodes (`CreateNodeVM`) and bare-metal nodes (`CreateNodeBMS`).
    ///
    /// ```
    /// let body = br#"{"spec": {"type": "ScaleupCluster", "subJobs": [{"spec": {
    ///     "type": "CreateNode", "subJobs": [{"spec": {
    ///         "type": "InstallNode", "resourceID": "a7ee0f9c"}}]}}]}}"#;
    /// let job = job_model::Job::from_slice(body)?;
    /// assert_eq!(job.resource_ids(&["CreateNode", "InstallNode"]).next(), Some("a7ee0f9c"));
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    pub fn resource_ids<'a>(&'a self, types: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let is_step = |entry: &TreeEntry<'a>| {
            let Some((last, ancestor_types)) = types.split_last() else {
                return false;
            };
            let lineage = self.lineage(&entry.path);
            let mut pending = ancestor_types.iter().peekable();
            for job in &lineage[..lineage.len() - 1] {
                pending.next_if(|of| job.job_type() == Some(**of));
            }
            entry.job.job_type() == Some(*last) && pending.peek().is_none()
        };
        let resource = |entry: TreeEntry<'a>| entry.job.spec.as_ref()?.resource_id.as_deref();
        self.walk().filter(is_step).filter_map(resource).filter(|id| !id.is_empty())
    }

    /// Returns the jobs on the way from this job to `path`, both ends included.
    pub(crate) fn lineage(&self, path: &SubJobPath) -> Vec<&Self> {
        let mut line = vec![self];
        let mut job = self;
        for index in path.indices() {
            job = &job.sub_jobs()[*index];
            line.push(job);
        }
        line
    }

    /// Returns a label for this job: its type, else its uid, else `job`.
    #[must_use]
    pub fn label(&self) -> &str {
        let known = |text: &&str| !text.is_empty();
        self.job_type().filter(known).or_else(|| self.uid().filter(known)).unwrap_or(NO_LABEL)
    }
}

#[cfg(test)]
mod tests;

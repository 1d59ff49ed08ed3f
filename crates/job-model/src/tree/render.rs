//! Displays a job as an indented tree.

use core::fmt;

use crate::{
    HumanDuration,
    job::Job,
    printable::{Escaped, Quoted},
};

/// Displays a job and its sub-jobs as an indented tree, one per line. Created by [`Job::tree`].
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a>(&'a Job);

impl Job {
    /// Returns this job and its sub-jobs as an indented tree.
    ///
    /// Each line has the type, resource, phase, running time and reason. Control characters and
    /// characters that change the direction of writing are escaped.
    ///
    /// ```
    /// let body = br#"{"spec": {"type": "CreateCluster", "subJobs": [{
    ///     "spec": {"type": "InstallMaster"},
    ///     "status": {"phase": "Failed", "reason": "no such flavor"}}]}}"#;
    /// assert_eq!(
    ///     job_model::Job::from_slice(body)?.tree().to_string(),
    ///     "CreateCluster: no phase\n  InstallMaster: Failed: \"no such flavor\"\n",
    /// );
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub const fn tree(&self) -> Tree<'_> {
        Tree(self)
    }
}

impl fmt::Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in self.0.walk() {
            let job = entry.job;
            write!(f, "{:1$}{2}", "", 2 * entry.path.depth(), Escaped(job.label()))?;
            match job.spec.as_ref().and_then(|spec| spec.resource_name.as_deref()) {
                Some("") | None => {}
                Some(name) => write!(f, " {}", Quoted(name))?,
            }
            match job.phase() {
                Some(phase) => write!(f, ": {phase}")?,
                None => f.write_str(": no phase")?,
            }
            if let Some(time) = job.duration() {
                write!(f, " ({})", HumanDuration(time))?;
            }
            match job.reason() {
                Some(reason) => writeln!(f, ": {}", Quoted(reason))?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

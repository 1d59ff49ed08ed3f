//! Displays a job as an indented tree.

use alloc::borrow::Cow;
use core::fmt;

use crate::{
    duration::HumanDuration,
    job::Job,
    printable::{Escaped, Quoted},
};

/// Displays a job and its sub-jobs as an indented tree, one per line. Created by [`Job::tree`].
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a>(&'a Job);

impl Job {
    /// Returns this job and its sub-jobs as an indented tree.
    ///
    /// Each line has the type, the [name](Self::display_name), the phase, the running time and the
    /// reason. Control characters and characters that change the direction of writing are escaped.
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
            let name = match entry.path.depth() {
                // The caller knows the id of the job itself.
                0 => job.resource_name().map(Cow::Borrowed),
                _ => job.display_name(),
            };
            // The label of a job without a type is its uid, and its name may be the beginning of that.
            if let Some(name) = name.filter(|name| !job.label().starts_with(&**name)) {
                write!(f, " {}", Escaped(&name))?;
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

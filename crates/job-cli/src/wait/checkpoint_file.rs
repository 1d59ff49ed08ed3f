//! The file of `--checkpoint`, with the checkpoints of all waits. It is removed when all jobs have
//! ended. Writes are atomic, and are made by another thread.

use std::{
    fmt,
    io::{self, BufReader},
    mem,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use job_model::JobId;
use job_poller::Checkpoint;
use job_transport::MemoryLimit;
use serde::{Deserialize, Serialize};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    exit::{Exit, OrExit},
    files::{FileLock, LockError, NewFileMode, OwnerRule, TargetFile},
};

/// Maximum size of a file to resume from: twice the memory that all waits may use.
const MAX_CHECKPOINT_BYTES: u64 = 2 * MemoryLimit::DEFAULT_MAX_BYTES as u64;

/// The service and the project of the jobs in a checkpoint file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) endpoint: String,
    /// `None` if the project is only known to the identity service.
    pub(crate) project: Option<String>,
}

/// The content of the file: `O` is an [`Origin`], and `W` a list of checkpoints.
#[derive(Serialize, Deserialize)]
struct Content<O, W> {
    origin: O,
    waits: W,
}

/// A file with the checkpoints of all waits. Other processes are refused while it is open.
pub(crate) struct CheckpointFile {
    /// The path as given.
    path: PathBuf,
    target: TargetFile,
    origin: Origin,
    /// The save that is running.
    saving: Option<JoinHandle<io::Result<()>>>,
    /// The error of the last attempt to write it.
    last_error: Option<io::ErrorKind>,
    _lock: FileLock,
}

impl CheckpointFile {
    /// Opens a file, and returns the checkpoints in it. The file need not exist. If `jobs` is
    /// empty, the checkpoints may be of any jobs.
    ///
    /// # Errors
    ///
    /// Returns a usage error if the file cannot be read or is not a regular file, or if another
    /// process uses it. Also if it is of another service or project, or if it contains a wait for a
    /// job that is not in `jobs`, because that wait would be lost.
    pub(crate) fn open(
        file: &Path,
        jobs: &[JobId],
        origin: &Origin,
    ) -> anyhow::Result<(Self, Vec<Checkpoint>)> {
        let shown = file.display();
        let target = TargetFile::new(file)
            .with_context(|| format!("cannot use {shown} as a checkpoint"))
            .or_exit(Exit::Usage)?;
        let lock = lock(&target, file)?;
        let content = read(&target, file)?;
        let refuse = |error, advice: &str| {
            let hint = format!("{advice}, use another file, or delete {shown}.");
            Err(error).or_exit_with_hint(Exit::Usage, Some(hint))
        };
        let checkpoints = match content {
            None => Vec::new(),
            Some(Content { origin: saved, waits: _ }) if !saved.fits(origin) => {
                let error = anyhow!("{shown} belongs to {saved}, but this command uses {origin}");
                return refuse(error, "Use the same service and project");
            }
            Some(Content { waits, .. }) => waits,
        };
        let other = checkpoints.iter().find(|one| !jobs.is_empty() && !jobs.contains(one.job_id()));
        if let Some(other) = other {
            let id = other.job_id();
            let error = anyhow!("{shown} belongs to a wait for another job, {id}");
            return refuse(error, &format!("Add {id} to this command"));
        }
        let (path, origin) = (file.into(), origin.clone());
        let file = Self { path, target, origin, saving: None, last_error: None, _lock: lock };
        Ok((file, checkpoints))
    }

    /// Replaces the content with these checkpoints. If there are none, removes the file.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written. The previous content is kept then.
    pub(crate) async fn write(&self, checkpoints: Vec<Checkpoint>) -> io::Result<()> {
        joined(self.spawn_write(checkpoints)).await
    }

    fn spawn_write(&self, checkpoints: Vec<Checkpoint>) -> JoinHandle<io::Result<()>> {
        let (target, origin) = (self.target.clone(), self.origin.clone());
        spawn_blocking(move || {
            if checkpoints.is_empty() {
                return target.remove();
            }
            let content = Content { origin, waits: checkpoints };
            // A file in place of the old one is never half-written, so a change of its owner, which
            // would need that, is refused.
            target.write(NewFileMode::Private, OwnerRule::Refuse, |file| {
                Ok(serde_json::to_writer(file, &content)?)
            })
        })
    }

    /// Whether no save is running.
    pub(crate) fn is_idle(&self) -> bool {
        self.saving.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Starts to save these checkpoints. Call it only if no save is running.
    pub(crate) fn start_save(&mut self, checkpoints: Vec<Checkpoint>) {
        self.saving = Some(self.spawn_write(checkpoints));
    }

    /// Waits for the running save. If it failed, returns a message, unless the save before it
    /// failed with the same error.
    pub(crate) async fn finish_save(&mut self) -> Option<String> {
        let failed = joined(self.saving.take()?).await.err().map(|error| error.kind());
        let before = mem::replace(&mut self.last_error, failed);
        let error = failed.filter(|_| failed != before)?;
        let path = self.path.display();
        Some(format!("cannot save the checkpoint to {path}; the wait continues: {error}"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path, unless the last save failed.
    pub(crate) fn written_path(&self) -> Option<&Path> {
        self.last_error.is_none().then_some(&*self.path)
    }
}

/// Returns the result of a save.
async fn joined(saving: JoinHandle<io::Result<()>>) -> io::Result<()> {
    saving.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Locks a file for the whole command.
fn lock(target: &TargetFile, file: &Path) -> anyhow::Result<FileLock> {
    match target.lock(TargetFile::LOCK_TIMEOUT) {
        Ok(lock) => Ok(lock),
        Err(LockError::InUse) => {
            let error = anyhow!("{} is in use by another process", file.display());
            let hint = "Stop the other process, or use another file.";
            Err(error).or_exit_with_hint(Exit::Usage, Some(hint.into()))
        }
        Err(LockError::Io(error)) => Err(error)
            .with_context(|| format!("cannot create {}.lock", file.display()))
            .or_exit(Exit::Usage),
    }
}

/// Reads the content of a file; returns `None` if it does not exist or is empty.
fn read(
    target: &TargetFile,
    file: &Path,
) -> anyhow::Result<Option<Content<Origin, Vec<Checkpoint>>>> {
    use io::BufRead;

    let shown = file.display();
    let context = || format!("cannot read {shown}");
    let opened = target.open(MAX_CHECKPOINT_BYTES).with_context(context).or_exit(Exit::Usage)?;
    let Some(mut text) = opened.map(BufReader::new) else { return Ok(None) };
    // `mktemp` creates an empty file.
    if text.fill_buf().with_context(context).or_exit(Exit::Usage)?.is_empty() {
        return Ok(None);
    }
    serde_json::from_reader(text)
        .map(Some)
        .with_context(|| format!("{shown} is not a checkpoint of this command"))
        .or_exit_with_hint(Exit::Usage, Some(format!("Use another file, or delete {shown}.")))
}

impl Origin {
    /// Whether checkpoints of this origin can be resumed with the settings of `other`. An unknown
    /// project fits any project.
    fn fits(&self, other: &Self) -> bool {
        let projects = self.project.as_ref().zip(other.project.as_ref());
        self.endpoint == other.endpoint && projects.is_none_or(|(one, other)| one == other)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.project {
            Some(project) => write!(f, "project {project} at {}", self.endpoint),
            None => write!(f, "{}", self.endpoint),
        }
    }
}

#[cfg(test)]
mod tests;

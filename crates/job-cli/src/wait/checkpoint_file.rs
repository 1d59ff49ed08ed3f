//! The file of `--checkpoint`, with the checkpoints of all waits. It is removed when all jobs have
//! ended. Writes are atomic.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use job_model::JobId;
use job_poller::Checkpoint;
use tempfile::Builder;

use crate::exit::{Exit, OrExit};

/// A file with the checkpoints of all waits, as one JSON array.
pub(crate) struct CheckpointFile {
    path: PathBuf,
    /// The error of the last attempt to write it.
    last_error: Option<io::ErrorKind>,
}

impl CheckpointFile {
    /// Opens a file, and returns the checkpoints in it. The file need not exist. If `jobs` is
    /// empty, the checkpoints may be of any jobs.
    ///
    /// # Errors
    ///
    /// Returns a usage error if the file cannot be read, or if it contains a wait for a job that is
    /// not in `jobs`, because that wait would be lost.
    pub(crate) fn open(file: &Path, jobs: &[JobId]) -> anyhow::Result<(Self, Vec<Checkpoint>)> {
        let shown = file.display();
        let checkpoints: Vec<Checkpoint> = match fs::read(file) {
            // `mktemp` creates such a file.
            Ok(text) if text.is_empty() => Vec::new(),
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{shown} is not a checkpoint of this command"))
                .or_exit_with_hint(
                    Exit::Usage,
                    Some(format!("Use another file, or delete {shown}.")),
                )?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot read {shown}"))
                    .or_exit(Exit::Usage);
            }
        };
        let other = checkpoints.iter().find(|one| !jobs.is_empty() && !jobs.contains(one.job_id()));
        if let Some(other) = other {
            let id = other.job_id();
            return Err(anyhow!("{shown} belongs to a wait for another job, {id}"))
                .or_exit_with_hint(
                    Exit::Usage,
                    Some(format!("Add {id} to this command, use another file, or delete {shown}.")),
                );
        }
        Ok((Self { path: file.into(), last_error: None }, checkpoints))
    }

    /// Replaces the content with these checkpoints. If there are none, removes the file.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written. The previous content is kept then.
    pub(crate) fn write(&self, checkpoints: &[&Checkpoint]) -> io::Result<()> {
        if checkpoints.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        write_atomically(&self.path, &serde_json::to_vec(checkpoints)?)
    }

    /// Saves these checkpoints while the waits are running. If that fails, returns a message,
    /// unless the last save failed with the same error.
    pub(crate) fn save(&mut self, checkpoints: &[&Checkpoint]) -> Option<String> {
        let failed = self.write(checkpoints).err().map(|error| error.kind());
        let before = std::mem::replace(&mut self.last_error, failed);
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

/// Replaces a file atomically: a reader sees either the old or the new content.
///
/// # Errors
///
/// Returns an error if the file cannot be written. The previous content is kept then.
pub(super) fn write_atomically(file: &Path, text: &[u8]) -> io::Result<()> {
    // Replace the target of a symbolic link, not the link.
    let path = fs::canonicalize(file).unwrap_or_else(|_| file.into());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    // Unlike those of `NamedTempFile::new_in`, these errors do not mention the temporary path.
    let mut new = Builder::new().make_in(folder, create_private)?;
    new.as_file_mut().write_all(text)?;
    new.as_file().sync_all()?;
    new.persist(&path)?;
    Ok(())
}

/// Creates a file that only its owner can access.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests;

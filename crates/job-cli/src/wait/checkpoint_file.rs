//! The file of `--checkpoint`: what is still waited for, whole or not at all. Resumes nothing itself.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use job_model::JobId;
use job_poller::Checkpoint;
use tempfile::NamedTempFile;

/// The file with the checkpoints of a command's waits, as one JSON array.
pub(crate) struct CheckpointFile {
    path: PathBuf,
    /// The error of the last attempt to write it.
    last_error: Option<io::ErrorKind>,
}

impl CheckpointFile {
    /// Takes a file that is there or not, and returns what is in it of these jobs; of all, where none
    /// are named.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, or holds other jobs' waits, which would be lost.
    pub(crate) fn open(file: &Path, jobs: &[JobId]) -> anyhow::Result<(Self, Vec<Checkpoint>)> {
        let shown = file.display();
        let checkpoints: Vec<Checkpoint> = match fs::read(file) {
            // As `mktemp` makes it.
            Ok(text) if text.is_empty() => Vec::new(),
            Ok(text) => serde_json::from_slice(&text).with_context(|| {
                format!("{shown} is no checkpoint of this command; name another file")
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("{shown} cannot be read")),
        };
        let other = checkpoints.iter().find(|one| !jobs.is_empty() && !jobs.contains(one.job_id()));
        if let Some(other) = other {
            bail!(
                "{shown} holds the wait for {}, which is not among these jobs; name it too, or \
                 another file, or delete this one",
                other.job_id()
            );
        }
        Ok((Self { path: file.into(), last_error: None }, checkpoints))
    }

    /// Writes these in the place of what was there; where there are none, there is no file.
    ///
    /// # Errors
    ///
    /// Where it cannot be written. What was there is there still.
    pub(crate) fn write(&self, checkpoints: &[&Checkpoint]) -> io::Result<()> {
        if checkpoints.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        write_atomically(&self.path, &serde_json::to_vec(checkpoints)?)
    }

    /// Writes these as [`write`](Self::write) does while the waits go on; returns what to tell, once,
    /// where that fails.
    pub(crate) fn save(&mut self, checkpoints: &[&Checkpoint]) -> Option<String> {
        let failed = self.write(checkpoints).err().map(|error| error.kind());
        let before = std::mem::replace(&mut self.last_error, failed);
        let error = failed.filter(|_| failed != before)?;
        Some(format!("{} cannot be written, and the wait goes on: {error}", self.path.display()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the file to go on from, where it was written.
    pub(crate) fn written_path(&self) -> Option<&Path> {
        self.last_error.is_none().then_some(&*self.path)
    }
}

/// Writes a file in the place of what was there: whole or not at all.
///
/// # Errors
///
/// Where it cannot be written. What was there is there still.
pub(super) fn write_atomically(file: &Path, text: &[u8]) -> io::Result<()> {
    // Through a link, to the file that it leads to.
    let path = fs::canonicalize(file).unwrap_or_else(|_| file.into());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut new = NamedTempFile::new_in(folder.unwrap_or_else(|| Path::new(".")))?;
    new.write_all(text)?;
    new.as_file().sync_all()?;
    new.persist(&path)?;
    Ok(())
}

#[cfg(test)]
mod tests;

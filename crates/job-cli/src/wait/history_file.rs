//! The history file, with the durations of past jobs by endpoint. By default it is in the user's state
//! folder.

mod hosts;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, anyhow};
use job_poller::schedule::{History, JobObservation};
use job_transport::{
    Endpoint,
    transport::{display_chain, is_loopback},
};

use self::hosts::HostHistories;
use crate::{
    exit::{Exit, OrExit},
    files::{LockError, NewFileMode, OwnerRule, TargetFile, read_stream, state_folder},
    terminal::stderr,
};

/// Maximum size of a history. The longest one that this command writes is much smaller.
const MAX_HISTORY_BYTES: u64 = 64 << 20;

/// The history that the schedule uses, and the observations to add to its file.
pub(crate) struct HistoryFile {
    /// The file, if the history is to be saved.
    file: Option<SavedFile>,
    is_explicit: bool,
    pub(crate) history: Arc<History>,
    observations: Vec<JobObservation>,
}

/// The file to which observations are added.
struct SavedFile {
    /// The path as given.
    named: PathBuf,
    target: TargetFile,
    /// The host of the endpoint.
    host: String,
}

impl HistoryFile {
    /// Returns an empty history that is not saved.
    pub(crate) fn disabled() -> Self {
        Self { file: None, is_explicit: false, history: Arc::default(), observations: Vec::new() }
    }

    /// Opens the named file or, by default, the one in the user's state folder, for the jobs of an
    /// endpoint.
    ///
    /// The history is that of the endpoint's host. If the host is this machine, such as a simulated
    /// service, nothing is saved, and only a named file is read.
    ///
    /// A problem with the default file does not stop the command. If there is no access to it, for
    /// example in a container, no history is used. After any other problem, a message is printed,
    /// too.
    ///
    /// # Errors
    ///
    /// Returns a usage error if a named file cannot be read, or is not a history.
    pub(crate) fn open(named: Option<&Path>, endpoint: &Endpoint) -> anyhow::Result<Self> {
        if named == Some(Path::new("none")) {
            return Ok(Self::disabled());
        }
        let Some(file) = named.map(PathBuf::from).or_else(default_path) else {
            return Ok(Self::disabled());
        };
        let is_explicit = named.is_some();
        let host = endpoint.host();
        let is_saved = !is_loopback(&host);
        if !is_saved && !is_explicit {
            return Ok(Self::disabled());
        }
        match open_histories(&file) {
            Ok((target, histories)) => {
                let history = Arc::new(histories.get(&host));
                let file = is_saved.then_some(SavedFile { named: file, target, host });
                Ok(Self { file, is_explicit, history, observations: Vec::new() })
            }
            Err(error) if is_explicit => Err(error).or_exit_with_hint(
                Exit::Usage,
                Some("Use another file, or no history (`--history none`).".into()),
            ),
            Err(error) => {
                let io_error = error.downcast_ref::<io::Error>();
                if !io_error.is_some_and(|error| means_no_access(error.kind())) {
                    let cause = display_chain(&*error);
                    stderr::line(&format!("cce-job: job durations are not used: {cause}"));
                }
                Ok(Self::disabled())
            }
        }
    }

    /// Adds the observations of a wait.
    pub(crate) fn add(&mut self, observations: impl IntoIterator<Item = JobObservation>) {
        self.observations.extend(observations);
    }

    /// Adds the observations to the file. Observations of other commands that run at the same time
    /// are kept.
    ///
    /// # Errors
    ///
    /// Returns an error if another process holds the lock of the file for longer than a second, or
    /// if a named file cannot be written. Other errors of the default file are ignored.
    pub(crate) fn save(&self) -> anyhow::Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| !self.observations.is_empty()) else {
            return Ok(());
        };
        match self.save_to(file) {
            Err(SaveError::InUse) => {
                let named = file.named.display();
                let (subject, verb) = match self.observations.len() {
                    1 => ("this job's duration", "is"),
                    _ => ("the durations of these jobs", "are"),
                };
                Err(anyhow!(
                    "the history {named} is in use by another process, so {subject} {verb} not saved"
                ))
            }
            Err(SaveError::Other(error)) if self.is_explicit => Err(error),
            Ok(()) | Err(SaveError::Other(_)) => Ok(()),
        }
    }

    fn save_to(&self, SavedFile { named, target, host }: &SavedFile) -> Result<(), SaveError> {
        let shown = || format!("cannot save the history to {}", named.display());
        target.create_folder().with_context(shown)?;
        let _lock = match target.lock(TargetFile::LOCK_TIMEOUT) {
            Ok(lock) => lock,
            Err(LockError::InUse) => return Err(SaveError::InUse),
            Err(LockError::Io(error)) => return Err(error).with_context(shown)?,
        };
        let mut histories = read_histories(named, target)?;
        histories.record(host, &self.observations);
        let max_bytes = usize::try_from(MAX_HISTORY_BYTES).unwrap_or(usize::MAX);
        let text = histories.to_json(max_bytes).with_context(shown)?;
        let written = target.write(NewFileMode::Private, OwnerRule::WriteInPlace, |file| {
            file.write_all(text.as_bytes())
        });
        Ok(written.with_context(shown)?)
    }
}

/// Why a history cannot be saved.
enum SaveError {
    /// Another process holds the lock.
    InUse,
    Other(anyhow::Error),
}

impl From<anyhow::Error> for SaveError {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// Whether the user has no access to the state folder, as in many containers.
const fn means_no_access(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(kind, NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem)
}

/// Returns the file in the user's state folder; `None` if the user has no such folder.
fn default_path() -> Option<PathBuf> {
    Some(state_folder()?.join("history.json"))
}

/// Finds the file at a path, and reads the histories in it.
fn open_histories(named: &Path) -> anyhow::Result<(TargetFile, HostHistories)> {
    let context = || format!("cannot use the history {}", named.display());
    let target = TargetFile::new(named).with_context(context)?;
    let histories = match read_histories(named, &target) {
        // Another process may be writing into the file. It does so under the lock.
        Err(error) if error.downcast_ref::<io::Error>().is_none() => {
            match target.lock(TargetFile::LOCK_TIMEOUT) {
                Ok(_lock) => read_histories(named, &target)?,
                Err(_) => return Err(error),
            }
        }
        read => read?,
    };
    Ok((target, histories))
}

/// Reads the histories; returns none if the file is missing or empty.
fn read_histories(named: &Path, target: &TargetFile) -> anyhow::Result<HostHistories> {
    let context = || format!("cannot read {}", named.display());
    let Some(mut file) = target.open(MAX_HISTORY_BYTES).with_context(context)? else {
        return Ok(HostHistories::default());
    };
    let text = read_stream(&mut file, MAX_HISTORY_BYTES).with_context(context)?;
    if text.trim_ascii().is_empty() {
        return Ok(HostHistories::default());
    }
    HostHistories::from_json(&text)
        .with_context(|| format!("{} is not a history file; delete it", named.display()))
}

#[cfg(test)]
mod tests;

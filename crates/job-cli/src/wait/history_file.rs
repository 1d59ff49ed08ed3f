//! The history file, with the durations of past jobs. By default it is in the user's state folder.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, anyhow};
use job_poller::schedule::{History, JobObservation};
use job_transport::transport::display_chain;

use crate::{
    exit::{Exit, OrExit},
    files::{LockError, NewFileMode, OwnerRule, TargetFile, read_stream, state_folder},
    terminal::stderr,
};

/// Maximum size of a history. The longest one that this command writes is much smaller.
const MAX_HISTORY_BYTES: u64 = 64 << 20;

/// The history that the schedule uses, and the observations to add to its file.
pub(crate) struct HistoryFile {
    /// The path as given and the file, if the history is to be saved.
    file: Option<(PathBuf, TargetFile)>,
    is_explicit: bool,
    pub(crate) history: Arc<History>,
    observations: Vec<JobObservation>,
}

impl HistoryFile {
    /// Returns an empty history that is not saved.
    pub(crate) fn disabled() -> Self {
        Self { file: None, is_explicit: false, history: Arc::default(), observations: Vec::new() }
    }

    /// Opens the named file or, by default, the one in the user's state folder.
    ///
    /// A problem with the default file does not stop the command. If there is no access to it, for
    /// example in a container, no history is used. After any other problem, a message is printed,
    /// too.
    ///
    /// # Errors
    ///
    /// Returns a usage error if a named file cannot be read, or is not a history.
    pub(crate) fn open(named: Option<&Path>) -> anyhow::Result<Self> {
        if named == Some(Path::new("none")) {
            return Ok(Self::disabled());
        }
        let Some(file) = named.map(PathBuf::from).or_else(default_path) else {
            return Ok(Self::disabled());
        };
        let is_explicit = named.is_some();
        match open_history(&file) {
            Ok((target, history)) => {
                let file = Some((file, target));
                let history = Arc::new(history);
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

    /// Adds the observation of a job.
    pub(crate) fn add(&mut self, observation: Option<JobObservation>) {
        self.observations.extend(observation);
    }

    /// Adds the observations to the file. Observations of other commands that run at the same time
    /// are kept.
    ///
    /// # Errors
    ///
    /// Returns an error if another process holds the lock of the file for longer than a second, or
    /// if a named file cannot be written. Other errors of the default file are ignored.
    pub(crate) fn save(&self) -> anyhow::Result<()> {
        let Some((named, target)) = self.file.as_ref().filter(|_| !self.observations.is_empty())
        else {
            return Ok(());
        };
        match self.save_to(named, target) {
            Err(SaveError::InUse) => {
                let named = named.display();
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

    fn save_to(&self, named: &Path, target: &TargetFile) -> Result<(), SaveError> {
        let shown = || format!("cannot save the history to {}", named.display());
        target.create_folder().with_context(shown)?;
        let _lock = match target.lock(TargetFile::LOCK_TIMEOUT) {
            Ok(lock) => lock,
            Err(LockError::InUse) => return Err(SaveError::InUse),
            Err(LockError::Io(error)) => return Err(error).with_context(shown)?,
        };
        let mut history = read_history(named, target)?;
        self.observations.iter().for_each(|observation| history.record(observation));
        let text = serde_json::to_vec(&history).with_context(shown)?;
        let written = target
            .write(NewFileMode::Private, OwnerRule::WriteInPlace, |file| file.write_all(&text));
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

/// Finds the file at a path, and reads the history in it.
fn open_history(named: &Path) -> anyhow::Result<(TargetFile, History)> {
    let context = || format!("cannot use the history {}", named.display());
    let target = TargetFile::new(named).with_context(context)?;
    let history = match read_history(named, &target) {
        // Another process may be writing into the file. It does so under the lock.
        Err(error) if error.downcast_ref::<io::Error>().is_none() => {
            match target.lock(TargetFile::LOCK_TIMEOUT) {
                Ok(_lock) => read_history(named, &target)?,
                Err(_) => return Err(error),
            }
        }
        read => read?,
    };
    Ok((target, history))
}

/// Reads a history; returns an empty one if the file is missing or empty.
fn read_history(named: &Path, target: &TargetFile) -> anyhow::Result<History> {
    let context = || format!("cannot read {}", named.display());
    let Some(mut file) = target.open(MAX_HISTORY_BYTES).with_context(context)? else {
        return Ok(History::new());
    };
    let text = read_stream(&mut file, MAX_HISTORY_BYTES).with_context(context)?;
    if text.trim_ascii().is_empty() {
        return Ok(History::new());
    }
    serde_json::from_slice(&text)
        .with_context(|| format!("{} is not a history file; delete it", named.display()))
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use tempfile::tempdir;

    use super::*;

    fn observation(seconds: u64) -> JobObservation {
        JobObservation::new("CreateNode", Duration::ZERO, Duration::from_secs(seconds), true)
    }

    #[test]
    fn histories_of_concurrent_commands_are_merged() {
        let folder = tempdir().unwrap();
        let file = folder.path().join("state/history.json");
        let mut open = [(); 2].map(|()| HistoryFile::open(Some(&file)).unwrap());
        for one in &mut open {
            one.add(None);
            one.save().unwrap();
            assert!(!file.exists(), "there was nothing to save");
            one.add(Some(observation(200)));
        }
        open.iter().for_each(|one| one.save().unwrap());
        let history = HistoryFile::open(Some(&file)).unwrap().history;
        assert!((history.jobs("CreateNode") - 1.96).abs() < 1e-3, "{}", history.jobs("CreateNode"));
    }

    #[test]
    fn saving_history_never_writes_another_history_file() {
        let folder = tempdir().unwrap();
        let [file, beside] = ["h.lock", "h.toml"].map(|name| folder.path().join(name));
        fs::write(&file, "").unwrap();
        for file in [&file, &beside] {
            for _ in 0..2 {
                let mut one = HistoryFile::open(Some(file)).unwrap();
                one.add(Some(observation(200)));
                one.save().unwrap();
            }
            let history = HistoryFile::open(Some(file)).unwrap().history;
            assert!(history.jobs("CreateNode") > 1.9, "{}", file.display());
        }
    }

    #[test]
    fn an_invalid_history_file_is_not_overwritten() {
        let folder = tempdir().unwrap();
        let file = folder.path().join("history.json");
        fs::write(&file, "{}").unwrap();
        let error = HistoryFile::open(Some(&file)).err().unwrap();
        assert!(format!("{error:#}").contains("is not a history file; delete it"), "{error:#}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "{}");
        let mut none = HistoryFile::open(Some(Path::new("none"))).unwrap();
        none.add(Some(observation(1)));
        none.save().unwrap();
    }

    #[test]
    fn a_locked_history_is_skipped() {
        let folder = tempdir().unwrap();
        let file = folder.path().join("history.json");
        let mut one = HistoryFile::open(Some(&file)).unwrap();
        one.add(Some(observation(200)));
        let lock = TargetFile::new(&file).unwrap().lock(Duration::ZERO).unwrap();
        for (jobs, expected) in [
            (1, "so this job's duration is not saved"),
            (2, "so the durations of these jobs are not saved"),
        ] {
            let error = one.save().unwrap_err().to_string();
            assert!(error.contains("is in use by another process, "), "{error}");
            assert!(error.ends_with(expected), "{jobs}: {error}");
            one.add(Some(observation(200)));
        }
        assert!(!file.exists());
        drop(lock);
        one.save().unwrap();
        assert!(HistoryFile::open(Some(&file)).unwrap().history.jobs("CreateNode") > 2.8);
    }

    #[test]
    fn a_history_above_the_size_limit_is_refused() {
        let folder = tempdir().unwrap();
        let file = folder.path().join("history.json");
        fs::File::create(&file).unwrap().set_len(MAX_HISTORY_BYTES + 1).unwrap();
        let error = format!("{:#}", HistoryFile::open(Some(&file)).err().unwrap());
        assert!(error.ends_with("history.json: it is larger than 64 MiB"), "{error}");
    }
}

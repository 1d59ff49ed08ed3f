//! The history file, with the durations of past jobs. By default it is in the user's state folder.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, anyhow};
use etcetera::{BaseStrategy, choose_base_strategy};
use job_poller::{History, JobObservation};
use job_transport::display_chain;

use super::checkpoint_file::write_atomically;
use crate::{
    exit::{Exit, OrExit},
    terminal::stderr,
};

/// The history that the schedule uses, and the observations to add to its file.
pub(crate) struct HistoryFile {
    /// The path, if the history is to be saved.
    file: Option<PathBuf>,
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
    /// A problem with the default file does not stop the command. If the file is not a history, a
    /// message is printed. If it cannot be read, for example in a container, no history is used.
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
        match read_history(&file) {
            Ok(history) => {
                let history = Arc::new(history);
                Ok(Self { file: Some(file), is_explicit, history, observations: Vec::new() })
            }
            Err(error) if is_explicit => Err(error).or_exit(Exit::Usage),
            Err(error) => {
                if error.downcast_ref::<io::Error>().is_none() {
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
    /// Returns an error if a named file cannot be written. Errors of the default file are ignored.
    pub(crate) fn save(&self) -> anyhow::Result<()> {
        let file = self.file.as_deref().filter(|_| !self.observations.is_empty());
        let saved = file.map_or(Ok(()), |file| self.save_to(file));
        if self.is_explicit { saved } else { Ok(()) }
    }

    fn save_to(&self, file: &Path) -> anyhow::Result<()> {
        let shown = || format!("cannot save the history to {}", file.display());
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(shown)?;
        }
        // Uses a separate lock file, because the history file itself is replaced.
        let mut lock = file.as_os_str().to_owned();
        lock.push(".lock");
        let lock = File::options().create(true).append(true).open(lock).with_context(shown)?;
        lock.lock().with_context(shown)?;
        let mut history = read_history(file)?;
        self.observations.iter().for_each(|observation| history.record(observation));
        write_atomically(file, &serde_json::to_vec(&history)?).with_context(shown)
    }
}

/// Returns the file in the user's state folder; `None` if the user has no such folder.
fn default_path() -> Option<PathBuf> {
    let folders = choose_base_strategy().ok()?;
    let folder = folders.state_dir().unwrap_or_else(|| folders.data_dir());
    Some(folder.join("cce-job/history.json"))
}

/// Reads a history; returns an empty one if the file is missing or empty.
fn read_history(file: &Path) -> anyhow::Result<History> {
    match fs::read(file) {
        Ok(text) if text.trim_ascii().is_empty() => Ok(History::new()),
        Ok(text) => serde_json::from_slice(&text).map_err(|error| {
            anyhow!(error).context(format!("{} is not a history file; delete it", file.display()))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(History::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
}

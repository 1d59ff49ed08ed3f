//! The file of `--checkpoint`, with the checkpoints of all waits. It is removed when all jobs have
//! ended. All writes are made by another thread.
//!
//! [`log_format`] has the format of the file.

mod changes;
mod log;
mod log_format;

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    io::{self, BufReader},
    mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, anyhow};
use job_model::JobId;
use job_poller::Checkpoint;
use job_transport::{
    clock::{Clock, TokioClock},
    transport::MemoryLimit,
};
use serde::{Deserialize, Serialize};
use tokio::task::{JoinHandle, spawn_blocking};

use self::{
    changes::PendingChanges,
    log::{Changes, CheckpointLog, Saved},
    log_format::Content,
};
use crate::{
    exit::{Exit, OrExit},
    files::{FileLock, LockError, TargetFile},
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

/// A file with the checkpoints of all waits. Other processes are refused while it is open.
pub(crate) struct CheckpointFile {
    /// The path as given.
    path: PathBuf,
    log: Arc<Mutex<CheckpointLog>>,
    changes: PendingChanges,
    /// The save that is running.
    saving: Option<JoinHandle<SaveResult>>,
    /// Whether the next save needs the checkpoints of all waits.
    needs_all: bool,
    /// The most severe exit code of the jobs that earlier slices waited for.
    worst: Exit,
    clock: TokioClock,
    /// When the last save began.
    last_save: Option<Duration>,
    /// The error of the last save.
    last_error: Option<io::ErrorKind>,
    _lock: FileLock,
}

/// The result of a save, and the changes that were to be saved if it was one of changes only.
type SaveResult = (io::Result<Saved>, Changes);

/// Minimum time between two saves.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// Time between two saves if the first one failed, for example because the disk is full.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

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
        let (checkpoints, worst) = match content {
            None => (Vec::new(), 0),
            Some(Content { origin: saved, .. }) if !saved.fits(origin) => {
                let error = anyhow!("{shown} belongs to {saved}, but this command uses {origin}");
                return refuse(error, "Use the same service and project");
            }
            Some(Content { waits, worst, .. }) => (waits, worst),
        };
        let named: HashSet<&JobId> = jobs.iter().collect();
        let is_other = |one: &&Checkpoint| !jobs.is_empty() && !named.contains(one.job_id());
        if let Some(other) = checkpoints.iter().find(is_other) {
            let id = other.job_id();
            let error = anyhow!("{shown} belongs to a wait for another job, {id}");
            return refuse(error, &format!("Add {id} to this command"));
        }
        let mut log = CheckpointLog::new(target, origin.clone(), MAX_CHECKPOINT_BYTES);
        log.set_worst(worst);
        let file = Self {
            path: file.into(),
            log: Arc::new(Mutex::new(log)),
            changes: PendingChanges::default(),
            saving: None,
            needs_all: true,
            worst: Exit::from_number(worst).unwrap_or(Exit::Done),
            clock: TokioClock::new(),
            last_save: None,
            last_error: None,
            _lock: lock,
        };
        Ok((file, checkpoints))
    }

    /// Replaces the file by one with the checkpoints of all waits, by the positions of their jobs on
    /// the command line.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written. The previous content is kept then.
    pub(crate) async fn create(&mut self, all: BTreeMap<usize, Checkpoint>) -> io::Result<()> {
        self.start_save_all(all);
        self.join_save().await.unwrap_or(Ok(()))
    }

    /// Returns the most severe exit code of the jobs that earlier slices waited for.
    pub(crate) const fn worst(&self) -> Exit {
        self.worst
    }

    /// Sets the most severe exit code so far, for the next slice. If it changed, the next save has to be
    /// [`start_save_all`](Self::start_save_all).
    pub(crate) fn set_worst(&mut self, worst: Exit) {
        self.needs_all |= self.worst != worst;
        self.worst = worst;
        self.log.lock().unwrap_or_else(PoisonError::into_inner).set_worst(worst as u8);
    }

    /// Adds the checkpoint of a wait to the next save. If the job has not changed since the last
    /// save, it is saved within a minute, or with the next save if `is_urgent` is set.
    pub(crate) fn add(&mut self, index: usize, checkpoint: Checkpoint, is_urgent: bool) {
        self.changes.add(self.clock.monotonic(), index, checkpoint, is_urgent);
    }

    /// Whether no save is running.
    pub(crate) fn is_idle(&self) -> bool {
        self.saving.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Whether there is something to save now, and [`finish_save`](Self::finish_save) was called for
    /// the last save.
    pub(crate) fn is_due(&self) -> bool {
        let now = self.clock.monotonic();
        let interval = if self.last_error.is_some() { RETRY_INTERVAL } else { SAVE_INTERVAL };
        self.saving.is_none()
            && self.last_save.is_none_or(|last| now.saturating_sub(last) >= interval)
            && (self.needs_all || self.changes.is_due(now))
    }

    /// Whether the next save has to be [`start_save_all`](Self::start_save_all).
    pub(crate) const fn needs_all(&self) -> bool {
        self.needs_all
    }

    /// Starts to save the changes that are due.
    pub(crate) fn start_save_due(&mut self) {
        let due = self.changes.take_due(self.clock.monotonic());
        self.start_save_changes(due);
    }

    /// Starts to save all changes.
    pub(crate) fn start_save_rest(&mut self) {
        let rest = self.changes.take_all();
        self.start_save_changes(rest);
    }

    fn start_save_changes(&mut self, changes: Changes) {
        if !changes.is_empty() {
            self.start(move |log| (log.save_changes(&changes), changes));
        }
    }

    /// Starts to save the checkpoints of all waits, and replaces the file. If there are none,
    /// removes it.
    pub(crate) fn start_save_all(&mut self, all: BTreeMap<usize, Checkpoint>) {
        let all = self.changes.reset(all);
        // Until this succeeds, the file misses changes.
        self.needs_all = true;
        self.start(move |log| {
            let saved = if all.is_empty() { log.remove() } else { log.save_all(&all) };
            (saved.map(|()| Saved::Done), Changes::new())
        });
    }

    /// Runs a save on another thread. Call it only if no save is running.
    fn start(&mut self, save: impl FnOnce(&mut CheckpointLog) -> SaveResult + Send + 'static) {
        let log = self.log.clone();
        self.last_save = Some(self.clock.monotonic());
        self.saving = Some(spawn_blocking(move || {
            save(&mut log.lock().unwrap_or_else(PoisonError::into_inner))
        }));
    }

    /// Waits for the running save, and returns its result; `None` if no save is running.
    async fn join_save(&mut self) -> Option<io::Result<()>> {
        let (saved, changes) = match self.saving.take()?.await {
            Ok(saved) => saved,
            Err(error) => {
                self.needs_all = true;
                return Some(Err(io::Error::other(error)));
            }
        };
        match &saved {
            Ok(saved) => self.needs_all = *saved == Saved::AllNeeded,
            Err(_) => self.changes.restore(changes),
        }
        Some(saved.map(drop))
    }

    /// Waits for the running save. If it failed, returns a message, unless the save before it
    /// failed with the same error.
    pub(crate) async fn finish_save(&mut self) -> Option<String> {
        let failed = self.join_save().await?.err().map(|error| error.kind());
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
fn read(target: &TargetFile, file: &Path) -> anyhow::Result<Option<Content<Origin>>> {
    let shown = file.display();
    let context = || format!("cannot read {shown}");
    let opened = target.open(MAX_CHECKPOINT_BYTES).with_context(context).or_exit(Exit::Usage)?;
    let Some(opened) = opened else { return Ok(None) };
    log_format::read(BufReader::new(opened)).or_else(|error| match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Err(error)
            .with_context(|| format!("{shown} is not a checkpoint of this command"))
            .or_exit_with_hint(Exit::Usage, Some(format!("Use another file, or delete {shown}."))),
        _ => Err(error).with_context(context).or_exit(Exit::Usage),
    })
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

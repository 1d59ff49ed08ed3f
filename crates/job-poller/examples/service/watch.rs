//! The waits in the background, and their checkpoints on disk.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use job_model::JobId;
use job_poller::{
    Checkpoint, Event, FinishedJob, JobSource, Outcome, Wait, WaitError, WaitErrorKind,
};
use tokio::{sync::watch, task::JoinSet};

/// The state of a job, as far as this service knows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Status {
    /// The wait has not ended. Holds the last event.
    Waiting(String),
    Succeeded,
    Failed(String),
    /// The wait stopped before the job ended.
    Unknown(String),
}

/// Waits for jobs in the background until it is stopped. It has no type parameter, because the
/// source can be of any type.
pub(crate) struct JobService {
    source: Arc<dyn JobSource>,
    folder: PathBuf,
    stopping: watch::Sender<bool>,
    statuses: Mutex<BTreeMap<JobId, Status>>,
    waits: Mutex<JoinSet<()>>,
}

impl JobService {
    /// Starts the service, and resumes the waits whose checkpoints are in `folder`.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be created or read.
    pub(crate) fn start(
        source: impl JobSource + 'static,
        folder: PathBuf,
    ) -> Result<Arc<Self>, io::Error> {
        fs::create_dir_all(&folder)?;
        let service = Arc::new(Self {
            source: Arc::new(source),
            folder,
            stopping: watch::Sender::new(false),
            statuses: Mutex::default(),
            waits: Mutex::default(),
        });
        for entry in fs::read_dir(&service.folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = fs::read(path)?;
            // Skips a file of another version. A client can request a wait for that job again.
            if let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(&text) {
                let id = checkpoint.job_id().clone();
                service.spawn(id, Wait::resume(service.source.clone(), checkpoint));
            }
        }
        Ok(service)
    }

    /// Starts a wait for a job, unless there is one.
    pub(crate) fn watch(self: &Arc<Self>, id: JobId) {
        if self.status(&id).is_none() {
            self.spawn(id.clone(), Wait::new(self.source.clone(), id));
        }
    }

    pub(crate) fn status(&self, id: &JobId) -> Option<Status> {
        lock(&self.statuses).get(id).cloned()
    }

    /// Stops the waits, and returns when their checkpoints are saved.
    pub(crate) async fn stop(&self) {
        self.stopping.send_replace(true);
        let mut waits = std::mem::take(&mut *lock(&self.waits));
        while waits.join_next().await.is_some() {}
    }

    fn spawn(self: &Arc<Self>, id: JobId, wait: Wait) {
        self.set_status(&id, Status::Waiting("the next attempt is to come".into()));
        let mut stopping = self.stopping.subscribe();
        let stop = async move { drop(stopping.wait_for(|stopping| *stopping).await) };
        let (service, wait) = (self.clone(), wait.stop_on(stop));
        let mut waits = lock(&self.waits);
        while waits.try_join_next().is_some() {}
        waits.spawn(async move { service.run(id, wait).await });
    }

    async fn run(&self, id: JobId, wait: Wait) {
        let mut events = wait.events();
        self.save_checkpoint(&id, &events.checkpoint());
        while let Some((_, event)) = events.next().await {
            if matches!(event, Event::Phase { .. } | Event::SubJob { .. }) {
                self.save_checkpoint(&id, &events.checkpoint());
            }
            if !matches!(event, Event::NextAttempt { .. }) {
                self.set_status(&id, Status::Waiting(event.to_string()));
            }
        }
        self.finish(&id, events.finish().await);
    }

    fn finish(&self, id: &JobId, result: Result<FinishedJob, WaitError>) {
        let status = match result {
            Ok(FinishedJob { outcome: Outcome::Succeeded, .. }) => Status::Succeeded,
            Ok(FinishedJob { outcome: Outcome::Failed(failure), .. }) => {
                Status::Failed(failure.to_string())
            }
            Err(error) if error.kind() == WaitErrorKind::Stopped => {
                return self.save_checkpoint(id, error.checkpoint());
            }
            Err(error) => Status::Unknown(error.to_string()),
        };
        self.set_status(id, status);
        // A real service would store the status, too.
        drop(fs::remove_file(self.checkpoint_path(id)));
    }

    fn set_status(&self, id: &JobId, status: Status) {
        lock(&self.statuses).insert(id.clone(), status);
    }

    /// Saves a checkpoint, atomically. If that fails the wait continues: after a restart it starts
    /// over, and nothing else is lost.
    fn save_checkpoint(&self, id: &JobId, checkpoint: &Checkpoint) {
        let file = self.checkpoint_path(id);
        let new = file.with_extension("new");
        let kept = serde_json::to_vec(checkpoint).map_err(io::Error::other);
        drop(kept.and_then(|text| fs::write(&new, text)).and_then(|()| fs::rename(&new, &file)));
    }

    /// Returns the checkpoint file of a job. An id contains no `/` and is never `.` or `..`, so
    /// that it is a valid file name.
    fn checkpoint_path(&self, id: &JobId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

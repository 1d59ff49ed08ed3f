//! The waits of the service: one fleet, and one task per job that saves its checkpoints.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use job_model::JobId;
use job_poller::{
    Checkpoint, Fleet, FleetEvents, FleetWait, JobSource, Observer, Report, WaitErrorKind,
    WaitPolicy, WaitRequest,
};
use tokio::task::JoinSet;

use crate::store::Store;

pub(crate) struct Jobs {
    fleet: Fleet,
    pub(crate) store: Store,
    tasks: Mutex<JoinSet<()>>,
}

impl Jobs {
    /// Starts the fleet, and resumes the waits that had not ended when the last process did.
    pub(crate) async fn start(
        source: impl JobSource + 'static,
        observer: impl Observer + 'static,
        store: Store,
    ) -> Result<Arc<Self>> {
        let jobs = Arc::new(Self {
            fleet: Fleet::builder(source).observer(observer).start(),
            store,
            tasks: Mutex::default(),
        });
        for checkpoint in jobs.store.unfinished().await? {
            jobs.spawn(jobs.fleet.resume(checkpoint));
        }
        Ok(jobs)
    }

    /// Waits for a job. Returns false if it is known already.
    pub(crate) async fn watch(self: &Arc<Self>, id: JobId, policy: WaitPolicy) -> Result<bool> {
        if self.store.get(id.clone()).await?.is_some() {
            return Ok(false);
        }
        let wait = self.fleet.watch_with(WaitRequest::new(id).policy(policy));
        // Once this is saved, the wait goes on even if the process is killed.
        if let Some(checkpoint) = wait.checkpoint() {
            self.store.save(checkpoint).await?;
        }
        self.spawn(wait);
        Ok(true)
    }

    /// Returns the events of a stored wait from now on. They end with it. A reader that is slow or
    /// goes away harms nobody.
    pub(crate) fn events(&self, checkpoint: Checkpoint) -> FleetEvents {
        self.fleet.resume(checkpoint).events()
    }

    /// Stops all waits, and returns when their checkpoints are saved.
    pub(crate) async fn stop(&self) {
        self.fleet.shutdown().await;
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.join_all().await;
    }

    fn spawn(self: &Arc<Self>, wait: FleetWait) {
        let (jobs, id) = (self.clone(), wait.job_id().clone());
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            if let Err(error) = jobs.run(wait).await {
                tracing::error!(job.id = %id, "{error:#}");
            }
        });
    }

    /// Saves a checkpoint after each event, and the result.
    async fn run(&self, wait: FleetWait) -> Result<()> {
        let id = wait.job_id().clone();
        let mut events = wait.events();
        // If events were lost, the next one saves a newer checkpoint all the same.
        while events.next().await.is_some() {
            if let Some(checkpoint) = events.checkpoint() {
                self.store.save(checkpoint).await?;
            }
        }
        match events.finish().await {
            // It goes on when the service is started again.
            Err(error) if error.kind() == WaitErrorKind::Stopped => {
                self.store.save(error.into_checkpoint()).await
            }
            result => self.store.finish(id, &Report::new(&result, None)).await,
        }
    }
}

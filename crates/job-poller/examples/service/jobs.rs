//! The waits of the service: one fleet, and one task per job that saves its checkpoints.

use std::sync::Arc;

use anyhow::Result;
use job_model::JobId;
use job_poller::{
    Checkpoint, Fleet, Report, WaitErrorKind, WaitPolicy,
    fleet::{FleetEvents, FleetWait, WaitRequest},
    observer::Observer,
    source::JobSource,
};
use tokio_util::task::TaskTracker;

use crate::store::Store;

pub(crate) struct Jobs {
    fleet: Fleet,
    pub(crate) store: Store,
    tasks: TaskTracker,
}

impl Jobs {
    /// Starts the fleet, and resumes the waits that had not ended when the last process did.
    pub(crate) async fn start(
        source: impl JobSource + 'static,
        observer: impl Observer + 'static,
        store: Store,
    ) -> Result<Arc<Self>> {
        let fleet = Fleet::builder(source).observer(observer).start();
        let jobs = Arc::new(Self { fleet, store, tasks: TaskTracker::new() });
        for checkpoint in jobs.store.unfinished().await? {
            jobs.spawn(jobs.fleet.resume(checkpoint));
        }
        Ok(jobs)
    }

    /// Waits for a job. Returns false if it is known already.
    pub(crate) async fn watch(self: &Arc<Self>, id: JobId, policy: WaitPolicy) -> Result<bool> {
        let jobs = self.clone();
        let watch = async move {
            let is_new = jobs.store.get(id.clone()).await?.is_none();
            if is_new {
                let wait = jobs.fleet.watch_with(WaitRequest::new(id).policy(policy));
                // Once this is saved, the wait goes on even if the process is killed.
                if let Some(checkpoint) = wait.checkpoint() {
                    jobs.store.save(checkpoint).await?;
                }
                jobs.spawn(wait);
            }
            Ok(is_new)
        };
        // A task of its own, because the server drops this future if the client disconnects.
        self.tasks.spawn(watch).await?
    }

    /// Returns the events of a stored wait from now on. The stream ends when the wait ends. A slow
    /// or disconnected reader does not delay the wait.
    pub(crate) fn events(&self, checkpoint: Checkpoint) -> FleetEvents {
        self.fleet.resume(checkpoint).events()
    }

    /// Stops all waits, and returns when their checkpoints are saved.
    pub(crate) async fn stop(&self) {
        self.fleet.shutdown().await;
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn spawn(self: &Arc<Self>, wait: FleetWait) {
        let (jobs, id) = (self.clone(), wait.job_id().clone());
        self.tasks.spawn(async move {
            if let Err(error) = jobs.run(wait).await {
                tracing::error!(job.id = %id, "{error:#}");
            }
        });
    }

    /// Saves a checkpoint after each event, and the result.
    async fn run(&self, wait: FleetWait) -> Result<()> {
        let id = wait.job_id().clone();
        let mut events = wait.events();
        while events.next().await.is_some() {
            if let Some(checkpoint) = events.checkpoint()
                && let Err(error) = self.store.save(checkpoint).await
            {
                tracing::warn!(job.id = %id, "the next event saves a newer checkpoint: {error:#}");
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

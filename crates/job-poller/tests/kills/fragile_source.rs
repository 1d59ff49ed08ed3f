//! A source whose process is killed at one of its requests.

use std::{
    future::{Future, pending},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use futures_util::future::BoxFuture;
use job_model::{
    JobId,
    object::{Object, ObjectId},
};
use job_poller::source::JobSource;
use job_transport::{Client, FetchError, Fetched, JobSnapshot, ObjectReading, Reading};
use tokio::sync::Notify;

use crate::run::{Kill, Moment};

/// A client that announces when its process is killed.
pub(crate) struct FragileSource {
    client: Client,
    kill: Option<Kill>,
    requests: AtomicU32,
    killed: Arc<Notify>,
}

impl FragileSource {
    pub(crate) fn new(client: Client, kill: Option<Kill>) -> Self {
        Self { client, kill, requests: AtomicU32::new(0), killed: Arc::default() }
    }

    /// Returns what is notified when the process is killed.
    pub(crate) fn killed(&self) -> Arc<Notify> {
        self.killed.clone()
    }

    async fn request<T>(&self, request: impl Future<Output = T>) -> T {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let moment = self.kill.filter(|kill| kill.request == number).map(|kill| kill.moment);
        if moment == Some(Moment::BeforeRequest) {
            self.killed.notify_one();
            return pending().await;
        }
        let reply = request.await;
        if moment.is_some() {
            self.killed.notify_one();
        }
        if moment == Some(Moment::ReplyLost) {
            return pending().await;
        }
        reply
    }
}

impl JobSource for FragileSource {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin(self.request(self.client.job(id)))
    }

    fn fetch_since<'a>(
        &'a self,
        id: &'a JobId,
        last: Option<&'a JobSnapshot>,
    ) -> BoxFuture<'a, Result<Fetched, FetchError>> {
        Box::pin(self.request(self.client.job_since(id, last)))
    }

    fn fetch_object<'a>(
        &'a self,
        id: &'a ObjectId,
    ) -> BoxFuture<'a, Result<ObjectReading<Object>, FetchError>> {
        Box::pin(self.request(self.client.object(id)))
    }
}

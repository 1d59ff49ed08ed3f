//! Limits concurrent connects: while there is no connection, only one request at a time opens one.

use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::Poll,
};

use http::{Uri, uri::Authority};
use hyper_util::client::legacy::connect::CaptureConnection;
use tokio::sync::Mutex;

/// The gate of each host.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectGates(Arc<std::sync::Mutex<HashMap<Authority, Arc<ConnectGate>>>>);

impl ConnectGates {
    /// Returns the gate of the host that a request goes to.
    pub(super) fn for_uri(&self, uri: &Uri) -> Arc<ConnectGate> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match uri.authority() {
            Some(host) => match gates.get(host) {
                Some(gate) => gate.clone(),
                None => gates.entry(host.clone()).or_default().clone(),
            },
            // A URI without a host fails later.
            None => Arc::default(),
        }
    }
}

/// Tracks whether there is a connection to a host. Graceful closes (idle timeout, GOAWAY) are not
/// noticed.
///
/// Without the gate, 100 concurrent requests would open 100 connections. With HTTP/2, one is
/// enough.
#[derive(Debug, Default)]
pub(super) struct ConnectGate {
    open: AtomicBool,
    connect_lock: Mutex<()>,
    /// How many requests held the lock and did not get a connection.
    failures: AtomicU32,
}

impl ConnectGate {
    /// Sends a request. If there is no connection (`capture` is set), the request holds the lock
    /// until its connection is open.
    pub(super) async fn send_through<T>(
        &self,
        capture: Option<CaptureConnection>,
        sending: impl Future<Output = T>,
    ) -> T {
        let Some(mut capture) = capture else { return sending.await };
        let failed = self.failures.load(Ordering::Relaxed);
        let alone = self.connect_lock.lock().await;
        // If another request failed to connect meanwhile, do not wait for the others to fail, too.
        if self.is_open() || self.failures.load(Ordering::Relaxed) != failed {
            drop(alone);
            return sending.await;
        }
        let mut sending = pin!(sending);
        let ended = {
            let mut connected = pin!(capture.wait_for_connection_metadata());
            poll_fn(|context| match sending.as_mut().poll(context) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                Poll::Pending => connected.as_mut().poll(context).map(|_| None),
            })
            .await
        };
        // The reply can arrive together with the connection.
        if capture.connection_metadata().is_some() {
            self.open.store(true, Ordering::Relaxed);
        } else {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        drop(alone);
        match ended {
            Some(ended) => ended,
            None => sending.await,
        }
    }

    /// Records that a connection is closed or closing.
    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
    }

    /// Returns whether there is a connection.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}

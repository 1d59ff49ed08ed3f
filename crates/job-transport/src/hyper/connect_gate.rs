//! The gate before the connections: while there is none, one request at a time goes to make one.
//! Knows no request.

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

/// The gates of each host that was connected to.
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
            // Without a host it goes nowhere.
            None => Arc::default(),
        }
    }
}

/// Whether there is a connection, as far as is known: one that was closed in peace, for lack of use
/// or by a server that drains it, is missed. Without the gate, a hundred requests at once would make
/// a hundred connections, and all but one of them in vain where the server speaks HTTP/2.
#[derive(Debug, Default)]
pub(super) struct ConnectGate {
    open: AtomicBool,
    connect_lock: Mutex<()>,
    /// How many went alone and got no connection.
    failures: AtomicU32,
}

impl ConnectGate {
    /// Sends a request: at once where there is a connection, and so none to watch for; else alone,
    /// until it has one.
    pub(super) async fn send_through<T>(
        &self,
        capture: Option<CaptureConnection>,
        sending: impl Future<Output = T>,
    ) -> T {
        let Some(mut capture) = capture else { return sending.await };
        let failed = self.failures.load(Ordering::Relaxed);
        let alone = self.connect_lock.lock().await;
        // Who has seen another fail does not wait for the next ones to fail in turn.
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
        // A reply may be there as soon as the connection is.
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

    /// Notes that a connection is gone, or is going.
    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
    }

    /// Whether there is a connection.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}

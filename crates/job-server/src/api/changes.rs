//! The changes of the store, read once for all clients that stream events.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use job_store::{ChangeCursor, Store, StoreError, Summary, WaitKey, WaitStatus};
use job_transport::{
    clock::{Clock as _, TokioClock},
    transport::display_chain,
};
use tokio::sync::{Mutex, broadcast, watch};

use super::waits::leave_out_document;

/// How often the store is read while clients stream events.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The number of batches that a client may be behind. It gets `reset` if it is slower.
pub(super) const MAX_BATCHES: usize = 64;

/// The size of a batch, unless one event is larger. With the number of batches, it limits the memory
/// of all clients together, because they share the batches.
const BATCH_BYTES: usize = 64 << 10;

/// Number of polls for which a sent event is remembered, to drop repeats. The store returns each change
/// again for five seconds.
const REMEMBERED_POLLS: u64 = 10;

/// Starts the reading of the store when the first client streams, and ends it after the last one.
#[derive(Debug)]
pub(crate) struct ChangeFeeds {
    store: Store,
    running: Mutex<Weak<ChangeFeed>>,
}

/// A running feed. It ends when all clients have dropped it.
#[derive(Debug)]
pub(super) struct ChangeFeed {
    batches: broadcast::Sender<Batch>,
    /// The event with the summary of the last poll.
    summary: watch::Receiver<Bytes>,
}

/// Events that happened together.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// The events as they are sent to a client of all events.
    pub(super) events: Bytes,
    /// The waits that have changed.
    pub(super) keys: Arc<[WaitKey]>,
}

impl ChangeFeeds {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, running: Mutex::default() }
    }

    /// Returns the running feed, or starts one.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub(super) async fn subscribe(&self) -> Result<Arc<ChangeFeed>, StoreError> {
        let mut running = self.running.lock().await;
        if let Some(feed) = running.upgrade() {
            return Ok(feed);
        }
        let first = self.store.summary().await?;
        let poller = Poller::new(self.store.clone(), &first);
        let (summaries, summary) = watch::channel(summary_event(&first));
        let feed = Arc::new(ChangeFeed { batches: broadcast::Sender::new(MAX_BATCHES), summary });
        *running = Arc::downgrade(&feed);
        tokio::spawn(poller.run(Arc::downgrade(&feed), summaries));
        Ok(feed)
    }
}

impl ChangeFeed {
    pub(super) fn batches(&self) -> broadcast::Receiver<Batch> {
        self.batches.subscribe()
    }

    /// Sends a text to all clients.
    #[cfg(test)]
    pub(super) fn send_for_test(&self, text: &str) {
        let events = Bytes::from(text.to_owned());
        let _ = self.batches.send(Batch { events, keys: Arc::default() });
    }

    /// Returns the event with the summary of the last poll.
    pub(super) fn summary(&self) -> Bytes {
        self.summary.borrow().clone()
    }
}

/// Reads the store each second.
struct Poller {
    store: Store,
    cursor: ChangeCursor,
    /// The hash of the last event of each wait, and the number of the poll that returned it.
    sent: HashMap<WaitKey, (u64, u64)>,
    hasher: RandomState,
    polls: u64,
    last_summary: Summary,
}

impl Poller {
    fn new(store: Store, first: &Summary) -> Self {
        Self {
            store,
            cursor: first.time.into(),
            sent: HashMap::new(),
            hasher: RandomState::new(),
            polls: 0,
            last_summary: first.clone(),
        }
    }

    async fn run(mut self, feed: Weak<ChangeFeed>, summaries: watch::Sender<Bytes>) {
        let clock = TokioClock::new();
        loop {
            clock.sleep(POLL_INTERVAL).await;
            let Some(feed) = feed.upgrade() else { return };
            if let Err(error) = self.poll(&feed, &summaries).await {
                // The clients get the changes when the database is back.
                tracing::warn!(error = %display_chain(&error), "cannot read the changes");
            }
        }
    }

    async fn poll(
        &mut self,
        feed: &ChangeFeed,
        summaries: &watch::Sender<Bytes>,
    ) -> Result<(), StoreError> {
        self.polls += 1;
        loop {
            let changes = self.store.changes(&self.cursor).await?;
            self.send(feed, changes.waits);
            self.cursor = changes.next;
            if !changes.has_more {
                break;
            }
            tokio::task::yield_now().await;
        }
        let oldest = self.polls.saturating_sub(REMEMBERED_POLLS);
        self.sent.retain(|_, (_, poll)| *poll >= oldest);
        let summary = self.store.summary().await?;
        let event = summary_event(&summary);
        // A new client gets the current time, even if nothing else has changed.
        summaries.send_replace(event.clone());
        self.last_summary.time = summary.time;
        if summary != self.last_summary {
            let _ = feed.batches.send(Batch { events: event, keys: Arc::default() });
            self.last_summary = summary;
        }
        Ok(())
    }

    /// Encodes the waits once, and sends them in batches.
    fn send(&mut self, feed: &ChangeFeed, waits: Vec<WaitStatus>) {
        let (mut events, mut keys) = (Vec::new(), Vec::new());
        let flush = |events: &mut Vec<u8>, keys: &mut Vec<WaitKey>| {
            let batch =
                Batch { events: std::mem::take(events).into(), keys: keys.drain(..).collect() };
            // An error means that no client streams at present.
            let _ = feed.batches.send(batch);
        };
        for mut status in waits {
            leave_out_document(&mut status);
            let event = wait_event(&status);
            let hash = self.hasher.hash_one(&event);
            let sent = self.sent.insert(status.key.clone(), (hash, self.polls));
            if sent.is_some_and(|(sent, _)| sent == hash) {
                continue;
            }
            if !events.is_empty() && events.len() + event.len() > BATCH_BYTES {
                flush(&mut events, &mut keys);
            }
            events.extend_from_slice(&event);
            keys.push(status.key);
        }
        if !events.is_empty() {
            flush(&mut events, &mut keys);
        }
    }
}

/// Returns the event with a wait.
pub(super) fn wait_event(status: &WaitStatus) -> Bytes {
    event("wait", status)
}

fn summary_event(summary: &Summary) -> Bytes {
    event("summary", summary)
}

/// Encodes an event. JSON contains no line breaks.
fn event(name: &str, data: &impl serde::Serialize) -> Bytes {
    let mut text = format!("event: {name}\ndata: ").into_bytes();
    // These types have only text keys, so they can be encoded.
    let _ = serde_json::to_writer(&mut text, data);
    text.extend_from_slice(b"\n\n");
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;

    #[tokio::test]
    async fn a_new_client_gets_the_current_time_on_a_quiet_server() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::sqlite(&folder.path().join("jobs.db"), None).await.unwrap();
        // As after a long time without a change.
        let mut old = database.store.summary().await.unwrap();
        old.time = jiff::Timestamp::UNIX_EPOCH;
        let (summaries, summary) = watch::channel(summary_event(&old));
        let feed = ChangeFeed { batches: broadcast::Sender::new(MAX_BATCHES), summary };
        let mut batches = feed.batches();
        Poller::new(database.store.clone(), &old).poll(&feed, &summaries).await.unwrap();
        assert!(!String::from_utf8_lossy(&feed.summary()).contains("1970"));
        assert!(batches.try_recv().is_err(), "the other clients get no event");
    }
}

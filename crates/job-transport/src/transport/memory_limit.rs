//! Limits the memory of replies: bodies in flight, kept texts, and jobs that have ended.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Limits the memory that replies use, over all clients and waits that share the handle.
///
/// It counts the bodies in flight, the texts that waits keep, and the decoded jobs of finished
/// waits. If they need more than the limit, the largest texts of jobs that are still running are
/// dropped first. If that is not enough, new texts are not kept. A snapshot without its text is
/// [truncated](crate::JobSnapshot::is_truncated): it has the phase, the times, the failed step and
/// its reason. No wait fails because of the limit.
///
/// Clones share one limit. Clients and waits without a limit of their own share [one for the
/// process](Self::global).
///
/// # For callers
///
/// Set a limit on a wait or a fleet (`memory_limit` of job-poller), and the same one on the
/// [`Client`](crate::Client::memory_limit) that it reads with.
///
/// # Examples
///
/// ```
/// use job_transport::transport::MemoryLimit;
///
/// let limit = MemoryLimit::new(64 * 1024 * 1024);
/// assert_eq!(limit.used_bytes(), 0);
/// assert_eq!(MemoryLimit::global().max_bytes(), MemoryLimit::DEFAULT_MAX_BYTES);
/// ```
#[derive(Clone)]
pub struct MemoryLimit(Arc<Inner>);

struct Inner {
    max_bytes: usize,
    used_bytes: AtomicUsize,
    droppable: Mutex<Droppable>,
}

/// The texts that can be dropped. The largest is the last.
#[derive(Default)]
struct Droppable {
    texts: BTreeMap<(usize, u64), Weak<dyn DropText>>,
    next_id: u64,
}

/// A kept text that can be dropped.
pub(crate) trait DropText: Send + Sync {
    /// Drops the text, and releases its share of the limit.
    fn drop_text(&self);
}

impl MemoryLimit {
    /// The limit of the process, and of handles that do not set another one: 256 MiB.
    pub const DEFAULT_MAX_BYTES: usize = 256 * 1024 * 1024;

    /// Creates a limit in bytes, for this handle and its clones.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        let (used_bytes, droppable) = (AtomicUsize::new(0), Mutex::default());
        Self(Arc::new(Inner { max_bytes, used_bytes, droppable }))
    }

    /// Returns the limit that all clients and waits of the process share unless they have another.
    #[must_use]
    pub fn global() -> Self {
        static GLOBAL: LazyLock<MemoryLimit> =
            LazyLock::new(|| MemoryLimit::new(MemoryLimit::DEFAULT_MAX_BYTES));
        GLOBAL.clone()
    }

    /// Returns the limit in bytes.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.0.max_bytes
    }

    /// Returns how many bytes count toward the limit now.
    ///
    /// This can exceed the limit while bodies are in flight, because a wait needs its reply.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// Returns whether the limit is exceeded, although no text is left that can be dropped.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.used_bytes() > self.max_bytes()
    }

    /// Counts `bytes` until the share is dropped.
    pub(crate) fn count(&self, bytes: usize) -> MemoryShare {
        self.0.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        MemoryShare { limit: self.clone(), bytes }
    }

    /// Allows a text of `bytes` to be dropped. The returned id removes it from the list.
    pub(crate) fn add_droppable(&self, bytes: usize, text: Weak<dyn DropText>) -> u64 {
        let mut droppable = self.droppable();
        let id = droppable.next_id;
        droppable.next_id += 1;
        droppable.texts.insert((bytes, id), text);
        id
    }

    /// Removes a text from those that can be dropped.
    pub(crate) fn remove_droppable(&self, bytes: usize, id: u64) {
        self.droppable().texts.remove(&(bytes, id));
    }

    /// Drops the largest texts until the limit holds, or no text is left.
    pub(crate) fn enforce(&self) {
        while self.is_exceeded() {
            let Some((_, text)) = self.droppable().texts.pop_last() else { return };
            // The list is not locked here, because dropping a text may remove another from it.
            if let Some(text) = text.upgrade() {
                text.drop_text();
            }
        }
    }

    fn droppable(&self) -> MutexGuard<'_, Droppable> {
        self.0.droppable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLimit")
            .field("max_bytes", &self.max_bytes())
            .field("used_bytes", &self.used_bytes())
            .finish_non_exhaustive()
    }
}

/// Bytes that count toward a [`MemoryLimit`] until this is dropped.
#[derive(Debug)]
pub(crate) struct MemoryShare {
    limit: MemoryLimit,
    bytes: usize,
}

impl MemoryShare {
    /// Returns the limit that the bytes count toward.
    pub(crate) const fn limit(&self) -> &MemoryLimit {
        &self.limit
    }

    /// Counts `bytes` more. Drops texts if the limit is exceeded.
    #[cfg(any(test, feature = "hyper"))]
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.limit.0.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.limit.enforce();
    }

    /// Counts `bytes` from now on, which are fewer than before.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let released = self.bytes.saturating_sub(bytes);
        self.bytes -= released;
        self.limit.0.used_bytes.fetch_sub(released, Ordering::Relaxed);
    }
}

/// The share of a response's body, in the extensions of the response.
#[derive(Clone)]
pub(crate) struct BodyShare {
    /// Kept until the response is dropped.
    _share: Arc<MemoryShare>,
}

impl From<MemoryShare> for BodyShare {
    fn from(share: MemoryShare) -> Self {
        Self { _share: Arc::new(share) }
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests;

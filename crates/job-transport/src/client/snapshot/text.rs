//! The text of a snapshot. A large one can be dropped, and then a summary stays.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use bytes::Bytes;
use job_model::{Failure, Job};

use crate::transport::{DropText, MemoryLimit, MemoryShare};

/// The minimum size of a text that can be dropped while its job is running. A smaller one takes
/// about as much memory as what is needed to drop it.
const MIN_DROPPABLE_BYTES: usize = 16 * 1024;

/// The text of a snapshot, and its share of a memory limit.
pub(super) enum Text {
    Small { text: Bytes, share: Option<MemoryShare> },
    Large(Arc<LargeText>),
}

/// A text that can be dropped.
pub(super) struct LargeText {
    state: Mutex<State>,
    summary: Summary,
    droppable: OnceLock<ListEntry>,
}

struct State {
    text: Bytes,
    share: Option<MemoryShare>,
    /// Identifies the text if it was dropped.
    dropped: Option<TextId>,
}

/// What stays of a large text: a job without sub-jobs, and the failed step.
struct Summary {
    text: Bytes,
    failure: Option<Box<Failure>>,
}

/// The place of a text in the list of those that its limit can drop.
struct ListEntry {
    limit: MemoryLimit,
    bytes: usize,
    id: u64,
}

/// The length and a hash of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
struct TextId(usize, u64);

impl TextId {
    fn new(text: &[u8]) -> Self {
        let mut hash = DefaultHasher::new();
        hash.write(text);
        Self(text.len(), hash.finish())
    }
}

impl Text {
    /// Creates the text of `job`.
    pub(super) fn new(text: Bytes, job: &Job) -> Self {
        if text.len() < MIN_DROPPABLE_BYTES {
            return Self::Small { text, share: None };
        }
        let state = State { text, share: None, dropped: None };
        Self::Large(Arc::new(LargeText::new(state, Summary::new(job))))
    }

    /// Returns the same text for another snapshot. A small one counts again.
    pub(super) fn share(&self) -> Self {
        match self {
            Self::Small { text, share } => {
                let share = share.as_ref().map(|share| share.limit().count(text.len()));
                Self::Small { text: text.clone(), share }
            }
            Self::Large(large) => Self::Large(large.clone()),
        }
    }

    /// Returns the text, or the summary if the text was dropped.
    pub(super) fn get(&self) -> Bytes {
        match self {
            Self::Small { text, .. } => text.clone(),
            Self::Large(large) => large.state().text.clone(),
        }
    }

    /// Returns whether only the summary is left.
    pub(super) fn is_dropped(&self) -> bool {
        self.dropped_id().is_some()
    }

    /// Returns the failed step, if the text was dropped.
    pub(super) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Small { .. } => None,
            Self::Large(large) => large.summary.failure.as_deref(),
        }
    }

    /// Returns whether this is or was `body`, byte for byte. If it was dropped, compares a hash.
    pub(super) fn is(&self, body: &[u8]) -> bool {
        match self.dropped_id() {
            Some(id) => id.0 == body.len() && id == TextId::new(body),
            None => self.get() == body,
        }
    }

    /// Returns whether both are or were equal. If one was dropped, compares a hash.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        match other.dropped_id() {
            Some(id) => self.dropped_id().unwrap_or_else(|| TextId::new(&self.get())) == id,
            None => self.is(&other.get()),
        }
    }

    fn dropped_id(&self) -> Option<TextId> {
        match self {
            Self::Small { .. } => None,
            Self::Large(large) => large.state().dropped,
        }
    }

    /// Counts the text, and `extra` bytes, toward a limit. Returns whether the text was dropped,
    /// because the limit is exceeded.
    ///
    /// `job` is the job of the text. If it is running, the text may be dropped later.
    pub(super) fn count_toward(
        &mut self,
        limit: &MemoryLimit,
        job: &Job,
        is_running: bool,
        extra: usize,
    ) -> bool {
        let bytes = self.get().len().saturating_add(extra);
        match self {
            Self::Small { share, .. } if share.is_some() => return false,
            Self::Large(large) if large.state().share.is_some() => return false,
            Self::Small { share, .. } => *share = Some(limit.count(bytes)),
            Self::Large(large) => {
                large.state().share = Some(limit.count(bytes));
                if is_running {
                    large.allow_drop(limit, bytes);
                }
            }
        }
        // This may drop this text, if it is the largest.
        limit.enforce();
        if limit.is_exceeded() {
            self.drop_now(job);
        }
        self.is_dropped()
    }

    /// Drops the text, unless its summary is as long.
    fn drop_now(&mut self, job: &Job) {
        if let Self::Small { text, share } = self {
            let summary = Summary::new(job);
            if summary.text.len() >= text.len() {
                return;
            }
            let state = State { text: text.clone(), share: share.take(), dropped: None };
            *self = Self::Large(Arc::new(LargeText::new(state, summary)));
        }
        if let Self::Large(large) = self {
            large.drop_text();
        }
    }
}

impl Summary {
    fn new(job: &Job) -> Self {
        Self {
            // Encoding a job to memory cannot fail.
            text: serde_json::to_vec(&job.summary()).unwrap_or_default().into(),
            failure: job.failure().map(|failure| Box::new(failure.shortened())),
        }
    }
}

impl LargeText {
    fn new(state: State, summary: Summary) -> Self {
        Self { state: Mutex::new(state), summary, droppable: OnceLock::new() }
    }

    /// Lists the text among those that the limit can drop.
    fn allow_drop(self: &Arc<Self>, limit: &MemoryLimit, bytes: usize) {
        self.droppable.get_or_init(|| {
            let text = Arc::downgrade(self);
            let id = limit.add_droppable(bytes, text);
            ListEntry { limit: limit.clone(), bytes, id }
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DropText for LargeText {
    fn drop_text(&self) {
        let text = self.state().text.clone();
        let id = TextId::new(&text);
        let mut state = self.state();
        if state.dropped.is_some() {
            return;
        }
        state.dropped = Some(id);
        state.text = self.summary.text.clone();
        let kept = state.text.len();
        if let Some(share) = &mut state.share {
            share.shrink_to(kept);
        }
    }
}

impl Drop for LargeText {
    fn drop(&mut self) {
        if let Some(entry) = self.droppable.get() {
            entry.limit.remove_droppable(entry.bytes, entry.id);
        }
    }
}

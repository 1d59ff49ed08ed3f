//! The text of a snapshot. A large one can be dropped, and then a summary stays.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use bytes::Bytes;
use job_model::{Failure, FailureSummary, Inconsistency, Job};

use crate::transport::{DropText, MemoryLimit, MemoryShare};

/// The minimum size of a text that can be dropped while its job is running. A smaller one takes
/// about as much memory as what is needed to drop it.
const MIN_DROPPABLE_BYTES: usize = 16 * 1024;

/// The maximum size of a text and a decoded job that are kept although the limit is exceeded, if the
/// job has ended. The large replies of other jobs must not cost a small job its result.
const MAX_SMALL_RESULT_BYTES: usize = 64 * 1024;

/// The maximum number of inconsistencies in a summary.
const MAX_INCONSISTENCIES: usize = 20;

/// The text of a snapshot, and its share of a memory limit.
pub(super) enum Text {
    Small { text: Bytes, share: Option<MemoryShare> },
    Large(Arc<LargeText>),
}

/// A text that can be dropped.
pub(super) struct LargeText {
    state: Mutex<State>,
    /// Identifies the whole text, also after it was dropped.
    id: TextId,
    summary: Summary,
    droppable: OnceLock<ListEntry>,
}

struct State {
    text: Bytes,
    share: Option<MemoryShare>,
    /// Whether `text` is the summary.
    is_dropped: bool,
}

/// What stays of a large text: a job without sub-jobs, and what the sub-jobs showed.
pub(super) struct Summary {
    text: Bytes,
    pub(super) failure: Option<Box<Failure>>,
    pub(super) failure_summary: Option<Box<FailureSummary>>,
    pub(super) inconsistencies: Box<[Inconsistency]>,
}

/// The place of a text in the list of those that its limit can drop.
struct ListEntry {
    limit: MemoryLimit,
    bytes: usize,
    id: u64,
}

/// The length and a hash of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
struct TextId {
    len: usize,
    hash: u64,
}

impl TextId {
    fn new(text: &[u8]) -> Self {
        let mut hash = DefaultHasher::new();
        hash.write(text);
        Self { len: text.len(), hash: hash.finish() }
    }
}

impl Text {
    /// Creates the text of `job`.
    pub(super) fn new(text: Bytes, job: &Job) -> Self {
        if text.len() < MIN_DROPPABLE_BYTES {
            return Self::Small { text, share: None };
        }
        Self::Large(Arc::new(LargeText::new(text, None, Summary::new(job))))
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
    ///
    /// The first copy of a `Bytes` allocates, so a wait that only compares texts does not call
    /// this.
    pub(super) fn get(&self) -> Bytes {
        match self {
            Self::Small { text, .. } => text.clone(),
            Self::Large(large) => large.state().text.clone(),
        }
    }

    /// Returns whether only the summary is left.
    pub(super) fn is_dropped(&self) -> bool {
        self.summary().is_some()
    }

    /// Returns the summary, if the text was dropped.
    pub(super) fn summary(&self) -> Option<&Summary> {
        match self {
            Self::Large(large) if large.state().is_dropped => Some(&large.summary),
            Self::Small { .. } | Self::Large(_) => None,
        }
    }

    /// Returns whether this is or was `body`, byte for byte. If it was dropped, compares a hash.
    pub(super) fn is(&self, body: &[u8]) -> bool {
        match self {
            Self::Small { text, .. } => text == body,
            Self::Large(large) if large.id.len != body.len() => false,
            Self::Large(large) => {
                let state = large.state();
                if state.is_dropped { large.id == TextId::new(body) } else { state.text == body }
            }
        }
    }

    /// Returns whether both are or were equal. Compares a hash of large ones.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Large(one), Self::Large(other)) => one.id == other.id,
            (Self::Small { text, .. }, large) | (large, Self::Small { text, .. }) => large.is(text),
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
        let bytes = self.kept_bytes().saturating_add(extra);
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
        let may_be_dropped = is_running || bytes > MAX_SMALL_RESULT_BYTES;
        if may_be_dropped && bytes > limit.max_bytes() {
            // Other texts would be dropped in vain.
            self.drop_now(job);
        }
        // This may drop this text, if it is the largest.
        limit.enforce();
        if may_be_dropped && limit.is_exceeded() {
            self.drop_now(job);
        }
        self.is_dropped()
    }

    /// Returns how many bytes the text takes, with the summary of a large one.
    fn kept_bytes(&self) -> usize {
        match self {
            Self::Small { text, .. } => text.len(),
            Self::Large(large) => large.id.len.saturating_add(large.summary.text.len()),
        }
    }

    /// Drops the text, unless its summary is as long.
    fn drop_now(&mut self, job: &Job) {
        if let Self::Small { text, share } = self {
            let large = LargeText::new(text.clone(), share.take(), Summary::new(job));
            *self = Self::Large(Arc::new(large));
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
            failure_summary: job.failure_summary().map(Box::new),
            inconsistencies: job.inconsistencies().into_iter().take(MAX_INCONSISTENCIES).collect(),
        }
    }
}

impl LargeText {
    fn new(text: Bytes, share: Option<MemoryShare>, summary: Summary) -> Self {
        let id = TextId::new(&text);
        let state = Mutex::new(State { text, share, is_dropped: false });
        Self { state, id, summary, droppable: OnceLock::new() }
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
    /// Drops the text, unless its summary is as long.
    fn drop_text(&self) {
        let mut state = self.state();
        if state.is_dropped || self.summary.text.len() >= self.id.len {
            return;
        }
        state.is_dropped = true;
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

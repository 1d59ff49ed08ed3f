//! A snapshot of a job: its JSON text, a digest, and its deviations.

mod text;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use job_model::{
    DecodeError, Decoded, Deviation, Failure, FailureSummary, Inconsistency, Job, Phase,
    decode::Limits,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use self::text::Text;
use super::digest::JobDigest;
use crate::transport::{MemoryLimit, off_thread};

/// A job as it was read: its JSON text, a digest, and the deviations of its body.
///
/// A snapshot is cheap to clone, because clones share their content. [`job`](Self::job) decodes the
/// job at most once. A wait keeps the text and the digest of its last reading. It does not keep the
/// decoded job, which needs several times as much memory. If many large texts exceed a
/// [`MemoryLimit`], some are dropped ([`is_truncated`](Self::is_truncated)).
///
/// Two snapshots are equal if their texts are equal, byte for byte. In any serde format a snapshot
/// is serialized as its text.
///
/// # Examples
///
/// ```
/// use job_transport::JobSnapshot;
///
/// let snapshot = JobSnapshot::from_slice(br#"{"status": {"phase": "Running"}}"#)?;
/// assert_eq!(snapshot.digest().phase().map(|phase| phase.as_str()), Some("Running"));
/// assert_eq!(snapshot.job().phase(), snapshot.digest().phase());
/// # Ok::<(), job_model::DecodeError>(())
/// ```
#[derive(Clone)]
pub struct JobSnapshot(Arc<Inner>);

struct Inner {
    text: Text,
    digest: JobDigest,
    /// `None` if there are no deviations, which is the usual case.
    deviations: Option<Box<Deviations>>,
    /// Whether the text can be decoded again. It cannot if the job was built in memory and is
    /// nested too deeply.
    can_decode_again: bool,
    job: OnceLock<Box<Job>>,
}

/// A list behind a pointer of 8 bytes. A pointer to a slice would need 16 bytes.
#[derive(Clone)]
struct Deviations(Vec<Deviation>);

/// The limits for decoding a text again. It was accepted once, perhaps under higher limits than the
/// default.
const UNLIMITED: Limits = Limits::new().max_depth(Limits::MAX_DEPTH_CAP).max_sub_jobs(u32::MAX);

/// Limits for a text that was stored, and that may have been changed since. More sub-jobs would
/// take many times the size of their text, which may be a few bytes for each.
const STORED: Limits = UNLIMITED.max_sub_jobs(100_000);

impl JobSnapshot {
    /// Decodes a body within the default [`Limits`] and keeps a copy of it.
    ///
    /// # Errors
    ///
    /// Returns an error if the body is not a readable job; see [`Decoded::from_slice`].
    pub fn from_slice(body: &[u8]) -> Result<Self, DecodeError> {
        Self::from_bytes(Bytes::copy_from_slice(body))
    }

    /// Decodes a body within the default [`Limits`] and keeps it.
    ///
    /// # Errors
    ///
    /// Returns an error if the body is not a readable job; see [`Decoded::from_slice`].
    pub fn from_bytes(body: Bytes) -> Result<Self, DecodeError> {
        Self::from_bytes_with_limits(body, Limits::default())
    }

    fn from_bytes_with_limits(body: Bytes, limits: Limits) -> Result<Self, DecodeError> {
        let Decoded { job, deviations, .. } = Decoded::from_slice_with_limits(&body, limits)?;
        Ok(Self::new(body, job, deviations, true))
    }

    fn new(text: Bytes, job: Job, deviations: Vec<Deviation>, can_decode_again: bool) -> Self {
        Self(Arc::new(Inner {
            text: Text::new(text, &job),
            digest: JobDigest::new(&job),
            deviations: Deviations::boxed(deviations),
            can_decode_again,
            job: OnceLock::from(Box::new(job)),
        }))
    }

    /// Counts the snapshot toward a memory limit until it is dropped.
    ///
    /// If the limit is exceeded, larger texts of running jobs are dropped, or this one. Has no
    /// effect if the snapshot counts toward a limit already, if it is shared, because then its other
    /// owner keeps the memory, or if the job is not decoded.
    pub fn count_toward(&mut self, limit: &MemoryLimit) {
        let Some(inner) = Arc::get_mut(&mut self.0) else { return };
        let Some(job) = inner.job.take() else { return };
        let has_ended = inner.digest.is_terminal();
        // The result of a wait keeps the decoded job. A running job is decoded only for a moment.
        let decoded = if has_ended { estimated_job_size(&inner.text.get()) } else { 0 };
        let deviations = inner.deviations.as_ref().map_or(0, |list| list.memory());
        if !inner.text.count_toward(limit, &job, !has_ended, decoded + deviations) {
            inner.job = OnceLock::from(job);
        }
    }

    /// Returns whether the text was dropped because of a [`MemoryLimit`].
    ///
    /// The text is then a summary ([`Job::summary`]), and so is the job unless it was decoded
    /// before: it has the phase, the times and the reason, and no sub-jobs. The digest, the
    /// deviations, [`failure`](Self::failure), [`failure_summary`](Self::failure_summary) and
    /// [`inconsistencies`](Self::inconsistencies) still describe the whole job.
    ///
    /// Serialization keeps only the summary, so a deserialized snapshot is not truncated.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.0.text.is_dropped()
    }

    /// Returns where and why the job failed, as [`Job::failure`] does, even if the text was
    /// dropped.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let whole = self.job().failure();
        // The text may have been dropped before the job was decoded.
        self.0.text.summary().map_or(whole, |summary| summary.failure.as_deref().cloned())
    }

    /// Returns how many steps of the job failed and why, as [`Job::failure_summary`] does.
    ///
    /// Describes the whole job, even if the text was dropped.
    #[must_use]
    pub fn failure_summary(&self) -> Option<FailureSummary> {
        let whole = self.job().failure_summary();
        // The text may have been dropped before the job was decoded.
        let summary = self.0.text.summary();
        summary.map_or(whole, |summary| summary.failure_summary.as_deref().cloned())
    }

    /// Returns the contradictions between the job and its sub-jobs, as [`Job::inconsistencies`]
    /// does. If the text was dropped, returns the first 20.
    #[must_use]
    pub fn inconsistencies(&self) -> Vec<Inconsistency> {
        let whole = self.job().inconsistencies();
        self.0.text.summary().map_or(whole, |summary| summary.inconsistencies.to_vec())
    }

    /// Returns whether the text equals `body`, byte for byte. If the text was dropped, compares its
    /// length and a hash.
    #[must_use]
    pub fn has_text(&self, body: &[u8]) -> bool {
        self.0.text.is(body)
    }

    /// Decodes the job if it is not in memory, so that [`job`](Self::job) returns at once.
    ///
    /// With the feature `tokio`, a text of more than 256 KiB is decoded on a thread for blocking
    /// work, one text per core at a time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn decode(&self) {
        if self.is_decoded() {
            return;
        }
        let snapshot = self.clone();
        off_thread(self.text().len(), move || {
            let _ = snapshot.job();
        })
        .await;
    }

    /// Returns the job. Decodes the text if the decoded job was dropped.
    #[must_use]
    pub fn job(&self) -> &Job {
        self.0.job.get_or_init(|| self.0.decode())
    }

    /// Returns the job. Decodes or clones it if the snapshot is shared.
    #[must_use]
    pub fn into_job(mut self) -> Box<Job> {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            return inner.job.take().unwrap_or_else(|| inner.decode());
        }
        self.0.job.get().cloned().unwrap_or_else(|| self.0.decode())
    }

    /// Returns the job, and the snapshot without it. Decodes or clones the job if the snapshot is
    /// shared.
    #[must_use]
    pub fn into_parts(mut self) -> (Box<Job>, Self) {
        let taken = match Arc::get_mut(&mut self.0) {
            Some(inner) if inner.can_decode_again => inner.job.take(),
            _ => self.0.job.get().cloned(),
        };
        let job = taken.unwrap_or_else(|| self.0.decode());
        (job, self.without_job())
    }

    /// Returns the digest, without decoding the job.
    #[must_use]
    pub fn digest(&self) -> &JobDigest {
        &self.0.digest
    }

    /// Returns the JSON text. If the job was read from a reply, this is the body, byte for byte,
    /// unless the snapshot [is truncated](Self::is_truncated).
    #[must_use]
    pub fn text(&self) -> Bytes {
        self.0.text.get()
    }

    /// Returns the deviations of the body from the reference page, at most 1,000.
    #[must_use]
    pub fn deviations(&self) -> &[Deviation] {
        self.0.deviations.as_ref().map(|list| &*list.0).unwrap_or_default()
    }

    /// Returns whether the decoded job is in memory.
    #[must_use]
    pub fn is_decoded(&self) -> bool {
        self.0.job.get().is_some()
    }

    /// Drops the decoded job and keeps the rest.
    ///
    /// Other clones keep the decoded job. A job that was built in memory and is nested deeper than
    /// [`Limits::MAX_DEPTH_CAP`] is kept, because its text cannot be decoded again.
    #[must_use]
    pub fn without_job(mut self) -> Self {
        if !self.is_decoded() || !self.0.can_decode_again {
            return self;
        }
        match Arc::get_mut(&mut self.0) {
            Some(inner) => inner.job = OnceLock::new(),
            None => {
                let Inner { text, digest, deviations, can_decode_again, .. } = &*self.0;
                self.0 = Arc::new(Inner {
                    text: text.share(),
                    digest: digest.clone(),
                    deviations: deviations.clone(),
                    can_decode_again: *can_decode_again,
                    job: OnceLock::new(),
                });
            }
        }
        self
    }
}

impl Deviations {
    /// Returns about how many bytes the list takes.
    fn memory(&self) -> usize {
        self.0.iter().map(|deviation| size_of::<Deviation>() + deviation.path.capacity()).sum()
    }

    fn boxed(deviations: Vec<Deviation>) -> Option<Box<Self>> {
        (!deviations.is_empty()).then(|| Box::new(Self(deviations)))
    }
}

impl Inner {
    /// Decodes the text. This cannot fail, because the text was decoded before.
    fn decode(&self) -> Box<Job> {
        let decoded = Decoded::from_slice_with_limits(&self.text.get(), UNLIMITED);
        Box::new(decoded.map_or_else(|_| Job::default(), |decoded| decoded.job))
    }
}

/// Creates a snapshot of a job that was not read from a text. Its text is the encoded job.
impl From<Job> for JobSnapshot {
    fn from(job: Job) -> Self {
        // Encoding a job to memory cannot fail.
        let text = serde_json::to_vec(&job).unwrap_or_default();
        let decoded = Decoded::from_slice_with_limits(&text, UNLIMITED);
        let can_decode_again = decoded.is_ok();
        let deviations = decoded.map(|decoded| decoded.deviations).unwrap_or_default();
        Self::new(text.into(), job, deviations, can_decode_again)
    }
}

/// Returns about how many bytes the decoded job of a text takes, rather too many than too few.
fn estimated_job_size(text: &[u8]) -> usize {
    /// A field: its name, its value, and their allocations.
    const FIELD: usize = 160;
    /// An object that is decoded as a job.
    const OBJECT: usize = 512;
    let (mut size, mut in_string, mut is_escaped) = (0, false, false);
    for byte in text {
        size += match byte {
            b':' if !in_string => FIELD,
            b'{' if !in_string => OBJECT,
            _ => 1,
        };
        in_string ^= *byte == b'"' && !is_escaped;
        is_escaped = in_string && *byte == b'\\' && !is_escaped;
    }
    size
}

impl PartialEq for JobSnapshot {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.text.same_as(&other.0.text)
    }
}

impl Eq for JobSnapshot {}

/// Shows the phase and the size. Omits the text, which may have thousands of lines.
impl fmt::Debug for JobSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = self.digest().phase().map_or("no phase", Phase::as_str);
        let mut debug = f.debug_struct("JobSnapshot");
        debug.field("phase", &phase).field("bytes", &self.text().len());
        if self.is_truncated() {
            debug.field("truncated", &true);
        }
        debug.finish_non_exhaustive()
    }
}

impl Serialize for JobSnapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&String::from_utf8_lossy(&self.text()))
    }
}

/// Decodes the text to validate it, and drops the decoded job. Fails if the text has more than
/// 100,000 sub-jobs.
impl<'de> Deserialize<'de> for JobSnapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let snapshot = Self::from_bytes_with_limits(text.into(), STORED);
        snapshot.map(Self::without_job).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;

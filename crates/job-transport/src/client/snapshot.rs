//! A snapshot of a job: its JSON text, a digest, and its deviations.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use job_model::{DecodeError, Decoded, Deviation, Job, Limits, Phase};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::digest::JobDigest;

/// A job as it was read: its JSON text, a digest, and the deviations of its body.
///
/// A snapshot is cheap to clone, because clones share their content. [`job`](Self::job) decodes the
/// job at most once. A wait keeps the text and the digest of its last reading. It does not keep the
/// decoded job, which needs several times as much memory.
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
    text: Box<[u8]>,
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
        Self::from_slice_with_limits(body, Limits::default())
    }

    fn from_slice_with_limits(body: &[u8], limits: Limits) -> Result<Self, DecodeError> {
        let Decoded { job, deviations, .. } = Decoded::from_slice_with_limits(body, limits)?;
        Ok(Self(Arc::new(Inner {
            text: body.into(),
            digest: JobDigest::new(&job),
            deviations: Deviations::boxed(deviations),
            can_decode_again: true,
            job: OnceLock::from(Box::new(job)),
        })))
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

    /// Returns the JSON text. If the job was read from a reply, this is the body, byte for byte.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.0.text
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
                    text: text.clone(),
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
    fn boxed(deviations: Vec<Deviation>) -> Option<Box<Self>> {
        (!deviations.is_empty()).then(|| Box::new(Self(deviations)))
    }
}

impl Inner {
    /// Decodes the text. This cannot fail, because the text was decoded before.
    fn decode(&self) -> Box<Job> {
        let decoded = Decoded::from_slice_with_limits(&self.text, UNLIMITED);
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
        Self(Arc::new(Inner {
            text: text.into(),
            digest: JobDigest::new(&job),
            deviations: Deviations::boxed(deviations),
            can_decode_again,
            job: OnceLock::from(Box::new(job)),
        }))
    }
}

impl PartialEq for JobSnapshot {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.text == other.0.text
    }
}

impl Eq for JobSnapshot {}

/// Shows the phase and the size. Omits the text, which may have thousands of lines.
impl fmt::Debug for JobSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = self.digest().phase().map_or("no phase", Phase::as_str);
        f.debug_struct("JobSnapshot")
            .field("phase", &phase)
            .field("bytes", &self.text().len())
            .finish_non_exhaustive()
    }
}

impl Serialize for JobSnapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&String::from_utf8_lossy(self.text()))
    }
}

/// Decodes the text to validate it, and drops the decoded job. Fails if the text has more than
/// 100,000 sub-jobs.
impl<'de> Deserialize<'de> for JobSnapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let snapshot = Self::from_slice_with_limits(text.as_bytes(), STORED);
        snapshot.map(Self::without_job).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;

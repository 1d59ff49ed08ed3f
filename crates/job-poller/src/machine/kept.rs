//! A job as it is stored between two readings: the JSON text that it came as, which takes a fraction of the memory
//! of its fields.

use bytes::Bytes;
use job_model::{DecodeError, Decoded, Job, Limits};
use job_transport::Reading;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A job that was read, and the JSON text that it came as. In any format of serde it is that text.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSnapshot {
    pub(crate) job: Box<Job>,
    pub(crate) text: Bytes,
}

/// A job's JSON text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredText(Box<[u8]>);

/// What a source of the caller's own may have read, too.
const UNLIMITED: Limits = Limits::new().max_depth(Limits::MAX_DEPTH_CAP).max_sub_jobs(u32::MAX);

impl JobSnapshot {
    /// Returns the job.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.job
    }
}

/// Takes a job that came as no text.
impl From<Box<Job>> for JobSnapshot {
    fn from(job: Box<Job>) -> Self {
        // Writing one to a text has nothing that fails.
        let text = serde_json::to_vec(&job).unwrap_or_default().into();
        Self { job, text }
    }
}

impl From<Reading> for JobSnapshot {
    fn from(Reading { job, body, .. }: Reading) -> Self {
        let job = Box::new(job);
        if body.is_empty() { job.into() } else { Self { job, text: body } }
    }
}

impl StoredText {
    pub(crate) fn from_snapshot(snapshot: &JobSnapshot) -> Self {
        // A copy: what the text is part of may be larger.
        Self((*snapshot.text).into())
    }

    /// Whether a reply was this to the letter.
    pub(crate) fn same_bytes(&self, snapshot: &JobSnapshot) -> bool {
        *self.0 == *snapshot.text
    }

    /// Returns the job; `None` where it is one that nobody could read again.
    pub(crate) fn job(&self) -> Option<Box<Job>> {
        decode_unlimited(&self.0).ok()
    }
}

fn decode_unlimited(text: &[u8]) -> Result<Box<Job>, DecodeError> {
    Decoded::from_slice_with_limits(text, UNLIMITED).map(|decoded| Box::new(decoded.job))
}

impl Serialize for JobSnapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&String::from_utf8_lossy(&self.text))
    }
}

impl<'de> Deserialize<'de> for JobSnapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let job = decode_unlimited(text.as_bytes()).map_err(D::Error::custom)?;
        Ok(Self { job, text: text.into() })
    }
}

impl Serialize for StoredText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&String::from_utf8_lossy(&self.0))
    }
}

impl<'de> Deserialize<'de> for StoredText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        JobSnapshot::deserialize(deserializer).map(|snapshot| Self::from_snapshot(&snapshot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_snapshots_keep_the_original_body() {
        let body = r#"{"metadata": {"uid": "a", "updateTimestamp": "2020-02-02T08:12:40Z"},
            "spec": {"subJobs": [{"other": 1.10},]}}"#;
        let reply = http::Response::new(Bytes::from(body));
        let snapshot = JobSnapshot::from(Reading::from_response(reply).unwrap());
        let stored = StoredText::from_snapshot(&snapshot);
        assert!(stored.same_bytes(&snapshot) && stored.job().as_ref() == Some(&snapshot.job));
        // The same job in other words is not the same text, and no other job.
        let again = JobSnapshot::from(snapshot.job.clone());
        assert!(
            !stored.same_bytes(&again)
                && StoredText::from_snapshot(&again).job().as_ref() == Some(&snapshot.job)
        );
        for (text, expected) in
            [(serde_json::to_string(&stored), body), (serde_json::to_string(&snapshot), body)]
        {
            let text = text.unwrap();
            assert_eq!(serde_json::from_str::<String>(&text).unwrap(), expected);
            assert_eq!(serde_json::from_str::<StoredText>(&text).unwrap(), stored);
            assert_eq!(serde_json::from_str::<JobSnapshot>(&text).unwrap(), snapshot);
        }
        let error = serde_json::from_str::<StoredText>(r#""[]""#).unwrap_err().to_string();
        assert!(error.starts_with("the body is no JSON object"), "{error}");
    }
}

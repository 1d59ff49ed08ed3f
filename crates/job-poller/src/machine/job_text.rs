//! Serializes a job as JSON text in any serde format, for `#[serde(with)]`. The job contains raw
//! JSON values, which other formats cannot represent.

use std::sync::Arc;

use job_model::Job;
use serde::{Deserialize, Deserializer, Serializer, ser::Error as _};

use job_transport::JobSnapshot;

pub(crate) fn serialize<S: Serializer>(job: &Job, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&serde_json::to_string(job).map_err(S::Error::custom)?)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Arc<Job>, D::Error> {
    JobSnapshot::deserialize(deserializer).map(|snapshot| snapshot.into_job().into())
}

//! A job as JSON text within any format of serde: its own fields have JSON texts in them, which other
//! formats cannot carry. For `#[serde(with)]`.

use job_model::{Decoded, Job, Limits};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::Error as _};

pub(crate) fn serialize<S: Serializer>(job: &Job, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&serde_json::to_string(job).map_err(S::Error::custom)?)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Box<Job>, D::Error> {
    read(&String::deserialize(deserializer)?)
}

fn read<E: serde::de::Error>(text: &str) -> Result<Box<Job>, E> {
    let job = Decoded::from_slice_within(text.as_bytes(), WIDEST).map(|decoded| decoded.job);
    job.map(Box::new).map_err(E::custom)
}

/// What a source of the caller's own may have read, too.
const WIDEST: Limits = Limits::new().levels(Limits::MAX_LEVELS).sub_jobs(u32::MAX);

/// The same for a job that may be absent.
pub(crate) mod option {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        job: &Option<Box<Job>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = job.as_deref().map(serde_json::to_string).transpose();
        text.map_err(S::Error::custom)?.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Box<Job>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| read(&text)).transpose()
    }
}

//! The fields of new deviations in the serialized form of an event.

use job_model::{Deviation, decode::DeviationKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The first deviation, and the others in a list that is omitted if it is empty.
#[derive(Serialize, Deserialize)]
struct Fields {
    path: Option<String>,
    kind: Option<DeviationKind>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    more: Vec<Deviation>,
}

pub(super) fn serialize<S: Serializer>(
    deviations: &[Deviation],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let (first, more) = match deviations {
        [] => (None, Vec::new()),
        [first, more @ ..] => (Some(first.clone()), more.to_vec()),
    };
    let (path, kind) = first.map(|first| (first.path, first.kind)).unzip();
    Fields { path, kind, more }.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Deviation>, D::Error> {
    let Fields { path, kind, more } = Fields::deserialize(deserializer)?;
    let first = path.zip(kind).map(|(path, kind)| Deviation::new(path, kind));
    Ok(first.into_iter().chain(more).collect())
}

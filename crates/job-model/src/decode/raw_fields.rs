//! Stores the fields of an object that are kept as JSON text.

use alloc::{string::String, vec::Vec};

use super::json::Json;

/// Fields kept as JSON text: unknown fields, and known fields with unexpected values.
///
/// A known field is kept if the struct cannot represent its value exactly, for example because it
/// has another type or spelling than the reference page shows.
///
/// Raw fields are encoded with the others, byte for byte, so that nothing is lost between decoding
/// and encoding. A value that is set in the struct takes precedence over a raw field of the same
/// name.
///
/// ```
/// let body = br#"{"status": {"phase": "Running", "progress": 1.10}}"#;
/// let job = job_model::Job::from_slice(body)?;
/// let status = job.status.expect("it is there");
/// assert_eq!(status.raw_fields.get("progress"), Some("1.10"));
/// # Ok::<(), job_model::DecodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RawFields(Raw);

#[derive(Clone, Debug, PartialEq)]
enum Raw {
    Fields(Vec<(String, Json)>),
    /// The value that was sent instead of the whole object.
    Value(Json),
}

impl RawFields {
    /// Returns the JSON text of the field `name`. If there are several, returns the first.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name).map(Json::as_str)
    }

    /// Returns the fields as (name, JSON text) pairs, in their original order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries().map(|(name, json)| (name, json.as_str()))
    }

    /// Returns `true` if there are no raw fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries().next().is_none()
    }

    /// Removes all fields with this name, so that they are no longer encoded.
    pub fn remove(&mut self, name: &str) {
        if let Raw::Fields(fields) = &mut self.0 {
            fields.retain(|(known, _)| known != name);
        }
    }

    /// Keeps the value that was sent instead of the whole object.
    pub(crate) const fn from_whole_value(json: Json) -> Self {
        Self(Raw::Value(json))
    }

    pub(crate) const fn whole_value(&self) -> Option<&Json> {
        match &self.0 {
            Raw::Fields(_) => None,
            Raw::Value(json) => Some(json),
        }
    }

    pub(crate) fn push(&mut self, name: String, json: Json) {
        match &mut self.0 {
            Raw::Fields(fields) => fields.push((name, json)),
            Raw::Value(_) => self.0 = Raw::Fields([(name, json)].into()),
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Json> {
        self.entries().find_map(|(known, json)| (known == name).then_some(json))
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Json)> {
        let fields = match &self.0 {
            Raw::Fields(fields) => &**fields,
            Raw::Value(_) => &[],
        };
        fields.iter().map(|(name, json)| (&**name, json))
    }
}

impl Default for RawFields {
    fn default() -> Self {
        Self(Raw::Fields(Vec::new()))
    }
}

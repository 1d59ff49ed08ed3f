//! The fields of an object that are kept as JSON text. Reads no meaning.

use alloc::{string::String, vec::Vec};

use super::json::Json;

/// The fields that a struct has no other place for, each as the JSON text it came as: those the
/// reference page does not know, and those whose value is of another type or spelling than there.
///
/// They are encoded again with the others, line breaks and all, so that nothing is lost on the way
/// through. A field of the struct that is set goes before one kept here.
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
    /// What came in place of the whole object.
    Value(Json),
}

impl RawFields {
    /// Returns the JSON text of the field of this name, of the first where several have it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name).map(Json::as_str)
    }

    /// Returns the fields as (name, JSON text), in the order they came in.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries().map(|(name, json)| (name, json.as_str()))
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries().next().is_none()
    }

    /// Removes the fields of this name; they are not written any more.
    pub fn remove(&mut self, name: &str) {
        if let Raw::Fields(fields) = &mut self.0 {
            fields.retain(|(known, _)| known != name);
        }
    }

    /// Keeps the value that stands in place of the whole object.
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

//! Stores the fields of an object that are kept as JSON text.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

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
#[derive(Clone, Default, PartialEq)]
pub struct RawFields(Option<Box<Raw>>);

#[derive(Clone, PartialEq)]
enum Raw {
    /// At least one field.
    Fields(Fields),
    /// The value that was sent instead of the whole object.
    Value(Box<str>),
}

/// The fields in one text, because a body of 8 MiB can have more than a million of them.
#[derive(Clone, Default, PartialEq)]
struct Fields {
    /// The name and the JSON text of each field, one after another.
    text: String,
    /// Where each field ends.
    ends: Vec<FieldEnd>,
}

#[derive(Clone, Copy, PartialEq)]
struct FieldEnd {
    name: usize,
    json: usize,
}

impl Fields {
    fn push(&mut self, name: &str, json: Json<'_>) {
        self.text.push_str(name);
        let name = self.text.len();
        self.text.push_str(json.as_str());
        self.ends.push(FieldEnd { name, json: self.text.len() });
    }

    fn iter(&self) -> impl Iterator<Item = (&str, Json<'_>)> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let name = &self.text[start..end.name];
            start = end.json;
            (name, Json::from_valid(&self.text[end.name..end.json]))
        })
    }
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
        if self.find(name).is_some() {
            let mut kept = Self::default();
            let others = self.entries().filter(|(known, _)| *known != name);
            others.for_each(|(name, json)| kept.push(name, json));
            *self = kept;
        }
    }

    /// Keeps the value that was sent instead of the whole object.
    pub(crate) fn from_whole_value(json: Box<str>) -> Self {
        Self(Some(Box::new(Raw::Value(json))))
    }

    pub(crate) fn whole_value(&self) -> Option<Json<'_>> {
        match self.0.as_deref() {
            Some(Raw::Value(json)) => Some(Json::from_valid(json)),
            Some(Raw::Fields(_)) | None => None,
        }
    }

    pub(crate) fn push(&mut self, name: &str, json: Json<'_>) {
        if let Some(Raw::Fields(fields)) = self.0.as_deref_mut() {
            fields.push(name, json);
        } else {
            let mut fields = Fields::default();
            fields.push(name, json);
            self.0 = Some(Box::new(Raw::Fields(fields)));
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Json<'_>> {
        self.entries().find_map(|(known, json)| (known == name).then_some(json))
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, Json<'_>)> {
        let fields = match self.0.as_deref() {
            Some(Raw::Fields(fields)) => Some(fields),
            Some(Raw::Value(_)) | None => None,
        };
        fields.into_iter().flat_map(Fields::iter)
    }
}

/// Shows the fields as a map from name to JSON text.
impl fmt::Debug for RawFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.whole_value() {
            Some(json) => f.debug_tuple("RawFields").field(&json.as_str()).finish(),
            None => f.debug_map().entries(self.iter()).finish(),
        }
    }
}

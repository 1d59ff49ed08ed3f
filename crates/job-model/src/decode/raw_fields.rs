//! Stores the fields of an object that are kept as JSON text.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

use super::json::Json;
use crate::printable::Escaped;

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
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct RawFields(Option<Box<Raw>>);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Raw {
    /// At least one field.
    Fields(Fields),
    /// The value that was sent instead of the whole object.
    Value(Box<str>),
}

/// The fields in one text, because a body of 8 MiB can have more than a million of them.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Fields {
    /// The name and the JSON text of each field, one after another.
    text: String,
    /// Where each field ends.
    ends: Vec<FieldEnd>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
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

    /// Sets the field `name` to a JSON text. Fields that have this name are replaced.
    ///
    /// The text is encoded as it is, without the white space around it. Use this for unknown fields.
    /// For a known field, set the struct's field: a raw text that differs from it is not encoded. A
    /// sub-job that was not an object becomes one.
    ///
    /// The work is linear in the number and the size of the fields that are set already.
    ///
    /// ```
    /// let mut job = job_model::Job::new();
    /// job.raw_fields.insert("priority", " 1.10 ")?;
    /// assert_eq!(serde_json::to_string(&job).unwrap(), r#"{"priority":1.10}"#);
    ///
    /// let error = job.raw_fields.insert("priority", "high").unwrap_err();
    /// assert_eq!(error.to_string(), "the field `priority` cannot be set");
    /// # Ok::<(), job_model::decode::RawFieldError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not valid JSON. The fields are then unchanged.
    pub fn insert(&mut self, name: &str, json: &str) -> Result<(), RawFieldError> {
        let json: &RawValue =
            serde_json::from_str(json).map_err(|error| RawFieldError::new(name, error))?;
        self.remove(name);
        self.push(name, Json::from_valid(json.get()));
        Ok(())
    }

    /// Sets the field `name` to a value, like [`RawFields::insert`].
    ///
    /// ```
    /// let mut job = job_model::Job::new();
    /// job.raw_fields.insert_value("labels", &["a", "b"])?;
    /// assert_eq!(job.raw_fields.get("labels"), Some(r#"["a","b"]"#));
    /// # Ok::<(), job_model::decode::RawFieldError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be serialized as JSON. The fields are then unchanged.
    pub fn insert_value<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), RawFieldError> {
        let json = serde_json::to_string(value);
        self.insert(name, &json.map_err(|error| RawFieldError::new(name, error))?)
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

    /// Returns the names and sizes of the fields, to be printed instead of their text.
    pub(crate) const fn sizes(&self) -> FieldSizes<'_> {
        FieldSizes(self)
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

/// Shows the name and the size of each field.
pub(crate) struct FieldSizes<'a>(&'a RawFields);

impl fmt::Debug for FieldSizes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, json) in self.0.iter() {
            map.entry(&name, &format_args!("{} bytes", json.len()));
        }
        map.finish()
    }
}

/// Why a raw field could not be set. The source is the error of `serde_json`.
#[derive(Debug)]
pub struct RawFieldError {
    name: String,
    source: serde_json::Error,
}

impl RawFieldError {
    fn new(name: &str, source: serde_json::Error) -> Self {
        Self { name: name.into(), source }
    }

    /// Returns the name of the field.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for RawFieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the field `{}` cannot be set", Escaped(&self.name))
    }
}

impl core::error::Error for RawFieldError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use core::error::Error;

    use super::*;
    use crate::job::Job;

    #[test]
    fn inserted_fields_are_valid_json_and_replace_others() {
        let mut job = Job::from_slice(br#"{"a": 1, "b": 2, "a": 3}"#).unwrap();
        let rows: [(&str, Result<&str, &str>); 8] = [
            ("[1, 2]", Ok(r#"{"b":2,"a":[1, 2]}"#)),
            ("\t-1.50e3\n", Ok(r#"{"b":2,"a":-1.50e3}"#)),
            (r#""\ud800""#, Ok(r#"{"b":2,"a":"\ud800"}"#)),
            ("null", Ok(r#"{"b":2,"a":null}"#)),
            ("", Err("EOF while parsing a value at line 1 column 0")),
            ("{\"a\": 1,}", Err("key must be a string at line 1 column 9")),
            ("1 2", Err("trailing characters at line 1 column 3")),
            ("01", Err("invalid number at line 1 column 2")),
        ];
        for (json, expected) in rows {
            let before = job.clone();
            match (job.raw_fields.insert("a", json), expected) {
                (Ok(()), Ok(expected)) => {
                    let encoded = serde_json::to_string(&job).unwrap();
                    assert_eq!(encoded, expected);
                    assert_eq!(Job::from_slice(encoded.as_bytes()).unwrap(), job);
                }
                (Err(error), Err(expected)) => {
                    assert_eq!(error.source().unwrap().to_string(), expected);
                    assert_eq!((error.name(), &job), ("a", &before));
                }
                (result, _) => panic!("{json}: {result:?}"),
            }
        }
    }

    #[test]
    fn values_that_are_not_json_are_not_inserted() {
        let mut fields = RawFields::default();
        let pairs = alloc::collections::BTreeMap::from([((1, 2), 3)]);
        let error = fields.insert_value("a\u{1b}", &pairs).unwrap_err();
        assert_eq!(error.to_string(), r"the field `a\u{1b}` cannot be set");
        assert_eq!(error.source().unwrap().to_string(), "key must be a string");
        assert!(fields.is_empty());
    }

    #[test]
    fn an_element_that_is_not_an_object_becomes_one() {
        let body = br#"{"spec": {"subJobs": [7]}}"#;
        let mut job = Job::from_slice(body).unwrap().sub_jobs()[0].clone();
        job.raw_fields.insert("a", "1").unwrap();
        assert_eq!(serde_json::to_string(&job).unwrap(), r#"{"a":1}"#);
    }
}

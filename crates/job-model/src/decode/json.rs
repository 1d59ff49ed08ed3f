//! Handles JSON as text: writes values, and decodes strings.

use alloc::string::String;
use core::{any::type_name, fmt, str};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor, ser::Error};
use serde_json::value::RawValue;

use super::values::Value;

/// A value as JSON text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// Takes a text that is valid JSON, without white space around it.
    pub(crate) const fn from_valid(json: &'a str) -> Self {
        Self(json)
    }

    pub(crate) const fn as_str(self) -> &'a str {
        self.0
    }
}

/// How JSON text that was kept is serialized.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    /// Unchanged, as a part of a JSON document.
    Unchanged,
    /// As values of serde's data model.
    Values,
}

impl Form {
    /// Returns the form for a type of serializer.
    ///
    /// `serde_json` accepts JSON text as a struct with a private name. Other serializers would
    /// write that name. A serializer cannot be asked for its format, but all serializers of
    /// `serde_json` have the same type of error, and wrappers, such as the one of serde's
    /// `flatten`, have it, too. The names of the types are compared because a `TypeId` exists only
    /// for types without borrowed data.
    pub(crate) fn for_serializer<S: Serializer>() -> Self {
        if type_name::<S::Error>() == type_name::<serde_json::Error>() {
            Self::Unchanged
        } else {
            Self::Values
        }
    }
}

/// A value to be serialized in a given form.
pub(crate) struct Formed<T>(pub(crate) T, pub(crate) Form);

impl Serialize for Formed<Json<'_>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(Json(json), form) = *self;
        match form {
            Form::Unchanged => {
                let json = serde_json::from_str::<&RawValue>(json).map_err(S::Error::custom)?;
                json.serialize(serializer)
            }
            Form::Values => Value::serialize_json(json, serializer),
        }
    }
}

/// A decoded string in which each lone surrogate is replaced by U+FFFD. JSON escapes can express
/// lone surrogates, but Rust strings cannot.
pub(crate) struct LossyString {
    pub(crate) text: String,
    pub(crate) has_lone_surrogates: bool,
}

impl<'de> Deserialize<'de> for LossyString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(LossyStringVisitor)
    }
}

/// Reads the string as bytes, because `serde_json` then passes lone surrogates on, each as three
/// bytes that start with 0xED.
struct LossyStringVisitor;

impl Visitor<'_> for LossyStringVisitor {
    type Value = LossyString;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<LossyString, E> {
        if let Ok(text) = str::from_utf8(bytes) {
            return Ok(LossyString { text: text.into(), has_lone_surrogates: false });
        }
        let mut text = String::with_capacity(bytes.len());
        let mut has_lone_surrogates = false;
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            if chunk.invalid().first() == Some(&0xED) {
                has_lone_surrogates = true;
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        Ok(LossyString { text, has_lone_surrogates })
    }
}

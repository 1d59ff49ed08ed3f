//! Handles JSON as text: stores values unchanged, and opens them one level at a time.

use alloc::{borrow::ToOwned, boxed::Box, string::String, vec::Vec};
use core::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// A value as JSON text. Two values are equal if their texts are.
#[derive(Clone, Debug)]
pub(crate) struct Json(Box<RawValue>);

impl Json {
    pub(crate) fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl From<&RawValue> for Json {
    fn from(json: &RawValue) -> Self {
        Self(json.to_owned())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer).map(Self)
    }
}

/// Reads a value, usually one level deep. Returns `None` if the value has another type.
pub(crate) fn read<'b, T: Deserialize<'b>>(json: &'b RawValue) -> Option<T> {
    serde_json::from_str(json.get()).ok()
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

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<LossyString, E> {
        if let Ok(text) = str::from_utf8(bytes) {
            return Ok(LossyString { text: text.into(), has_lone_surrogates: false });
        }
        let (mut text, mut has_lone_surrogates) = (String::new(), false);
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

/// An object's members in their original order, including duplicate names.
pub(crate) struct ObjectEntries<'b> {
    pub(crate) members: Vec<(String, &'b RawValue)>,
    /// Whether a name contains a lone surrogate.
    pub(crate) has_lone_surrogates: bool,
}

impl<'de: 'b, 'b> Deserialize<'de> for ObjectEntries<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectEntriesVisitor)
    }
}

struct ObjectEntriesVisitor;

impl<'de> Visitor<'de> for ObjectEntriesVisitor {
    type Value = ObjectEntries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ObjectEntries<'de>, A::Error> {
        let (mut members, mut has_lone_surrogates) = (Vec::new(), false);
        while let Some((name, json)) = map.next_entry::<LossyString, &RawValue>()? {
            has_lone_surrogates |= name.has_lone_surrogates;
            members.push((name.text, json));
        }
        Ok(ObjectEntries { members, has_lone_surrogates })
    }
}

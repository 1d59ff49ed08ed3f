//! Converts between JSON text and values of serde's data model, for formats other than JSON.

use alloc::{borrow::Cow, collections::BTreeMap, string::String, vec::Vec};
use core::{
    cmp::Ordering,
    fmt::{self, Write},
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
    ser,
};

use super::{
    cursor::{Cursor, Text},
    document::Document,
};

/// Maximum levels of nesting, as in `serde_json`. Deeper values are an error, because they are
/// converted recursively.
const MAX_DEPTH: u32 = 128;

/// A JSON value whose text was parsed.
#[derive(Debug, PartialEq)]
pub(crate) enum Value<'b> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'b, str>),
    Array(Vec<Self>),
    Object(Vec<(Cow<'b, str>, Self)>),
}

/// An error: a value is nested too deeply.
struct TooDeep;

impl fmt::Display for TooDeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value has more than {MAX_DEPTH} levels of nesting")
    }
}

impl<'b> Value<'b> {
    /// Serializes a valid JSON text as values.
    pub(crate) fn serialize_json<S: Serializer>(
        json: &str,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let (document, _) = Document::new(json.as_bytes(), &[]).map_err(ser::Error::custom)?;
        let value = Value::parse(&mut document.cursor(), 0).map_err(ser::Error::custom)?;
        value.serialize(serializer)
    }

    /// Parses the next value.
    fn parse(cursor: &mut Cursor<'b>, depth: u32) -> Result<Self, TooDeep> {
        let first = cursor.peek();
        if depth == MAX_DEPTH && matches!(first, Some(b'{' | b'[')) {
            return Err(TooDeep);
        }
        if cursor.enter(b'{') {
            let mut members = Vec::new();
            while let Some(Text { text: name, .. }) = cursor.next_name() {
                members.push((name, Self::parse(cursor, depth + 1)?));
            }
            return Ok(Self::Object(last_of_each_name(members)));
        }
        if cursor.enter(b'[') {
            let mut elements = Vec::new();
            while cursor.next_element() {
                elements.push(Self::parse(cursor, depth + 1)?);
            }
            return Ok(Self::Array(elements));
        }
        if let Some(Text { text, .. }) = cursor.text() {
            return Ok(Self::Text(text));
        }
        let text = cursor.json();
        Ok(match &*text {
            "null" => Self::Null,
            "true" => Self::Bool(true),
            "false" => Self::Bool(false),
            _ => Self::from_number(text),
        })
    }

    /// Returns an integer or a float. A number outside of their range becomes a string.
    fn from_number(text: Cow<'b, str>) -> Self {
        // Only a float has a negative zero.
        if let Some(integer) = text.parse().ok().filter(|_| text != "-0") {
            Self::Signed(integer)
        } else if let Ok(integer) = text.parse() {
            Self::Unsigned(integer)
        } else {
            match text.parse() {
                Ok(float) if f64::is_finite(float) => Self::Float(float),
                _ => Self::Text(text),
            }
        }
    }
}

/// Returns the members without those whose name is given again later.
pub(crate) fn last_of_each_name<N: Ord, T>(mut members: Vec<(N, T)>) -> Vec<(N, T)> {
    let is_last: Vec<bool> = {
        let names = members.iter().enumerate().map(|(index, (name, _))| (name, index));
        let last: BTreeMap<&N, usize> = names.clone().collect();
        match last.len().cmp(&members.len()) {
            Ordering::Less => names.map(|(name, index)| last[name] == index).collect(),
            _ => return members,
        }
    };
    let mut is_last = is_last.into_iter();
    members.retain(|_| is_last.next() == Some(true));
    members
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // Formats without a null, such as TOML, omit a member that is `None`.
            Self::Null => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Signed(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Array(elements) => serializer.collect_seq(elements),
            Self::Object(members) => {
                serializer.collect_map(members.iter().map(|(name, value)| (name, value)))
            }
        }
    }
}

/// Writes a value of any self-describing format as JSON text.
pub(crate) struct JsonWriter<'a> {
    json: &'a mut String,
    depth: u32,
}

impl<'a> JsonWriter<'a> {
    /// Appends the value to `json`.
    pub(crate) const fn new(json: &'a mut String) -> Self {
        Self { json, depth: 0 }
    }

    /// Writes an object whose first name was already read.
    pub(crate) fn write_map<'de, A: MapAccess<'de>>(
        self,
        mut name: Option<BorrowedText<'de>>,
        mut map: A,
    ) -> Result<(), A::Error> {
        let inner_depth = self.inner_depth()?;
        let Self { json, .. } = self;
        json.push('{');
        while let Some(BorrowedText(text)) = name {
            json.push_str(&to_json(&*text)?);
            json.push(':');
            map.next_value_seed(JsonWriter { json, depth: inner_depth })?;
            name = map.next_key()?;
            json.push_str(if name.is_some() { "," } else { "" });
        }
        json.push('}');
        Ok(())
    }

    fn inner_depth<E: de::Error>(&self) -> Result<u32, E> {
        if self.depth == MAX_DEPTH { Err(E::custom(TooDeep)) } else { Ok(self.depth + 1) }
    }

    fn display<E: de::Error>(self, value: impl fmt::Display) -> Result<(), E> {
        write!(self.json, "{value}").map_err(E::custom)
    }
}

fn to_json<T: Serialize + ?Sized, E: de::Error>(value: &T) -> Result<String, E> {
    serde_json::to_string(value).map_err(E::custom)
}

impl<'de> DeserializeSeed<'de> for JsonWriter<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonWriter<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON can express")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.display(value)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.display(value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.display(value)
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<(), E> {
        self.display(value)
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<(), E> {
        self.display(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        if value.is_finite() {
            self.display(to_json(&value)?)
        } else {
            Err(E::invalid_value(de::Unexpected::Float(value), &self))
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.display(to_json(text)?)
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.display("null")
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        self.deserialize(value)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        self.deserialize(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let inner_depth = self.inner_depth()?;
        let Self { json, .. } = self;
        json.push('[');
        let mut end = json.len();
        while elements.next_element_seed(JsonWriter { json, depth: inner_depth })?.is_some() {
            end = json.len();
            json.push(',');
        }
        // Removes the comma after the last element.
        json.truncate(end);
        json.push(']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let name = map.next_key()?;
        self.write_map(name, map)
    }
}

/// A string, such as the name of a member of an object, that is borrowed if possible.
pub(crate) struct BorrowedText<'de>(pub(crate) Cow<'de, str>);

impl<'de: 'a, 'a> Deserialize<'de> for BorrowedText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(BorrowedTextVisitor)
    }
}

struct BorrowedTextVisitor;

impl<'de> Visitor<'de> for BorrowedTextVisitor {
    type Value = BorrowedText<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string as the name of a field")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(BorrowedText(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(BorrowedText(Cow::Owned(text.into())))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(BorrowedText(Cow::Owned(text)))
    }
}

//! Implements the fast pass: it reads a body that has the form of the reference page and rejects
//! every other body without a reason. The lenient pass then reads the rejected body.

use alloc::borrow::Cow;
use core::{fmt, marker::PhantomData};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    json::Json,
    json_object::{Field, JsonObject, StringField},
    limits::{Limits, RemainingLimits},
    spelling::{Spelling, spelled},
};

/// Decodes a body that consists of one object.
pub(crate) fn decode<T: JsonObject>(body: &str, limits: Limits) -> Result<T, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(body);
    let mut root = T::default();
    object(&mut root, &mut deserializer, &mut RemainingLimits::new(limits))?;
    deserializer.end()?;
    Ok(root)
}

/// Reads an object into `object`, which must be empty. Fails on any other type.
pub(crate) fn object<'de, T: JsonObject, D: Deserializer<'de>>(
    object: &mut T,
    value: D,
    remaining: &mut RemainingLimits,
) -> Result<(), D::Error> {
    value.deserialize_map(ObjectVisitor { object, remaining })
}

/// Reads a string. Fails on any other type.
pub(crate) fn text<'de, T: StringField, D: Deserializer<'de>>(value: D) -> Result<T, D::Error> {
    value.deserialize_str(StringFieldVisitor(PhantomData))
}

/// Reads the next value of an object into a field. Null leaves the field empty.
pub(crate) fn next_value<'de, T: Field, A: MapAccess<'de>>(
    slot: &mut Option<T>,
    map: &mut A,
    remaining: &mut RemainingLimits,
) -> Result<(), A::Error> {
    map.next_value_seed(SlotVisitor { slot, remaining })
}

struct SlotVisitor<'a, T> {
    slot: &'a mut Option<T>,
    remaining: &'a mut RemainingLimits,
}

impl<'de, T: Field> DeserializeSeed<'de> for SlotVisitor<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_option(self)
    }
}

impl<'de, T: Field> Visitor<'de> for SlotVisitor<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        T::decode_fast(self.slot, value, self.remaining)
    }
}

struct ObjectVisitor<'a, T> {
    object: &'a mut T,
    remaining: &'a mut RemainingLimits,
}

impl<'de, T: JsonObject> Visitor<'de> for ObjectVisitor<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = 0_u32;
        while let Some(name) = map.next_key_seed(FieldNameSeed::<T>(PhantomData))? {
            match name {
                FieldName::Known(known, spelling) => {
                    let bit = 1 << T::index(known);
                    if seen & bit != 0 {
                        return Err(Error::duplicate_field(spelled::<T>(known, spelling)));
                    }
                    seen |= bit;
                    self.object.decode_fast(known, &mut map, self.remaining)?;
                    if spelling == Spelling::V2 && self.object.is_set(known) {
                        self.object.set_spelling(known, spelling);
                    }
                }
                FieldName::Unknown(name) => {
                    let json = Json::from_valid(map.next_value::<&RawValue>()?.get());
                    self.object.raw_fields_mut().push(&name, json);
                }
            }
        }
        Ok(())
    }
}

/// A field's name. Allocates only if it is unknown and has escapes.
enum FieldName<'de, K> {
    Known(K, Spelling),
    Unknown(Cow<'de, str>),
}

struct FieldNameSeed<T>(PhantomData<T>);

impl<'de, T: JsonObject> DeserializeSeed<'de> for FieldNameSeed<T> {
    type Value = FieldName<'de, T::Known>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_identifier(self)
    }
}

impl<'de, T: JsonObject> Visitor<'de> for FieldNameSeed<T> {
    type Value = FieldName<'de, T::Known>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
        let unknown = || FieldName::Unknown(Cow::Borrowed(name));
        Ok(T::known(name)
            .map_or_else(unknown, |(known, spelling)| FieldName::Known(known, spelling)))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let unknown = || FieldName::Unknown(Cow::Owned(name.into()));
        Ok(T::known(name)
            .map_or_else(unknown, |(known, spelling)| FieldName::Known(known, spelling)))
    }
}

struct StringFieldVisitor<T>(PhantomData<T>);

impl<T: StringField> Visitor<'_> for StringFieldVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        match T::read(text) {
            (Some(value), None) => Ok(value),
            _ => Err(E::custom("unrecognized value")),
        }
    }
}

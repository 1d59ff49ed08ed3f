//! The fast pass: reads a body that is as the reference page has it, and refuses any other, for
//! `exact` to read. Follows no path and does not say why it refuses.

use alloc::string::String;
use core::{fmt, marker::PhantomData};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, Visitor},
};

use super::{
    limits::{Budget, Limits},
    object::{Field, Object, Text},
};
use crate::job::Job;

/// Reads a job.
pub(crate) fn read(body: &str, limits: Limits) -> Result<Job, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(body);
    let mut job = Job::default();
    object(&mut job, &mut deserializer, &mut Budget::new(limits))?;
    deserializer.end()?;
    Ok(job)
}

/// Reads an object, and nothing else in its place, into one that is empty.
pub(crate) fn object<'de, T: Object, D: Deserializer<'de>>(
    object: &mut T,
    value: D,
    budget: &mut Budget,
) -> Result<(), D::Error> {
    value.deserialize_map(ObjectVisitor { object, budget })
}

/// Reads a text, and nothing else in its place.
pub(crate) fn text<'de, T: Text, D: Deserializer<'de>>(value: D) -> Result<T, D::Error> {
    value.deserialize_str(TextVisitor(PhantomData))
}

/// Reads the next value of an object into a field; null is none.
pub(crate) fn next_value<'de, T: Field, A: MapAccess<'de>>(
    slot: &mut Option<T>,
    map: &mut A,
    budget: &mut Budget,
) -> Result<(), A::Error> {
    map.next_value_seed(SlotVisitor { slot, budget })
}

struct SlotVisitor<'a, T> {
    slot: &'a mut Option<T>,
    budget: &'a mut Budget,
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
        T::read_strict(self.slot, value, self.budget)
    }
}

struct ObjectVisitor<'a, T> {
    object: &'a mut T,
    budget: &'a mut Budget,
}

impl<'de, T: Object> Visitor<'de> for ObjectVisitor<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = 0_u32;
        while let Some(name) = map.next_key_seed(NameSeed::<T>(PhantomData))? {
            match name {
                Name::Known(known) => {
                    let bit = 1 << T::index(known);
                    if seen & bit != 0 {
                        return Err(Error::duplicate_field(T::NAMES[T::index(known)]));
                    }
                    seen |= bit;
                    self.object.read_strict(known, &mut map, self.budget)?;
                }
                Name::Unknown(name) => {
                    self.object.raw_fields_mut().push(name, map.next_value()?);
                }
            }
        }
        Ok(())
    }
}

/// A field's name; that of a known one allocates nothing.
enum Name<K> {
    Known(K),
    Unknown(String),
}

struct NameSeed<T>(PhantomData<T>);

impl<'de, T: Object> DeserializeSeed<'de> for NameSeed<T> {
    type Value = Name<T::Known>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_identifier(self)
    }
}

impl<T: Object> Visitor<'_> for NameSeed<T> {
    type Value = Name<T::Known>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(T::known(name).map_or_else(|| Name::Unknown(name.into()), Name::Known))
    }
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: Text> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        match T::read(text) {
            (Some(value), None) => Ok(value),
            _ => Err(E::custom("an odd text")),
        }
    }
}

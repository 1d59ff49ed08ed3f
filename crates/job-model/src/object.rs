//! How an object's fields are read and written, once for all of them. Names no field itself.
//!
//! serde's derived code would read `{"status": ["Success"]}` as a status, since it takes a struct
//! from an array too: a false terminal. The visitors made here take an object and nothing else.

use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

/// Implements `Serialize` and `Deserialize` for a struct of `Option`s, given each field's name in
/// the JSON. Nulls read as `None`, `None` is not written, and a name given twice is an error.
macro_rules! json_object {
    ($object:ident { $($field:ident: $name:literal),+ $(,)? }) => {
        impl<'de> serde::Deserialize<'de> for $object {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct ObjectVisitor;

                impl<'de> serde::de::Visitor<'de> for ObjectVisitor {
                    type Value = $object;

                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<$object, A::Error> {
                        const NAMES: &[&str] = &[$($name),+];
                        let mut object = $object::default();
                        let mut seen = 0;
                        while let Some(name) =
                            $crate::object::next_field(&mut map, NAMES, &mut seen)?
                        {
                            match name {
                                $($name => object.$field = map.next_value()?,)+
                                _ => unreachable!("a field is one of its object's names"),
                            }
                        }
                        Ok(object)
                    }
                }

                deserializer.deserialize_map(ObjectVisitor)
            }
        }

        impl serde::Serialize for $object {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;

                let mut map = serializer.serialize_map(None)?;
                $(if let Some(value) = &self.$field {
                    map.serialize_entry($name, value)?;
                })+
                map.end()
            }
        }
    };
}

pub(crate) use json_object;

/// Returns the next field that is one of `names`, its value still to be read, passing over the
/// fields that are not. `seen` has one bit for each name.
pub(crate) fn next_field<'de, A: MapAccess<'de>>(
    map: &mut A,
    names: &'static [&'static str],
    seen: &mut u32,
) -> Result<Option<&'static str>, A::Error> {
    while let Some(known) = map.next_key_seed(NameIn(names))? {
        let Some(index) = known else {
            map.next_value::<IgnoredAny>()?;
            continue;
        };
        let bit = 1 << index;
        if *seen & bit != 0 {
            return Err(Error::duplicate_field(names[index]));
        }
        *seen |= bit;
        return Ok(Some(names[index]));
    }
    Ok(None)
}

/// Reads a key as its index among the names, without allocating.
struct NameIn(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for NameIn {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for NameIn {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}

//! Describes the fields of an object in one table, which both passes and the encoder use.
//!
//! `json_object!` generates the table for a struct. The passes in `fast` and `lenient` look a name
//! up in it (`JsonObject::known`) and hand the value back to the table (`JsonObject::decode_fast`,
//! `JsonObject::decode_lenient`), which calls the pass again for the field's type. The three files
//! therefore depend on each other, but each call goes one level down the value.

use alloc::{borrow::Cow, string::String};

use super::{
    deviation::DeviationKind,
    error::DecodeError,
    fast,
    json::{Form, Formed, Json},
    lenient::LenientDecoder,
    limits::RemainingLimits,
    path::KnownNames,
    raw_fields::RawFields,
    spelling::{Spelling, V2Names, spelled},
    values::last_of_each_name,
};
use serde::{
    Deserializer, Serialize, Serializer,
    de::MapAccess,
    ser::{Error, SerializeMap},
};

/// An object of a reply: a job, a cluster or a node, or a part of one of them.
pub(crate) trait JsonObject: Default {
    /// The names of the known fields, at most 32, as API v3 spells them.
    const NAMES: &'static [&'static str];

    /// The names of the same fields as API v2 spells them.
    const V2_NAMES: &'static [&'static str];

    /// Identifies a known field.
    type Known: Copy;

    /// Returns the field of this name and the spelling of the name, if it is known. A name that is
    /// the same in both spellings is [`Spelling::V3`].
    fn known(name: &str) -> Option<(Self::Known, Spelling)>;

    /// Returns the field's index in `NAMES`.
    fn index(known: Self::Known) -> usize;

    /// Returns the fields whose name was that of API v2.
    fn v2_names(&self) -> V2Names {
        V2Names::default()
    }

    /// Sets the fields whose name was that of API v2. Has no effect if no name differs.
    fn set_v2_names(&mut self, _: V2Names) {}

    /// Returns the spelling with which the field is encoded.
    fn spelling(&self, known: Self::Known) -> Spelling {
        if self.v2_names().contains(Self::index(known)) { Spelling::V2 } else { Spelling::V3 }
    }

    /// Sets the spelling with which the field is encoded.
    fn set_spelling(&mut self, known: Self::Known, spelling: Spelling) {
        self.set_v2_names(self.v2_names().with(Self::index(known), spelling == Spelling::V2));
    }

    /// Returns the name with which the field is encoded.
    fn name(&self, known: Self::Known) -> &'static str {
        spelled::<Self>(known, self.spelling(known))
    }

    /// Returns whether the field has a value.
    fn is_set(&self, known: Self::Known) -> bool;

    /// Removes the field's value.
    fn clear(&mut self, known: Self::Known);

    /// Returns the fields that are kept as JSON text.
    fn raw_fields_mut(&mut self) -> &mut RawFields;

    /// Returns the value that was sent instead of the whole object, if no field has been set since.
    fn whole_value(&self) -> Option<Json<'_>>;

    /// Reads the field's value, which is the next value of the map.
    fn decode_fast<'de, A: MapAccess<'de>>(
        &mut self,
        known: Self::Known,
        map: &mut A,
        remaining: &mut RemainingLimits,
    ) -> Result<(), A::Error>;

    /// Reads the field's value, which is the next value of the pass.
    fn decode_lenient(
        &mut self,
        known: Self::Known,
        pass: &mut LenientDecoder<'_>,
    ) -> Result<Fidelity, DecodeError>;
}

/// An object that is the whole body of a reply.
pub(crate) trait Body: JsonObject {
    /// What the object is, in a sentence, such as `a job`.
    const NOUN: &'static str;

    /// The names of all known fields, including those of the objects within it.
    const FIELD_NAMES: &'static KnownNames;
}

/// The value of a known field. It is read in place, because moving a job takes as long as reading
/// its strings.
pub(crate) trait Field: Sized {
    /// Reads a value that has the form of the reference page, and fails on any other.
    fn decode_fast<'de, D: Deserializer<'de>>(
        slot: &mut Option<Self>,
        value: D,
        remaining: &mut RemainingLimits,
    ) -> Result<(), D::Error>;

    /// Reads the next value of the pass, which may be any except null, as far as it is understood.
    fn decode_lenient(
        slot: &mut Option<Self>,
        pass: &mut LenientDecoder<'_>,
    ) -> Result<Fidelity, DecodeError>;

    /// Serializes the value. JSON text within it is serialized in the given form.
    fn serialize_as<S: Serializer>(&self, form: Form, serializer: S) -> Result<S::Ok, S::Error>;

    /// Returns whether the JSON text that was kept when decoding still represents the field's
    /// value.
    fn is_equivalent(field: Option<&Self>, _: Json<'_>) -> bool {
        field.is_none()
    }
}

/// Whether the decoded value contains everything that its JSON text does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fidelity {
    /// The value is encoded exactly as it was received.
    Lossless,
    /// The JSON text must be kept beside the value.
    Lossy,
}

/// A field whose value is a string.
pub(crate) trait StringField: Sized + PartialEq {
    /// Parses the string, and returns what is unusual about it.
    fn read(text: &str) -> (Option<Self>, Option<DeviationKind>);

    /// Returns the string that is written for the value.
    fn as_text(&self) -> &str;
}

impl<T: StringField> Field for T {
    fn decode_fast<'de, D: Deserializer<'de>>(
        slot: &mut Option<Self>,
        value: D,
        _: &mut RemainingLimits,
    ) -> Result<(), D::Error> {
        *slot = Some(fast::text(value)?);
        Ok(())
    }

    fn decode_lenient(
        slot: &mut Option<Self>,
        pass: &mut LenientDecoder<'_>,
    ) -> Result<Fidelity, DecodeError> {
        Ok(pass.text(slot))
    }

    fn serialize_as<S: Serializer>(&self, _: Form, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_text())
    }

    fn is_equivalent(field: Option<&Self>, json: Json<'_>) -> bool {
        let text = serde_json::from_str::<String>(json.as_str());
        text.map_or_else(|_| field.is_none(), |text| T::read(&text).0.as_ref() == field)
    }
}

impl StringField for String {
    fn read(text: &str) -> (Option<Self>, Option<DeviationKind>) {
        (Some(text.into()), None)
    }

    fn as_text(&self) -> &str {
        self
    }
}

/// A field that usually has the same value. The usual values do not allocate.
impl StringField for Cow<'static, str> {
    fn read(text: &str) -> (Option<Self>, Option<DeviationKind>) {
        let fixed = ["Job", "v3", "v2", "Cluster", "Node"].into_iter().find(|fixed| *fixed == text);
        (Some(fixed.map_or_else(|| Self::Owned(text.into()), Self::Borrowed)), None)
    }

    fn as_text(&self) -> &str {
        self
    }
}

/// Implements `JsonObject`, `Field` and `Serialize` for a struct whose fields are `Option`s and
/// `raw_fields`. Takes the JSON name of each field, and its name in API v2 if that differs. Then the
/// struct also has a field with its `V2Names`. `None` is not written.
macro_rules! json_object {
    (@v2 $name:literal) => { $name };
    (@v2 $name:literal $v2_name:literal) => { $v2_name };
    ($object:ident $(($v2_names:ident))? {
        $($field:ident: $name:literal $(| $v2_name:literal)?),+ $(,)?
    }) => {
        const _: () = {
            use $crate::decode::{Fidelity, Field, Form, Formed, JsonObject, Spelling};

            #[derive(Clone, Copy)]
            #[expect(non_camel_case_types, reason = "the variants are named like the fields")]
            pub(crate) enum Known { $($field),+ }

            impl JsonObject for $object {
                const NAMES: &'static [&'static str] = &[$($name),+];

                const V2_NAMES: &'static [&'static str] =
                    &[$($crate::decode::json_object!(@v2 $name $($v2_name)?)),+];

                type Known = Known;

                fn known(name: &str) -> Option<(Known, Spelling)> {
                    match name {
                        $($name => Some((Known::$field, Spelling::V3)),)+
                        $($($v2_name => Some((Known::$field, Spelling::V2)),)?)+
                        _ => None,
                    }
                }

                fn index(known: Known) -> usize {
                    known as usize
                }

                $(
                    fn v2_names(&self) -> $crate::decode::V2Names {
                        self.$v2_names
                    }

                    fn set_v2_names(&mut self, names: $crate::decode::V2Names) {
                        self.$v2_names = names;
                    }
                )?

                fn is_set(&self, known: Known) -> bool {
                    match known {
                        $(Known::$field => self.$field.is_some(),)+
                    }
                }

                fn clear(&mut self, known: Known) {
                    match known {
                        $(Known::$field => self.$field = None,)+
                    }
                }

                fn raw_fields_mut(&mut self) -> &mut $crate::decode::RawFields {
                    &mut self.raw_fields
                }

                fn whole_value(&self) -> Option<$crate::decode::Json<'_>> {
                    let is_bare = $(self.$field.is_none())&&+;
                    self.raw_fields.whole_value().filter(|_| is_bare)
                }

                fn decode_fast<'de, A: serde::de::MapAccess<'de>>(
                    &mut self,
                    known: Known,
                    map: &mut A,
                    remaining: &mut $crate::decode::RemainingLimits,
                ) -> Result<(), A::Error> {
                    match known {
                        $(Known::$field => {
                            $crate::decode::next_value(&mut self.$field, map, remaining)
                        })+
                    }
                }

                fn decode_lenient(
                    &mut self,
                    known: Known,
                    pass: &mut $crate::decode::LenientDecoder<'_>,
                ) -> Result<Fidelity, $crate::decode::DecodeError> {
                    match known {
                        $(Known::$field => Field::decode_lenient(&mut self.$field, pass),)+
                    }
                }
            }

            impl Field for $object {
                fn decode_fast<'de, D: serde::Deserializer<'de>>(
                    slot: &mut Option<Self>,
                    value: D,
                    remaining: &mut $crate::decode::RemainingLimits,
                ) -> Result<(), D::Error> {
                    $crate::decode::object(slot.insert(Self::default()), value, remaining)
                }

                fn decode_lenient(
                    slot: &mut Option<Self>,
                    pass: &mut $crate::decode::LenientDecoder<'_>,
                ) -> Result<Fidelity, $crate::decode::DecodeError> {
                    pass.object(slot)
                }

                fn serialize_as<S: serde::Serializer>(
                    &self,
                    form: Form,
                    serializer: S,
                ) -> Result<S::Ok, S::Error> {
                    if let Some(json) = self.whole_value() {
                        return serde::Serialize::serialize(&Formed(json, form), serializer);
                    }
                    let mut map = serializer.serialize_map(None)?;
                    $($crate::decode::write(
                        &mut map,
                        JsonObject::name(self, Known::$field),
                        self.$field.as_ref(),
                        &self.raw_fields,
                        form,
                    )?;)+
                    $crate::decode::write_unknown(&mut map, self, &self.raw_fields, form)?;
                    serde::ser::SerializeMap::end(map)
                }
            }

            impl serde::Serialize for $object {
                fn serialize<S: serde::Serializer>(
                    &self,
                    serializer: S,
                ) -> Result<S::Ok, S::Error> {
                    $crate::decode::serialize(self, serializer)
                }
            }
        };
    };
}

pub(crate) use json_object;

/// Serializes an object that is not part of another one.
///
/// A format that is not human-readable gets the JSON text as a string, because such formats usually
/// are not self-describing and could not be read without knowledge of all fields.
pub(crate) fn serialize<T: JsonObject + Field, S: Serializer>(
    object: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if !serializer.is_human_readable() {
        let json = serde_json::to_string(&Formed(object, Form::Unchanged));
        return serializer.serialize_str(&json.map_err(S::Error::custom)?);
    }
    let form = match object.whole_value() {
        // Serde's `flatten` cannot write a value that is not an object. It reports an error for a
        // value of the data model, but not for unchanged text.
        Some(_) => Form::Values,
        None => Form::for_serializer::<S>(),
    };
    object.serialize_as(form, serializer)
}

impl<T: Field> Serialize for Formed<&T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_as(self.1, serializer)
    }
}

/// Writes a known field. If its original text was kept and the value has not changed since, writes
/// that text.
pub(crate) fn write<M: SerializeMap, T: Field>(
    map: &mut M,
    name: &str,
    value: Option<&T>,
    raw_fields: &RawFields,
    form: Form,
) -> Result<(), M::Error> {
    match (raw_fields.find(name), value) {
        (Some(json), value) if T::is_equivalent(value, json) => {
            map.serialize_entry(name, &Formed(json, form))
        }
        (_, Some(value)) => map.serialize_entry(name, &Formed(value, form)),
        (_, None) => Ok(()),
    }
}

/// Writes the fields that are unknown, or known with another spelling than the field's value. If a name is given more than once, only JSON text repeats it. Other
/// forms have the last value, because most formats do not allow duplicate names.
pub(crate) fn write_unknown<T: JsonObject, M: SerializeMap>(
    map: &mut M,
    object: &T,
    raw_fields: &RawFields,
    form: Form,
) -> Result<(), M::Error> {
    let is_unknown = |name: &str| match T::known(name) {
        Some((known, spelling)) => spelling != object.spelling(known),
        None => true,
    };
    let unknown = || raw_fields.entries().filter(|(name, _)| is_unknown(name));
    let mut write = |(name, json)| map.serialize_entry(name, &Formed(json, form));
    match form {
        Form::Unchanged => unknown().try_for_each(write),
        Form::Values => last_of_each_name(unknown().collect()).into_iter().try_for_each(&mut write),
    }
}

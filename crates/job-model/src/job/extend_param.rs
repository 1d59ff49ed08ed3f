//! Defines the extended parameters of a job: a map of strings.

use alloc::{borrow::Cow, string::String, vec::Vec};
use core::{fmt, mem};

use crate::decode::{
    DecodeError, DeviationKind, Fidelity, Field, Form, LenientDecoder, Members, RemainingLimits,
    Text,
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor},
};

/// The extended parameters of a job: a `Map<String,String>` (reference page, table 5).
///
/// A parameter that is null is treated as absent. A parameter that is not a string is kept as its
/// JSON text ([`DeviationKind::ParameterNotText`]). If a parameter is given twice, the last value
/// is used ([`DeviationKind::DuplicateParameter`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExtendParam(Vec<(String, String)>);

impl ExtendParam {
    /// Returns the value of the parameter `name`. The value may be an empty string.
    ///
    /// ```
    /// let parameters = job_model::job::ExtendParam::from_iter([("serverID", "bc467e3a"), ("x", "")]);
    /// assert_eq!(parameters.get("serverID"), Some("bc467e3a"));
    /// assert_eq!(parameters.get("x"), Some(""));
    /// assert_eq!(parameters.get("y"), None);
    /// ```
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.binary_search_by(|(known, _)| known.as_str().cmp(name));
        found.ok().map(|index| self.0[index].1.as_str())
    }

    /// Returns the parameters as (name, value) pairs, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Returns `true` if there are no parameters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for ExtendParam {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(parameters: I) -> Self {
        let parameters = parameters.into_iter();
        let pairs: Vec<(String, _)> = parameters.map(|(n, v)| (n.into(), Some(v.into()))).collect();
        Self::from_pairs(pairs, |_| {})
    }
}

impl Serialize for ExtendParam {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl ExtendParam {
    /// Sorts the parameters by name and removes those without a value. If a name is given twice,
    /// the last value is used and `on_duplicate` is called with the name.
    fn from_pairs<T: Ord + Into<String>>(
        mut parameters: Vec<(T, Option<T>)>,
        mut on_duplicate: impl FnMut(&T),
    ) -> Self {
        parameters.sort_by(|(a, _), (b, _)| a.cmp(b));
        parameters.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                on_duplicate(&later.0);
                mem::swap(later, earlier);
            }
            same
        });
        let named = parameters.into_iter();
        Self(named.filter_map(|(name, value)| Some((name.into(), value?.into()))).collect())
    }
}

impl Field for ExtendParam {
    fn decode_fast<'de, D: Deserializer<'de>>(
        slot: &mut Option<Self>,
        value: D,
        _: &mut RemainingLimits,
    ) -> Result<(), D::Error> {
        *slot = Some(value.deserialize_map(ParametersVisitor)?);
        Ok(())
    }

    fn decode_lenient(
        slot: &mut Option<Self>,
        pass: &mut LenientDecoder<'_>,
    ) -> Result<Fidelity, DecodeError> {
        if !pass.cursor.enter(b'{') {
            return Ok(pass.unexpected_type());
        }
        let (mut parameters, mut members) = (Vec::new(), Members::default());
        while let Some(name) = members.next_name(pass) {
            let value = match pass.cursor.text() {
                Some(Text { text, has_lone_surrogates }) => {
                    if has_lone_surrogates {
                        pass.record_deviation_at(&name, DeviationKind::LoneSurrogate);
                    }
                    Some(text)
                }
                None if pass.cursor.null() => None,
                None => {
                    pass.record_deviation_at(&name, DeviationKind::ParameterNotText);
                    Some(pass.cursor.json())
                }
            };
            parameters.push((name, value));
        }
        let twice =
            |name: &Cow<'_, str>| pass.record_deviation_at(name, DeviationKind::DuplicateParameter);
        *slot = Some(Self::from_pairs(parameters, twice));
        Ok(Fidelity::Lossless)
    }

    fn serialize_as<S: Serializer>(&self, _: Form, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }
}

struct ParametersVisitor;

impl<'de> Visitor<'de> for ParametersVisitor {
    type Value = ExtendParam;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ExtendParam, A::Error> {
        let mut parameters = Vec::new();
        while let Some((ParameterText(name), value)) = map.next_entry()? {
            parameters.push((name, Option::map(value, |ParameterText(value)| value)));
        }
        let mut twice = false;
        let ordered = ExtendParam::from_pairs(parameters, |_| twice = true);
        if twice { Err(Error::custom("duplicate parameter")) } else { Ok(ordered) }
    }
}

/// A name or a value. It is copied only after duplicates are removed, because a body can have a
/// million of them.
struct ParameterText<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for ParameterText<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ParameterTextVisitor).map(Self)
    }
}

struct ParameterTextVisitor;

impl<'de> Visitor<'de> for ParameterTextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.into()))
    }
}

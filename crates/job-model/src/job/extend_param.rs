//! Defines the extended parameters of a job: a map of strings.

use alloc::{string::String, vec::Vec};
use core::{fmt, mem};

use crate::decode::{
    DecodeError, DeviationKind, Fidelity, Field, LenientDecoder, Members, RemainingLimits, Text,
};
use serde::{
    Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor},
};

/// The extended parameters of a job: a `Map<String,String>` (reference page, table 5).
///
/// A parameter that is null is treated as absent. A parameter that is not a string is kept as its
/// JSON text ([`DeviationKind::ParameterNotText`]). If a parameter is given twice, the last value
/// is used ([`DeviationKind::DuplicateParameter`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtendParam(Vec<(String, String)>);

impl ExtendParam {
    /// Returns the value of the parameter `name`. The value may be an empty string.
    ///
    /// ```
    /// let parameters = job_model::ExtendParam::from_iter([("serverID", "bc467e3a"), ("x", "")]);
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
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for ExtendParam {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(parameters: I) -> Self {
        let parameters = parameters.into_iter();
        Self::from_pairs(parameters.map(|(n, v)| (n.into(), Some(v.into()))).collect(), |_| {})
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
    fn from_pairs(
        mut parameters: Vec<(String, Option<String>)>,
        mut on_duplicate: impl FnMut(&str),
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
        Self(parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
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
                    Some(text.into_owned())
                }
                None if pass.cursor.null() => None,
                None => {
                    pass.record_deviation_at(&name, DeviationKind::ParameterNotText);
                    Some(pass.cursor.json().into_owned())
                }
            };
            parameters.push((name.into_owned(), value));
        }
        let twice = |name: &str| pass.record_deviation_at(name, DeviationKind::DuplicateParameter);
        *slot = Some(Self::from_pairs(parameters, twice));
        Ok(Fidelity::Lossless)
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
        while let Some(parameter) = map.next_entry()? {
            parameters.push(parameter);
        }
        let mut twice = false;
        let ordered = ExtendParam::from_pairs(parameters, |_| twice = true);
        if twice { Err(Error::custom("duplicate parameter")) } else { Ok(ordered) }
    }
}

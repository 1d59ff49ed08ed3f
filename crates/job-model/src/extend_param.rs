//! The extended parameters, a map of texts. Knows no parameter by name.

use alloc::{collections::BTreeMap, string::String};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The `Map<String,String>` of a job's spec (reference page, table 5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtendParam(BTreeMap<String, String>);

impl ExtendParam {
    /// Returns the value of `name`; an empty text is a value too.
    ///
    /// ```
    /// let parameters = job_model::ExtendParam::from_iter([("serverID", "bc467e3a"), ("x", "")]);
    /// assert_eq!(parameters.get("serverID"), Some("bc467e3a"));
    /// assert_eq!(parameters.get("x"), Some(""));
    /// assert_eq!(parameters.get("y"), None);
    /// ```
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the parameters as (name, value), ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for ExtendParam {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(parameters: I) -> Self {
        let parameters = parameters.into_iter();
        Self(parameters.map(|(n, v)| (n.into(), v.into())).collect())
    }
}

impl Serialize for ExtendParam {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ExtendParam {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parameters = BTreeMap::<String, Option<String>>::deserialize(deserializer)?;
        // A parameter that is null is absent, like any other field.
        Ok(parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }
}

//! The environment variables that a chain reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt,
};

use secrecy::{ExposeSecret, SecretString};

use super::{
    error::CredentialChainError,
    field::Field,
    values::{Fault, FieldNames, Values},
};

/// The variables that are set and not empty.
#[derive(Clone)]
pub(super) struct Variables {
    values: BTreeMap<String, SecretString>,
    /// The variables whose values are not valid UTF-8. They have a [`PLACEHOLDER`] as their value.
    not_utf8: BTreeSet<String>,
}

/// A text that is not a valid value of any variable.
const PLACEHOLDER: &str = "\u{fffd}";

/// Prints only the names.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Variables {
    pub(super) fn new(variables: impl Iterator<Item = (String, OsString)>) -> Self {
        let mut not_utf8 = BTreeSet::new();
        let set = variables.filter(|(_, value)| !value.is_empty());
        let values = set.map(|(name, value)| {
            let value = value.into_string().unwrap_or_else(|_| {
                not_utf8.insert(name.clone());
                PLACEHOLDER.into()
            });
            (name, value.into())
        });
        Self { values: values.collect(), not_utf8 }
    }

    /// Returns the names of the variables that are set.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.values.keys()
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Returns the value of a variable, or `None` if it is not set.
    ///
    /// # Errors
    ///
    /// Returns an error if the value is not valid UTF-8.
    pub(super) fn get(&self, name: &str) -> Result<Option<&str>, CredentialChainError> {
        match self.not_utf8.contains(name) {
            true => Err(CredentialChainError::NotUtf8(name.into())),
            false => Ok(self.values.get(name).map(ExposeSecret::expose_secret)),
        }
    }

    /// Returns the variables whose names have this prefix. A value that is not valid UTF-8 is
    /// replaced by one that is not a URL.
    pub(super) fn urls_with_prefix(&self, prefix: &str) -> BTreeMap<String, String> {
        let urls = self.values.iter().filter(|(name, _)| name.starts_with(prefix));
        urls.map(|(name, url)| (name.clone(), url.expose_secret().to_owned())).collect()
    }

    /// Returns the values of the variables with these names.
    pub(super) fn values(&self, names: &'static FieldNames) -> Values<'static> {
        let mut values = Values::empty(names, String::new());
        for (field, name) in names {
            self.add_to(&mut values, *field, name);
        }
        values
    }

    /// Adds the value of a variable. If the field has another value, that is a fault.
    fn add_to(&self, values: &mut Values<'_>, field: Field, name: &str) {
        let Some(value) = self.values.get(name) else { return };
        if self.not_utf8.contains(name) {
            values.faults.push((field, Fault::NotUtf8(name.into())));
        }
        match values.get(field) {
            None => {
                values.values.insert(field, (value.clone(), name.to_owned()));
            }
            Some((first, _)) if first == value.expose_secret() => {}
            Some((_, first)) => {
                let (first, second) = (first.to_owned(), name.to_owned());
                values.faults.push((field, Fault::Contradiction { first, second }));
            }
        }
    }

    /// Adds the value of a variable, if the field has no value.
    pub(super) fn add_missing(&self, values: &mut Values<'_>, field: Field, name: &str) {
        if values.get(field).is_none() {
            self.add_to(values, field, name);
        }
    }
}

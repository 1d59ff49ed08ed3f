//! Defines ids that are safe to place in a URL path. Beyond that they are opaque and have no
//! required format.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Maximum length of an id in bytes. The longest id in public material has 37.
const MAX_ID_BYTES: usize = 128;

/// Why a text is not a valid id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IdError {
    /// The text is empty.
    Empty,
    /// The text has more than 128 bytes.
    TooLong,
    /// The text is `.` or `..`, which a URL treats as a path step.
    DotSegment,
    /// The text contains a character that would change the URL: a control character, `/`, `?`, `#`
    /// or `%`.
    InvalidCharacter(char),
    /// The text starts or ends with white space. Remove it before you parse the id.
    SurroundingSpace,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an id cannot be empty"),
            Self::TooLong => write!(f, "an id cannot be longer than {MAX_ID_BYTES} bytes"),
            Self::DotSegment => f.write_str("an id cannot be `.` or `..`"),
            Self::InvalidCharacter(c) => write!(f, "an id cannot contain {c:?}"),
            Self::SurroundingSpace => f.write_str("an id cannot start or end with white space"),
        }
    }
}

impl core::error::Error for IdError {}

/// Defines a type for ids, with these docs and this name.
macro_rules! id {
    ($(#[$docs:meta])+ $id:ident) => {
        $(#[$docs])+
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $id(alloc::sync::Arc<str>);

        impl $id {
            /// Returns the id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl core::str::FromStr for $id {
            type Err = $crate::id::IdError;

            fn from_str(text: &str) -> Result<Self, $crate::id::IdError> {
                $crate::id::check(text).map(|()| Self(text.into()))
            }
        }

        impl TryFrom<&str> for $id {
            type Error = $crate::id::IdError;

            fn try_from(text: &str) -> Result<Self, $crate::id::IdError> {
                text.parse()
            }
        }

        impl TryFrom<alloc::string::String> for $id {
            type Error = $crate::id::IdError;

            fn try_from(text: alloc::string::String) -> Result<Self, $crate::id::IdError> {
                $crate::id::check(&text).map(|()| Self(text.into()))
            }
        }

        impl From<$id> for alloc::string::String {
            fn from(id: $id) -> Self {
                id.as_str().into()
            }
        }

        impl AsRef<str> for $id {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        /// Ids are compared, ordered and hashed like their texts.
        impl core::borrow::Borrow<str> for $id {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl serde::Serialize for $id {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $id {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text: alloc::string::String = serde::Deserialize::deserialize(deserializer)?;
                text.try_into().map_err(serde::de::Error::custom)
            }
        }

        impl core::fmt::Display for $id {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

pub(crate) use id;

/// Returns an error if a text is not a valid id.
pub(crate) fn check(text: &str) -> Result<(), IdError> {
    let changes_url = |c: &char| c.is_control() || "/?#%".contains(*c);
    let invalid = text.chars().find(changes_url);
    match text {
        "" => Err(IdError::Empty),
        "." | ".." => Err(IdError::DotSegment),
        _ if text.len() > MAX_ID_BYTES => Err(IdError::TooLong),
        _ if text.trim() != text && invalid.is_none() => Err(IdError::SurroundingSpace),
        _ => invalid.map_or(Ok(()), |c| Err(IdError::InvalidCharacter(c))),
    }
}

#[cfg(test)]
mod tests;

//! Defines ids that are safe to place in a URL path. Beyond that they are opaque and have no
//! required format.

use alloc::{string::String, sync::Arc};
use core::{borrow::Borrow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

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

macro_rules! id {
    ($(#[$docs:meta])+ $id:ident) => {
        $(#[$docs])+
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $id(Arc<str>);

        impl $id {
            /// Returns the id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $id {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                check(text).map(|()| Self(text.into()))
            }
        }

        impl TryFrom<&str> for $id {
            type Error = IdError;

            fn try_from(text: &str) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl TryFrom<String> for $id {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                check(&text).map(|()| Self(text.into()))
            }
        }

        impl From<$id> for String {
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
        impl Borrow<str> for $id {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

id! {
    /// A job's id, as returned by the call that created the job. Cheap to clone.
    ///
    /// An id is opaque text of at most 128 bytes. It is never trimmed: white space around it is an
    /// error.
    ///
    /// ```
    /// use std::collections::HashMap;
    ///
    /// use job_model::{IdError, JobId};
    ///
    /// let id: JobId = "354331b2c-229a-11e8-9c75-0255ac100ceb".parse()?;
    /// assert_eq!("../jobs".parse::<JobId>(), Err(IdError::InvalidCharacter('/')));
    /// assert_eq!(JobId::try_from("354331b2c\n"), Err(IdError::InvalidCharacter('\n')));
    /// assert_eq!(JobId::try_from(" 354331b2c"), Err(IdError::SurroundingSpace));
    ///
    /// // A map can be searched for the text of an id.
    /// let names = HashMap::from([(id, "prod")]);
    /// assert_eq!(names.get("354331b2c-229a-11e8-9c75-0255ac100ceb"), Some(&"prod"));
    /// # Ok::<(), IdError>(())
    /// ```
    JobId
}

id! {
    /// The id of the project (tenant) that a job belongs to. Cheap to clone.
    ProjectId
}

fn check(text: &str) -> Result<(), IdError> {
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

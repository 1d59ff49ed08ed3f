//! What was odd about a body that was read all the same. Judges nothing.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use serde::{Deserialize, Serialize};

use super::path::Path;

/// The deviations listed of one body. A body with more is no reply of the service, and a list of
/// them all could be many times as large.
const MAX_DEVIATIONS: usize = 1_000;

/// One place where a body departs from the reference page and was understood.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Deviation {
    /// Where, such as `spec.subJobs[1]`; empty for the body as a whole.
    pub path: String,
    /// What.
    pub kind: DeviationKind,
}

/// What is odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeviationKind {
    /// The body starts with a byte order mark.
    ByteOrderMark,
    /// A comma follows the last member of the object or array at the path, as in the reference
    /// page's own example.
    TrailingComma,
    /// An escape such as `\ud800` that stands for half a character; read as U+FFFD.
    LoneSurrogate,
    /// The value is of a type that the field does not have: kept as JSON text, the field is absent.
    UnexpectedType,
    /// The phase is none of the reference page's four as they are spelt there: a known one in
    /// another case, an unknown one, or an empty text.
    UnrecognizedPhase,
    /// The time is not understood: the text is kept, and there is no instant.
    UnrecognizedTimestamp,
    /// The extended parameter is no text: its value is its JSON text.
    ParameterNotText,
    /// The extended parameter is given more than once: its value is the last one.
    DuplicateParameter,
    /// The sub-jobs are one object in place of an array: read as one sub-job.
    SubJobsNotArray,
    /// There are more deviations than are listed.
    Truncated,
}

impl fmt::Display for DeviationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByteOrderMark => "byte order mark",
            Self::TrailingComma => "trailing comma",
            Self::LoneSurrogate => "half a surrogate pair",
            Self::UnexpectedType => "a type that the field does not have",
            Self::UnrecognizedPhase => "not one of the four phases as they are spelt",
            Self::UnrecognizedTimestamp => "not a time that is understood",
            Self::ParameterNotText => "not a text",
            Self::DuplicateParameter => "given more than once",
            Self::SubJobsNotArray => "one object in place of an array",
            Self::Truncated => "more oddities than are listed",
        })
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, kind } = self;
        if path.is_empty() {
            write!(f, "body: {kind}")
        } else {
            write!(f, "{}: {kind}", path.escape_debug())
        }
    }
}

/// The list of a body's deviations, as it grows.
#[derive(Default)]
pub(crate) struct Deviations(Vec<Deviation>);

impl Deviations {
    pub(crate) fn push(&mut self, path: &Path<'_>, kind: DeviationKind) {
        match self.0.len() {
            listed if listed < MAX_DEVIATIONS => {
                self.0.push(Deviation { path: path.to_string(), kind });
            }
            MAX_DEVIATIONS => {
                self.0.push(Deviation { path: String::new(), kind: DeviationKind::Truncated });
            }
            _ => {}
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Deviation> {
        self.0
    }
}

//! What was odd about a body that was read all the same. Judges nothing.

use alloc::string::String;
use core::fmt;

/// One place where a body departs from the reference page and was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deviation {
    /// Where, such as `spec.subJobs[1]`; empty for the body as a whole.
    pub path: String,
    /// What.
    pub kind: DeviationKind,
}

/// What is odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviationKind {
    /// The body starts with a byte order mark.
    ByteOrderMark,
    /// A comma follows the last member of the object or array at the path, as in the reference
    /// page's own example.
    TrailingComma,
}

impl fmt::Display for DeviationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByteOrderMark => "byte order mark",
            Self::TrailingComma => "trailing comma",
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

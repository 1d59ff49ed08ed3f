//! Describes why and where decoding failed. Contains no part of the body.

use alloc::string::{String, ToString};
use core::fmt;

use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use super::{
    path::{KnownNames, Path},
    scan::Scanner,
};

/// Why a body could not be decoded, and where.
///
/// Contains no part of the body, which may be large or secret. The path shows only the names of
/// known fields, and `…` for any other.
///
/// The serialized form is an object with `kind`, `path`, `line` and `column`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DecodeError {
    kind: DecodeErrorKind,
    path: String,
    line: usize,
    column: usize,
}

/// The kind of a [`DecodeError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The body is not valid JSON. Often it is a proxy's page instead of the service's reply.
    Syntax,
    /// The body is empty or truncated.
    Truncated,
    /// The body is not UTF-8 outside of its strings.
    NotUtf8,
    /// The body is valid JSON, but not an object.
    NotAnObject,
    /// The body is valid JSON, but not an array, although a list is expected.
    NotAnArray,
    /// The list is larger than [`JobList::MAX_BYTES`](crate::job::JobList::MAX_BYTES).
    TooLarge,
    /// The list has more rows than [`JobList::MAX_ROWS`](crate::job::JobList::MAX_ROWS).
    TooManyRows,
    /// A known field is given twice in one object, so its value is ambiguous.
    DuplicateField,
    /// Sub-jobs are nested more deeply than [`Limits::max_depth`](crate::decode::Limits::max_depth).
    TooDeep,
    /// There are more sub-jobs than [`Limits::max_sub_jobs`](crate::decode::Limits::max_sub_jobs).
    TooManySubJobs,
}

impl DecodeError {
    /// Returns the kind of error.
    #[must_use]
    pub const fn kind(&self) -> DecodeErrorKind {
        self.kind
    }

    /// Returns the path of the invalid value, such as `spec.subJobs[1].status`. The path is empty
    /// if the error concerns the whole body.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the line of the error, counted from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// Returns the column of the error in bytes, counted from 1. It is 0 if the error is before the
    /// first byte of the line.
    #[must_use]
    pub const fn column(&self) -> usize {
        self.column
    }

    /// Creates an error at a position in the body.
    pub(crate) fn new(body: &[u8], offset: usize, kind: DecodeErrorKind, path: &Path<'_>) -> Self {
        let before = &body[..offset];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Self { kind, path: path.to_string(), line, column: offset - line_start + 1 }
    }

    /// Creates the error for a body that is not UTF-8.
    pub(crate) fn not_utf8(
        body: &[u8],
        error: &core::str::Utf8Error,
        known_names: &KnownNames,
    ) -> Self {
        let offset = error.valid_up_to();
        let path = path_at_end(&body[..offset], known_names);
        Self::new(body, offset, DecodeErrorKind::NotUtf8, &path)
    }

    /// Creates the error for a body that is not valid JSON after repair. `text` is the repaired
    /// body.
    pub(crate) fn syntax(
        body: &[u8],
        text: &str,
        error: &serde_json::Error,
        known_names: &KnownNames,
    ) -> Self {
        let kind = match error.classify() {
            Category::Syntax | Category::Data => DecodeErrorKind::Syntax,
            // `Io` occurs only when parsing from a reader, never from a string.
            Category::Eof | Category::Io => DecodeErrorKind::Truncated,
        };
        let (line, column) = (error.line(), error.column());
        let lines = text.split_inclusive('\n').take(line.saturating_sub(1));
        let offset = lines.map(str::len).sum::<usize>() + column.saturating_sub(1);
        let end = match kind {
            DecodeErrorKind::Truncated => body.len(),
            _ => offset.min(body.len()),
        };
        let path = path_at_end(&body[..end], known_names);
        if column == 0 {
            return Self { kind, path: path.to_string(), line, column };
        }
        // The parser counted the lines of the repaired text, which lacks the line breaks in
        // strings.
        Self::new(body, offset.min(body.len()), kind, &path)
    }
}

/// Returns the path of the value at the end of `body`, with unknown names elided.
fn path_at_end(body: &[u8], known_names: &KnownNames) -> Path<'static> {
    let mut scanner = Scanner::new(body);
    while scanner.next().is_some() {}
    scanner.path().elide_unknown_names(known_names)
}

impl DecodeErrorKind {
    /// Returns the name of the kind as it is serialized, such as `duplicate_field`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Truncated => "truncated",
            Self::NotUtf8 => "not_utf8",
            Self::NotAnObject => "not_an_object",
            Self::NotAnArray => "not_an_array",
            Self::TooLarge => "too_large",
            Self::TooManyRows => "too_many_rows",
            Self::DuplicateField => "duplicate_field",
            Self::TooDeep => "too_deep",
            Self::TooManySubJobs => "too_many_sub_jobs",
        }
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Syntax => "the body is not valid JSON",
            Self::Truncated => "the body ends too soon",
            Self::NotUtf8 => "the body is not valid UTF-8",
            Self::NotAnObject => "the body is not a JSON object",
            Self::NotAnArray => "the body is not a JSON array",
            Self::TooLarge => "the list is larger than 32 MiB",
            Self::TooManyRows => "the list has more than 100,000 rows",
            Self::DuplicateField => "duplicate field",
            Self::TooDeep => "sub-jobs are nested too deeply",
            Self::TooManySubJobs => "too many sub-jobs",
        })
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, path, line, column } = self;
        write!(f, "{kind}")?;
        if !path.is_empty() {
            write!(f, " at {path}")?;
        }
        write!(f, " (line {line}, column {column})")
    }
}

impl core::error::Error for DecodeError {}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn decode_error_kinds_have_names() {
        use DecodeErrorKind as Kind;

        let rows = [
            (Kind::Syntax, "syntax"),
            (Kind::Truncated, "truncated"),
            (Kind::NotUtf8, "not_utf8"),
            (Kind::NotAnObject, "not_an_object"),
            (Kind::NotAnArray, "not_an_array"),
            (Kind::TooLarge, "too_large"),
            (Kind::TooManyRows, "too_many_rows"),
            (Kind::DuplicateField, "duplicate_field"),
            (Kind::TooDeep, "too_deep"),
            (Kind::TooManySubJobs, "too_many_sub_jobs"),
        ];
        for (kind, name) in rows {
            assert_eq!(kind.as_str(), name);
            let json = format!("\"{name}\"");
            assert_eq!(serde_json::to_string(&kind).unwrap(), json);
            assert_eq!(serde_json::from_str::<Kind>(&json).unwrap(), kind);
        }
        assert_eq!(format!("{:>16}", Kind::DuplicateField), " duplicate field");
    }

    #[test]
    fn decode_errors_have_a_json_form_that_can_be_read_back() {
        let body = b"{\"status\": {\"phase\":\n1, \"phase\": 2}}";
        let error = crate::job::Job::from_slice(body).unwrap_err();
        let json = r#"{"kind":"duplicate_field","path":"status.phase","line":2,"column":13}"#;
        assert_eq!(serde_json::to_string(&error).unwrap(), json);
        let newer = json.replace('}', ",\"v\":2}");
        assert_eq!(serde_json::from_str::<DecodeError>(&newer).unwrap(), error);
    }
}

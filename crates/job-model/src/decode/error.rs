//! Why a body is no readable job, and where. Keeps no byte of the body.

use alloc::string::{String, ToString};
use core::fmt;

use serde_json::{error::Category, value::RawValue};

use super::{
    path::{KnownNames, Path},
    scan::Scanner,
};

/// A body that is no readable job: what is wrong with it, and where.
///
/// Holds nothing of the body itself, which may be large or secret: the path has only names of the
/// reference page, `…` for any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    kind: DecodeErrorKind,
    path: String,
    line: usize,
    column: usize,
}

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The body is not JSON: often a proxy's page in place of the service's reply.
    Syntax,
    /// The body ends too soon: it is empty, or the reply was cut.
    Truncated,
    /// The body is not UTF-8, as JSON must be.
    NotUtf8,
    /// The body is JSON, but no object.
    NotAnObject,
    /// A field of the reference page is given twice in one object: which one holds is unclear.
    DuplicateField,
    /// Sub-jobs are nested beyond [`Limits::max_depth`](crate::Limits::max_depth).
    TooDeep,
    /// There are more sub-jobs than [`Limits::max_sub_jobs`](crate::Limits::max_sub_jobs).
    TooManySubJobs,
}

impl DecodeError {
    /// Returns what is wrong.
    #[must_use]
    pub const fn kind(&self) -> DecodeErrorKind {
        self.kind
    }

    /// Returns the path of the value that is wrong, such as `spec.subJobs[1].status`; empty where
    /// it is the whole body.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the line, counted from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// Returns the column in bytes, counted from 1; 0 stands for the line's start.
    #[must_use]
    pub const fn column(&self) -> usize {
        self.column
    }

    /// Creates the error of a value within the body.
    pub(crate) fn for_value(
        body: &str,
        value: &RawValue,
        kind: DecodeErrorKind,
        path: &Path<'_>,
    ) -> Self {
        let offset = value.get().as_ptr().addr() - body.as_ptr().addr();
        Self::new(body.as_bytes(), offset, kind, path)
    }

    fn new(body: &[u8], offset: usize, kind: DecodeErrorKind, path: &Path<'_>) -> Self {
        let before = &body[..offset];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Self { kind, path: path.to_string(), line, column: offset - line_start + 1 }
    }

    /// Creates the error of a body that is not UTF-8.
    pub(crate) fn not_utf8(
        body: &[u8],
        error: &core::str::Utf8Error,
        known_names: &KnownNames,
    ) -> Self {
        let offset = error.valid_up_to();
        let path = path_at_end(&body[..offset], known_names);
        Self::new(body, offset, DecodeErrorKind::NotUtf8, &path)
    }

    /// Creates the error of a body that is not JSON.
    pub(crate) fn syntax(body: &str, error: &serde_json::Error, known_names: &KnownNames) -> Self {
        let kind = match error.classify() {
            Category::Syntax | Category::Data => DecodeErrorKind::Syntax,
            // Io is for readers; from a text it cannot come.
            Category::Eof | Category::Io => DecodeErrorKind::Truncated,
        };
        let (line, column) = (error.line(), error.column());
        let lines = body.split_inclusive('\n').take(line.saturating_sub(1));
        let offset = match kind {
            DecodeErrorKind::Truncated => body.len(),
            _ => lines.map(str::len).sum::<usize>() + column.saturating_sub(1),
        };
        let before = &body.as_bytes()[..offset.min(body.len())];
        Self { kind, path: path_at_end(before, known_names).to_string(), line, column }
    }
}

/// Returns the path of the value at which a body ends too soon, other names than the reference
/// page's left out.
fn path_at_end(body: &[u8], known_names: &KnownNames) -> Path<'static> {
    let mut scanner = Scanner::new(body);
    while scanner.next().is_some() {}
    scanner.path().elide_unknown_names(known_names)
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "the body is not JSON",
            Self::Truncated => "the body ends too soon",
            Self::NotUtf8 => "the body is not UTF-8",
            Self::NotAnObject => "the body is no JSON object",
            Self::DuplicateField => "a field is given twice",
            Self::TooDeep => "sub-jobs are nested too deep",
            Self::TooManySubJobs => "there are too many sub-jobs",
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

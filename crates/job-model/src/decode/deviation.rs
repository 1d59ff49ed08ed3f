//! Lists how a body deviates from the reference page.

use alloc::{string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::printable::{Escaped, pad};

/// Maximum number of deviations that are listed for one body. A body with more is not a reply of
/// the service, and a complete list could be many times as large as the body.
const MAX_DEVIATIONS: usize = 1_000;

/// One place where a body deviates from the reference page and was still understood.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Deviation {
    /// The path, such as `spec.subJobs[1]`; empty for the body as a whole.
    pub path: String,
    /// The kind of deviation.
    pub kind: DeviationKind,
}

impl Deviation {
    /// Creates a deviation, for example in a test.
    ///
    /// ```
    /// use job_model::{Deviation, decode::DeviationKind};
    ///
    /// let deviation = Deviation::new("spec.subJobs[1]", DeviationKind::TrailingComma);
    /// assert_eq!(deviation.to_string(), "spec.subJobs[1]: trailing comma");
    /// ```
    #[must_use]
    pub fn new(path: impl Into<String>, kind: DeviationKind) -> Self {
        Self { path: path.into(), kind }
    }
}

/// The kind of a deviation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeviationKind {
    /// The body starts with a byte order mark.
    ByteOrderMark,
    /// A comma follows the last member of the object or array at the path. The reference page's own
    /// example has one.
    TrailingComma,
    /// The string contains a control character, such as a line break, that is not escaped. It is
    /// read as that character.
    ControlCharacter,
    /// The string contains bytes that are not UTF-8. They are read as U+FFFD.
    InvalidUtf8,
    /// The value contains an escape such as `\ud800` that is half of a surrogate pair. It is read
    /// as U+FFFD.
    LoneSurrogate,
    /// The value has another type than the field. It is kept as JSON text, and the field is `None`.
    UnexpectedType,
    /// The phase is empty, unknown, or in another case than documented. (A job has four documented
    /// phases.)
    UnrecognizedPhase,
    /// The timestamp has an unknown format. Its text is kept, and it has no instant.
    UnrecognizedTimestamp,
    /// The extended parameter is not a string. Its value is its JSON text.
    ParameterNotText,
    /// The extended parameter is given more than once. The last value is used.
    DuplicateParameter,
    /// The object also has this field under its name of API v3, and neither is null. The value of the
    /// other name is used, and the value at the path is kept as JSON text.
    DuplicateSpelling,
    /// The sub-jobs are a single object instead of an array. It is read as one sub-job.
    SubJobsNotArray,
    /// The row of a [list](crate::job::JobList) is not an object, and is left out.
    RowNotAnObject,
    /// A known field is given twice in one object of the row of a list, and the row is left out.
    RowDuplicateField,
    /// The sub-jobs of the row of a list are nested too deeply, and the row is left out.
    RowTooDeep,
    /// The row of a list has too many sub-jobs, and is left out.
    RowTooManySubJobs,
    /// The row of a list is too large, and is left out.
    RowTooLarge,
    /// The body has more than 1,000 deviations, and the others are not listed.
    Truncated,
}

impl DeviationKind {
    /// Returns the name of the kind as it is serialized, such as `trailing_comma`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ByteOrderMark => "byte_order_mark",
            Self::TrailingComma => "trailing_comma",
            Self::ControlCharacter => "control_character",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::LoneSurrogate => "lone_surrogate",
            Self::UnexpectedType => "unexpected_type",
            Self::UnrecognizedPhase => "unrecognized_phase",
            Self::UnrecognizedTimestamp => "unrecognized_timestamp",
            Self::ParameterNotText => "parameter_not_text",
            Self::DuplicateParameter => "duplicate_parameter",
            Self::DuplicateSpelling => "duplicate_spelling",
            Self::SubJobsNotArray => "sub_jobs_not_array",
            Self::RowNotAnObject => "row_not_an_object",
            Self::RowDuplicateField => "row_duplicate_field",
            Self::RowTooDeep => "row_too_deep",
            Self::RowTooManySubJobs => "row_too_many_sub_jobs",
            Self::RowTooLarge => "row_too_large",
            Self::Truncated => "truncated",
        }
    }
}

impl fmt::Display for DeviationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ByteOrderMark => "byte order mark",
            Self::TrailingComma => "trailing comma",
            Self::ControlCharacter => "control character in a string",
            Self::InvalidUtf8 => "invalid UTF-8 in a string",
            Self::LoneSurrogate => "lone surrogate",
            Self::UnexpectedType => "unexpected type",
            Self::UnrecognizedPhase => "unrecognized phase spelling",
            Self::UnrecognizedTimestamp => "unrecognized timestamp",
            Self::ParameterNotText => "not a string",
            Self::DuplicateParameter => "duplicate parameter",
            Self::DuplicateSpelling => "second spelling of a field",
            Self::SubJobsNotArray => "object instead of array",
            Self::RowNotAnObject => "not an object, so the row is left out",
            Self::RowDuplicateField => "duplicate field, so the row is left out",
            Self::RowTooDeep => "sub-jobs are nested too deeply, so the row is left out",
            Self::RowTooManySubJobs => "too many sub-jobs, so the row is left out",
            Self::RowTooLarge => "larger than 8 MiB, so the row is left out",
            Self::Truncated => "more than 1,000 deviations",
        })
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, kind } = self;
        if path.is_empty() {
            pad(f, format_args!("body: {kind}"))
        } else {
            pad(f, format_args!("{}: {kind}", Escaped(path)))
        }
    }
}

/// Collects the deviations of a body, up to the maximum.
#[derive(Default)]
pub(crate) struct Deviations(Vec<Deviation>);

impl Deviations {
    /// Adds a deviation. Calls `path` only if the deviation is listed, because a body can have a
    /// deviation at every other byte.
    pub(crate) fn push(&mut self, kind: DeviationKind, path: impl FnOnce() -> String) {
        match self.0.len() {
            listed if listed < MAX_DEVIATIONS => self.0.push(Deviation { path: path(), kind }),
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

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use super::*;

    #[test]
    fn deviation_kinds_have_names_and_descriptions() {
        use DeviationKind as Kind;

        let rows = [
            (Kind::ByteOrderMark, "byte_order_mark", "byte order mark"),
            (Kind::TrailingComma, "trailing_comma", "trailing comma"),
            (Kind::ControlCharacter, "control_character", "control character in a string"),
            (Kind::InvalidUtf8, "invalid_utf8", "invalid UTF-8 in a string"),
            (Kind::LoneSurrogate, "lone_surrogate", "lone surrogate"),
            (Kind::UnexpectedType, "unexpected_type", "unexpected type"),
            (Kind::UnrecognizedPhase, "unrecognized_phase", "unrecognized phase spelling"),
            (Kind::UnrecognizedTimestamp, "unrecognized_timestamp", "unrecognized timestamp"),
            (Kind::ParameterNotText, "parameter_not_text", "not a string"),
            (Kind::DuplicateParameter, "duplicate_parameter", "duplicate parameter"),
            (Kind::DuplicateSpelling, "duplicate_spelling", "second spelling of a field"),
            (Kind::SubJobsNotArray, "sub_jobs_not_array", "object instead of array"),
            (Kind::RowNotAnObject, "row_not_an_object", "not an object, so the row is left out"),
            (
                Kind::RowDuplicateField,
                "row_duplicate_field",
                "duplicate field, so the row is left out",
            ),
            (
                Kind::RowTooDeep,
                "row_too_deep",
                "sub-jobs are nested too deeply, so the row is left out",
            ),
            (
                Kind::RowTooManySubJobs,
                "row_too_many_sub_jobs",
                "too many sub-jobs, so the row is left out",
            ),
            (Kind::RowTooLarge, "row_too_large", "larger than 8 MiB, so the row is left out"),
            (Kind::Truncated, "truncated", "more than 1,000 deviations"),
        ];
        for (kind, name, description) in rows {
            assert_eq!((kind.as_str(), &*kind.to_string()), (name, description));
            let json = format!("\"{name}\"");
            assert_eq!(serde_json::to_string(&kind).unwrap(), json);
            assert_eq!(serde_json::from_str::<Kind>(&json).unwrap(), kind);
        }
    }

    #[test]
    fn deviations_have_a_json_form_that_can_be_read_back() {
        let deviation = Deviation::new("status.phase", DeviationKind::UnrecognizedPhase);
        let json = r#"{"path":"status.phase","kind":"unrecognized_phase"}"#;
        assert_eq!(serde_json::to_string(&deviation).unwrap(), json);
        let newer = json.replace('{', "{\"v\":[2],");
        assert_eq!(serde_json::from_str::<Deviation>(&newer).unwrap(), deviation);
        let shown = format!("{deviation:>42}|{:<16}|", DeviationKind::TrailingComma);
        assert_eq!(shown, " status.phase: unrecognized phase spelling|trailing comma  |");
    }
}

//! Reads the rows of a list one by one.

use alloc::{format, string::String, vec::Vec};

use serde::{Deserialize, de::IgnoredAny};

use super::{
    Column, JobList, NO_TEXT, Row, Span,
    view::{Map, Texts, View, texts},
};
use crate::{
    decode::{
        DecodeError, DecodeErrorKind, Deviation, DeviationKind, Deviations, Document, Limits,
        decode,
    },
    job::Job,
};

/// Why reading a text stopped.
#[derive(Debug, PartialEq)]
pub(super) enum Stop {
    /// The text is not an array, or not valid JSON.
    Unreadable,
    /// There are too many rows, and the next one is at this offset.
    TooManyRows(usize),
}

/// The rows that were read so far.
pub(super) struct ListReader {
    text: String,
    rows: Vec<Row>,
    /// The number of rows, including the broken ones.
    count: usize,
    deviations: Deviations,
}

impl ListReader {
    fn new(capacity: usize, deviations: Deviations) -> Self {
        Self { text: String::with_capacity(capacity), rows: Vec::new(), count: 0, deviations }
    }

    /// Reads a text that is a valid array.
    pub(super) fn read_text(text: &str) -> Result<JobList, Stop> {
        let mut reader = Self::new(text.len(), Deviations::default());
        let next = |at: usize| {
            let blanks = |byte: &&u8| matches!(**byte, b' ' | b'\n' | b'\r' | b'\t');
            let at = at + text.as_bytes()[at..].iter().take_while(blanks).count();
            (at, text.as_bytes().get(at).copied())
        };
        let (mut at, first) = next(0);
        if first != Some(b'[') {
            return Err(Stop::Unreadable);
        }
        let mut byte = Some(b',');
        if let (end, Some(b']')) = next(at + 1) {
            (at, byte) = (end, Some(b']'));
        }
        while byte == Some(b',') {
            (at, _) = next(at + 1);
            reader.count_row().map_err(|_| Stop::TooManyRows(at))?;
            let rest = &text[at..];
            let (len, view) = match read_value::<Map<View<'_>>>(rest) {
                Some((len, Map(view))) => (len, Some(view)),
                None => (read_value::<IgnoredAny>(rest).ok_or(Stop::Unreadable)?.0, None),
            };
            reader.push_row(&rest[..len], view);
            (at, byte) = next(at + len);
        }
        match (byte, next(at + usize::from(byte.is_some()))) {
            (Some(b']'), (_, None)) => Ok(reader.into_list()),
            _ => Err(Stop::Unreadable),
        }
    }

    /// Reads a document, which may have been repaired, and adds to the deviations. An error has the
    /// offset in the body.
    pub(super) fn read_document(
        document: &Document<'_>,
        deviations: Deviations,
    ) -> Result<JobList, (usize, DecodeErrorKind)> {
        let mut reader = Self::new(document.body().len(), deviations);
        let mut cursor = document.cursor();
        if cursor.null() {
            reader.deviations.push(DeviationKind::UnexpectedType, String::new);
            return Ok(reader.into_list());
        }
        if !cursor.enter(b'[') {
            return Err((cursor.position(), DecodeErrorKind::NotAnArray));
        }
        while cursor.next_element() {
            reader.count_row().map_err(|kind| (cursor.position(), kind))?;
            let json = cursor.json();
            let view = serde_json::from_str::<Map<View<'_>>>(&json).map(|Map(view)| view);
            reader.push_row(&json, view.ok());
        }
        Ok(reader.into_list())
    }

    fn count_row(&mut self) -> Result<(), DecodeErrorKind> {
        self.count += 1;
        if self.count > JobList::MAX_ROWS { Err(DecodeErrorKind::TooManyRows) } else { Ok(()) }
    }

    /// Adds the row that was counted last. Decodes it if there is no view.
    fn push_row(&mut self, json: &str, view: Option<View<'_>>) {
        if json.len() > JobList::MAX_ROW_BYTES {
            self.push_broken_row("", DeviationKind::RowTooLarge);
        } else if let Some(view) = view {
            self.push_texts(json, view.into_texts());
        } else {
            let job: Result<(Job, Vec<Deviation>), DecodeError> =
                decode(json.as_bytes(), Limits::default());
            match job {
                Ok((job, _)) => self.push_texts(json, texts(&job)),
                Err(error) => self.push_broken_row(error.path(), row_deviation(error.kind())),
            }
        }
    }

    fn push_texts(&mut self, json: &str, texts: Texts<'_>) {
        let start = self.text.len();
        self.text.push_str(json);
        let mut spans = [Span { start: 0, len: NO_TEXT }; Column::COUNT];
        for (span, text) in spans.iter_mut().zip(texts) {
            let Some(text) = text else { continue };
            *span = match offset_within(json, &text) {
                Some(offset) => Span::new(start + offset, text.len()),
                None => {
                    self.text.push_str(&text);
                    Span::new(self.text.len() - text.len(), text.len())
                }
            };
        }
        let index = u32::try_from(self.count - 1).unwrap_or_default();
        self.rows.push(Row { index, json: Span::new(start, json.len()), texts: spans });
    }

    fn push_broken_row(&mut self, path: &str, kind: DeviationKind) {
        let index = self.count - 1;
        let dot = if path.is_empty() { "" } else { "." };
        self.deviations.push(kind, || format!("[{index}]{dot}{path}"));
    }

    fn into_list(self) -> JobList {
        JobList {
            text: self.text,
            broken_rows: self.count - self.rows.len(),
            rows: self.rows,
            deviations: self.deviations.into_vec(),
        }
    }
}

impl Span {
    fn new(start: usize, len: usize) -> Self {
        let number = |number| u32::try_from(number).unwrap_or(NO_TEXT);
        Self { start: number(start), len: number(len) }
    }
}

/// Reads the value at the start of a text, and returns its length.
fn read_value<'a, T: Deserialize<'a>>(text: &'a str) -> Option<(usize, T)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<T>();
    let value = values.next()?.ok()?;
    Some((values.byte_offset(), value))
}

/// Returns the offset of a text that is a part of `json`.
fn offset_within(json: &str, text: &str) -> Option<usize> {
    let offset = text.as_ptr().addr().checked_sub(json.as_ptr().addr())?;
    (offset.checked_add(text.len())? <= json.len()).then_some(offset)
}

const fn row_deviation(kind: DecodeErrorKind) -> DeviationKind {
    match kind {
        DecodeErrorKind::DuplicateField => DeviationKind::RowDuplicateField,
        DecodeErrorKind::TooDeep => DeviationKind::RowTooDeep,
        DecodeErrorKind::TooManySubJobs => DeviationKind::RowTooManySubJobs,
        DecodeErrorKind::TooLarge => DeviationKind::RowTooLarge,
        // The text of a row is valid JSON, so no other error is possible.
        DecodeErrorKind::NotAnObject
        | DecodeErrorKind::NotAnArray
        | DecodeErrorKind::TooManyRows
        | DecodeErrorKind::Syntax
        | DecodeErrorKind::Truncated
        | DecodeErrorKind::NotUtf8 => DeviationKind::RowNotAnObject,
    }
}

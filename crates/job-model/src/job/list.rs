//! Decodes a list of jobs, row by row, and keeps the text of each row.

mod reader;
mod view;

use alloc::{string::String, vec::Vec};
use core::fmt;

use super::{Decoded, FIELD_NAMES, Phase, Timestamp};
use crate::decode::{DecodeError, DecodeErrorKind, Deviation, Document};
use reader::{ListReader, Stop};

/// The jobs of a project, as API v2 lists them.
///
/// The reply is an array of jobs. The list keeps the text of each row, and where the fields are by
/// which a job is recognized. [`JobRow::decode`] decodes a row into a [`Job`](crate::Job). The rows
/// may have the names of API v2 or of API v3.
///
/// # Broken rows
///
/// A row is broken if it cannot be decoded into a job: it is not an object, has a known field twice,
/// exceeds the [`Limits`](crate::decode::Limits), or is larger than 8 MiB. Such a row is left out,
/// and [`JobList::deviations`] lists its index and what is wrong. Other rows are not affected, and
/// each of them can be decoded.
///
/// # Memory
///
/// The list takes at most 100 bytes for each row in addition to the text of the rows. The text is as
/// large as the body, or up to six times as large if the body consists of control characters and
/// invalid UTF-8.
///
/// # Examples
///
/// ```
/// use job_model::{Phase, job::JobList};
///
/// let body = br#"[
///     {"metadata": {"uid": "a"}, "status": {"status": "Running"}},
///     {"metadata": {"uid": "b", "uid": "c"}},
///     {"metadata": {"uid": "d"}, "spec": {"resourcename": "node-1"}, "status": {"status": "Failed"}}
/// ]"#;
/// let list = JobList::from_slice(body)?;
///
/// let phases: Vec<_> = list.rows().map(|row| (row.uid(), row.phase())).collect();
/// assert_eq!(phases, [(Some("a"), Some(Phase::Running)), (Some("d"), Some(Phase::Failed))]);
/// assert_eq!(list.deviations()[0].to_string(), "[1].metadata.uid: duplicate field, so the row is left out");
///
/// let failed = list.rows().last().expect("there are rows").decode()?.job;
/// assert_eq!(failed.failure().expect("it failed").path.to_string(), "");
/// # Ok::<(), job_model::DecodeError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct JobList {
    /// The texts of the rows, and texts that rows have in another form, such as with escapes.
    text: String,
    rows: Vec<Row>,
    broken_rows: usize,
    deviations: Vec<Deviation>,
}

/// Where a row and its texts are in the text of the list.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Row {
    /// The index in the reply.
    index: u32,
    json: Span,
    texts: [Span; Column::COUNT],
}

/// A field that can be read without decoding the row.
#[derive(Clone, Copy)]
enum Column {
    Uid,
    CreationTimestamp,
    UpdateTimestamp,
    JobType,
    ClusterUid,
    ResourceId,
    ResourceName,
    Phase,
    CompletionTime,
}

impl Column {
    const COUNT: usize = Self::CompletionTime as usize + 1;
}

/// A range of bytes. Shorter than a `Range`, because there are many of them.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    /// `NO_TEXT` if the field is absent.
    len: u32,
}

/// The length of a field that is absent. No text is as long, because a list has at most 32 MiB.
const NO_TEXT: u32 = u32::MAX;

impl JobList {
    /// The maximum size of a body in bytes: 32 MiB.
    pub const MAX_BYTES: usize = 32 << 20;

    /// The maximum size of a row in bytes: 8 MiB, as for a single job. A larger row is broken.
    pub const MAX_ROW_BYTES: usize = 8 << 20;

    /// The maximum number of rows: 100,000.
    pub const MAX_ROWS: usize = 100_000;

    /// Decodes the body of a list of jobs.
    ///
    /// The same syntax errors are tolerated as in [`Decoded::from_slice`], and listed in
    /// [`JobList::deviations`]. A body that is `null` is an empty list with a deviation, because
    /// some encoders write an empty list this way.
    ///
    /// Deviations of the values within a row are not listed. Decode the row to get them.
    ///
    /// # Errors
    ///
    /// Returns an error if the body is not valid JSON, is truncated, is not an array
    /// ([`ForeignBody::from_body`](crate::reply::ForeignBody::from_body) describes what it is), is
    /// larger than [`JobList::MAX_BYTES`], or has more than [`JobList::MAX_ROWS`] rows.
    pub fn from_slice(body: &[u8]) -> Result<Self, DecodeError> {
        let error = |offset, kind| DecodeError::new(body, offset, kind, &Default::default());
        if body.len() > Self::MAX_BYTES {
            return Err(error(Self::MAX_BYTES, DecodeErrorKind::TooLarge));
        }
        match core::str::from_utf8(body).map(ListReader::read_text) {
            Ok(Ok(list)) => return Ok(list),
            Ok(Err(Stop::TooManyRows(at))) => return Err(error(at, DecodeErrorKind::TooManyRows)),
            // Finds the error, or repairs it.
            Ok(Err(Stop::Unreadable)) | Err(_) => {}
        }
        let (document, deviations) = Document::new(body, FIELD_NAMES)?;
        ListReader::read_document(&document, deviations).map_err(|(at, kind)| error(at, kind))
    }

    /// Returns the rows in the service's order, without those that are broken.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = JobRow<'_>> {
        self.rows.iter().map(|row| JobRow { list: self, row })
    }

    /// Returns the number of rows without those that are broken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns `true` if there are no rows, or if all of them are broken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the number of broken rows.
    #[must_use]
    pub const fn broken_rows(&self) -> usize {
        self.broken_rows
    }

    /// Returns the syntax errors that were tolerated, and the rows that were left out. The paths
    /// start with the index of a row, such as `[3].status`.
    ///
    /// At most 1,000 deviations are listed. If there are more, the last entry is
    /// [`DeviationKind::Truncated`](crate::decode::DeviationKind::Truncated).
    #[must_use]
    pub fn deviations(&self) -> &[Deviation] {
        &self.deviations
    }

    fn text(&self, Span { start, len }: Span) -> Option<&str> {
        let start = usize::try_from(start).ok()?;
        let len = usize::try_from(len).ok()?;
        self.text.get(start..start.checked_add(len)?)
    }
}

impl fmt::Debug for JobList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobList")
            .field("rows", &self.len())
            .field("broken_rows", &self.broken_rows)
            .field("deviations", &self.deviations.len())
            .finish_non_exhaustive()
    }
}

/// One row of a [`JobList`]: a job that is not decoded yet.
///
/// The methods read the most important fields without decoding the row, and return what the methods
/// of the decoded job return.
#[derive(Clone, Copy)]
pub struct JobRow<'a> {
    list: &'a JobList,
    row: &'a Row,
}

impl<'a> JobRow<'a> {
    /// Returns the index of the row in the reply, counted from 0. Broken rows count, too.
    #[must_use]
    pub const fn index(self) -> usize {
        self.row.index as usize
    }

    /// Returns the row as JSON text, after repair of syntax errors.
    ///
    /// A job that has not changed since the last list has the same text, unless the service changes
    /// the order of the fields.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.list.text(self.row.json).unwrap_or_default()
    }

    /// Decodes the row, and lists the deviations of its values.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`Decoded::from_slice`]. The list leaves out the rows to
    /// which these apply, so no error is expected.
    pub fn decode(self) -> Result<Decoded, DecodeError> {
        Decoded::from_slice(self.as_str().as_bytes())
    }

    /// Returns the job's id.
    #[must_use]
    pub fn uid(self) -> Option<&'a str> {
        self.text(Column::Uid)
    }

    /// Returns the job's type, such as `ScaleupCluster`.
    #[must_use]
    pub fn job_type(self) -> Option<&'a str> {
        self.text(Column::JobType)
    }

    /// Returns the cluster of the job.
    #[must_use]
    pub fn cluster_uid(self) -> Option<&'a str> {
        self.text(Column::ClusterUid)
    }

    /// Returns the resource that the job works on.
    #[must_use]
    pub fn resource_id(self) -> Option<&'a str> {
        self.text(Column::ResourceId)
    }

    /// Returns the name of the resource that the job works on.
    #[must_use]
    pub fn resource_name(self) -> Option<&'a str> {
        self.text(Column::ResourceName)
    }

    /// Returns the phase, or `None` if the service omitted it or sent an empty string.
    #[must_use]
    pub fn phase(self) -> Option<Phase> {
        self.text(Column::Phase).filter(|text| !text.is_empty()).map(Phase::from)
    }

    /// Returns `creationTimestamp`, or `None` if it is missing or not a time.
    #[must_use]
    pub fn created_at(self) -> Option<jiff::Timestamp> {
        self.instant(Column::CreationTimestamp)
    }

    /// Returns `updateTimestamp`, or `None` if it is missing or not a time.
    #[must_use]
    pub fn updated_at(self) -> Option<jiff::Timestamp> {
        self.instant(Column::UpdateTimestamp)
    }

    /// Returns `completionTime`, or `None` if it is missing or not a time.
    #[must_use]
    pub fn completed_at(self) -> Option<jiff::Timestamp> {
        self.instant(Column::CompletionTime)
    }

    fn text(self, column: Column) -> Option<&'a str> {
        let span = self.row.texts[column as usize];
        if span.len == NO_TEXT { None } else { self.list.text(span) }
    }

    fn instant(self, column: Column) -> Option<jiff::Timestamp> {
        Timestamp::parse_instant(self.text(column)?)
    }
}

/// Shows the most important fields.
impl fmt::Debug for JobRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobRow")
            .field("index", &self.index())
            .field("uid", &self.uid())
            .field("job_type", &self.job_type())
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! From a reply's bytes to a job. Keeps no byte of the body in an error.

use alloc::vec::Vec;
use core::fmt;

use serde_json::error::Category;

use crate::{Deviation, Job, repair::repair};

/// A job, and what was odd about the body it was read from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Decoded {
    /// The job.
    pub job: Job,
    /// Where the body departed from the reference page and was understood; empty as a rule.
    pub deviations: Vec<Deviation>,
}

impl Decoded {
    /// Reads a job, tolerating a trailing comma and a byte order mark, each as a deviation.
    ///
    /// ```
    /// use job_model::{Decoded, DeviationKind};
    ///
    /// let decoded = Decoded::from_slice(br#"{"status": {"phase": "Running",}}"#)?;
    /// assert_eq!(decoded.deviations[0].kind, DeviationKind::TrailingComma);
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where the body is not JSON, is cut short, or has a shape no job has.
    pub fn from_slice(body: &[u8]) -> Result<Self, DecodeError> {
        let (job, deviations) = match serde_json::from_slice(body) {
            Ok(job) => (job, Vec::new()),
            // Only now: a well-formed body pays nothing for the tolerance.
            Err(_) => {
                let (body, deviations) = repair(body);
                let job =
                    serde_json::from_slice(&body).map_err(|error| DecodeError::new(&error))?;
                (job, deviations)
            }
        };
        Ok(Self { job, deviations })
    }
}

impl Job {
    /// Reads a job as [`Decoded::from_slice`] does, for a caller who does not ask what was odd.
    ///
    /// # Errors
    ///
    /// As [`Decoded::from_slice`].
    pub fn from_slice(body: &[u8]) -> Result<Self, DecodeError> {
        Decoded::from_slice(body).map(|decoded| decoded.job)
    }
}

/// A body that is no readable job: what is wrong with it, and where.
///
/// Holds nothing of the body itself, which may be large or secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    kind: DecodeErrorKind,
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
    /// The body is JSON of another shape: no object, a field of an odd type, or one given twice.
    Shape,
}

impl DecodeError {
    // No `From`, which would be public: any error of serde_json would pass for a body's.
    fn new(error: &serde_json::Error) -> Self {
        Self {
            kind: match error.classify() {
                Category::Syntax => DecodeErrorKind::Syntax,
                // Io is for readers; from a slice it cannot come.
                Category::Eof | Category::Io => DecodeErrorKind::Truncated,
                Category::Data => DecodeErrorKind::Shape,
            },
            line: error.line(),
            column: error.column(),
        }
    }

    /// Returns what is wrong.
    #[must_use]
    pub const fn kind(&self) -> DecodeErrorKind {
        self.kind
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
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DecodeErrorKind::Syntax => "the body is not JSON",
            DecodeErrorKind::Truncated => "the body ends too soon",
            DecodeErrorKind::Shape => "the body has not the shape of a job",
        };
        write!(f, "{what} (line {}, column {})", self.line, self.column)
    }
}

impl core::error::Error for DecodeError {}

#[cfg(test)]
mod tests;

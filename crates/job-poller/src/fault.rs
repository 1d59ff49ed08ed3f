//! An attempt that gave no job, as plain data. Decides nothing.

use std::{error::Error, fmt, time::Duration};

use job_transport::{Class, FetchError, FetchStage, TransportErrorKind};

/// An attempt that gave no job: what that means for asking again, the facts, and the story in words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// What it means for asking again.
    pub class: Class,
    /// What happened, from the outermost cause to the innermost.
    pub message: String,
    /// What went wrong on the way, where no whole reply came.
    pub transport: Option<TransportErrorKind>,
    /// The reply's status, where one came that is not 200.
    pub status: Option<u16>,
    /// The service's name for the request, where a reply told it.
    pub request_id: Option<String>,
}

impl Fault {
    /// Creates a fault of which no more is known.
    #[must_use]
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), transport: None, status: None, request_id: None }
    }

    /// Creates the fault of an attempt that was cut off at its timeout.
    #[must_use]
    pub fn timed_out(timeout: Duration) -> Self {
        let fault = Self::new(Class::Transient, format!("no reply within {timeout:.1?}"));
        Self { transport: Some(TransportErrorKind::Timeout), ..fault }
    }
}

impl From<&FetchError> for Fault {
    fn from(error: &FetchError) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        let transport = match error.stage() {
            FetchStage::Transport(error) => Some(error.kind()),
            _ => None,
        };
        let status = match error.stage() {
            FetchStage::Status { status, .. } => Some(status.as_u16()),
            _ => None,
        };
        let request_id = error.request_id().map(String::from);
        Self { transport, status, request_id, ..Self::new(error.class(), message) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Fault {}

//! An attempt that gave no job, as plain data. Decides nothing.

use std::{error::Error, fmt, time::Duration};

use job_transport::{Class, FetchError};

/// An attempt that gave no job: what that means for asking again, and the story in words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// What it means for asking again.
    pub class: Class,
    /// What happened, from the outermost cause to the innermost.
    pub message: String,
}

impl Fault {
    /// Creates a fault.
    #[must_use]
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }

    /// The attempt was cut off at its timeout.
    #[must_use]
    pub fn timed_out(timeout: Duration) -> Self {
        Self::new(Class::Transient, format!("no reply within {timeout:.1?}"))
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
        Self::new(error.class(), message)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Fault {}

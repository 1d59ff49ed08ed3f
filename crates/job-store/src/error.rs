//! The errors of a store.

use std::error::Error;

/// The error of a call of a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database returned an error, or cannot be reached.
    #[error("the database returned an error")]
    Database(#[from] sqlx::Error),

    /// The tables are those of a later version of this crate. Update this program.
    #[error(
        "the tables have version {found}, but this program supports only {supported}; update this program"
    )]
    #[non_exhaustive]
    NewerSchema {
        /// The version of the tables.
        found: i64,
        /// The latest version that this program supports.
        supported: i64,
    },

    /// A row has content that this version cannot read.
    #[error("cannot read the column {column}")]
    #[non_exhaustive]
    Unreadable {
        /// The name of the column.
        column: String,
        /// Why it cannot be read.
        source: Box<dyn Error + Send + Sync>,
    },

    /// A wait for the job is active whose policy contradicts the request.
    #[error(
        "a wait for this job is active with another policy; only its deadline and its goal can change, so use the same policy, or cancel the wait first"
    )]
    Conflict,

    /// The receiver of a notification is not allowed.
    #[error("notifications cannot be sent to this receiver")]
    Receiver(#[from] job_notify::NotifierError),

    /// The wait has too many receivers.
    #[error("a wait has at most {} receivers", crate::receiver::MAX_RECEIVERS)]
    TooManyReceivers,
}

impl StoreError {
    pub(crate) fn unreadable(
        column: &str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Unreadable { column: column.into(), source: source.into() }
    }

    pub(crate) const fn newer_schema(found: i64, supported: i64) -> Self {
        Self::NewerSchema { found, supported }
    }
}

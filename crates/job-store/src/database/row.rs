//! The rows of a query, and the form of times in them.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row as _;

use crate::error::StoreError;

/// A row of a query.
pub(crate) enum Row {
    #[cfg(feature = "postgres")]
    Postgres(sqlx::postgres::PgRow),
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::sqlite::SqliteRow),
}

macro_rules! get {
    ($row:ident, $column:ident) => {
        match $row {
            #[cfg(feature = "postgres")]
            Self::Postgres(row) => row.try_get($column)?,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(row) => row.try_get($column)?,
        }
    };
}

impl Row {
    pub(crate) fn opt_int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        Ok(get!(self, column))
    }

    pub(crate) fn int(&self, column: &str) -> Result<i64, StoreError> {
        Ok(self.opt_int(column)?.unwrap_or_default())
    }

    pub(crate) fn opt_text(&self, column: &str) -> Result<Option<String>, StoreError> {
        Ok(get!(self, column))
    }

    pub(crate) fn text(&self, column: &str) -> Result<String, StoreError> {
        Ok(self.opt_text(column)?.unwrap_or_default())
    }

    pub(crate) fn time(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        self.opt_int(column)?.map(from_micros).transpose()
    }

    /// Decodes a column with JSON.
    ///
    /// # Errors
    ///
    /// Returns an error that names the column if it is not the expected JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>, StoreError> {
        let Some(text) = self.opt_text(column)? else { return Ok(None) };
        let decoded = serde_json::from_str(&text);
        decoded.map(Some).map_err(|error| StoreError::unreadable(column, error))
    }
}

/// Returns a time as microseconds since 1970, rounded up, so that nothing is due too early.
pub(crate) fn to_micros(time: Timestamp) -> i64 {
    let micros = time.as_microsecond();
    let is_exact = time.as_nanosecond() == i128::from(micros) * 1000;
    // Before 1970, the conversion rounds up already.
    if is_exact || micros < 0 { micros } else { micros + 1 }
}

/// Returns the time from microseconds since 1970.
pub(crate) fn from_micros(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|error| StoreError::unreadable("time", error))
}

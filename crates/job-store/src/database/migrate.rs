//! Creates the tables of a store, and updates those of an earlier version.

use super::{Database, Transaction};
use crate::error::StoreError;

/// The migrations in order. A version that was released never changes.
const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/1.sql")];

/// The version of a database in which all migrations are applied.
const VERSION: i64 = MIGRATIONS.len() as i64;

impl Database {
    /// Applies the migrations that are missing.
    ///
    /// # Errors
    ///
    /// Returns an error if the tables are those of a later version.
    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        transaction.lock_schema().await?;
        transaction
            .execute("CREATE TABLE IF NOT EXISTS cce_schema (version BIGINT NOT NULL)", &[])
            .await?;
        let row = transaction.row("SELECT max(version) AS version FROM cce_schema", &[]).await?;
        let version = row.map_or(Ok(0), |row| row.int("version"))?;
        if version > VERSION {
            return Err(StoreError::newer_schema(version, VERSION));
        }
        for (number, migration) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > version) {
            for statement in statements(migration) {
                transaction.execute(statement, &[]).await?;
            }
            let insert = "INSERT INTO cce_schema (version) VALUES ($1)";
            transaction.execute(insert, &[number.into()]).await?;
        }
        transaction.commit().await
    }
}

impl Transaction {
    /// Keeps two processes from applying the migrations at the same time.
    async fn lock_schema(&mut self) -> Result<(), StoreError> {
        match &self.inner {
            #[cfg(feature = "postgres")]
            super::Inner::Postgres(_) => {
                // An arbitrary number that identifies this lock.
                let lock = "SELECT CAST(pg_advisory_xact_lock(3640172845) AS TEXT)";
                self.rows(lock, &[]).await.map(drop)
            }
            // The transaction has locked the database.
            #[cfg(feature = "sqlite")]
            super::Inner::Sqlite(_) => Ok(()),
        }
    }
}

/// Returns the statements of a migration. No text or comment in it contains `;\n`.
fn statements(migration: &'static str) -> impl Iterator<Item = &'static str> {
    migration.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}

//! Creates the tables of a store, and updates those of an earlier version.

use super::{Database, Transaction};
use crate::error::StoreError;

/// The migrations in order. A version that was released never changes.
const MIGRATIONS: [&str; 2] =
    [include_str!("../../migrations/1.sql"), include_str!("../../migrations/2.sql")];

/// The version of a database in which all migrations are applied.
const VERSION: i64 = MIGRATIONS.len() as i64;

impl Database {
    /// Applies the migrations that are missing. If there are none, only reads, so that a user who may
    /// not create tables can open the store.
    ///
    /// # Errors
    ///
    /// Returns an error if the tables are those of a later version.
    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        if self.begin_read().await?.version().await? == VERSION {
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        transaction.lock_schema().await?;
        let version = transaction.version().await?;
        if version > VERSION {
            return Err(StoreError::newer_schema(version, VERSION));
        }
        if version == 0 {
            let create = "CREATE TABLE cce_schema (version BIGINT NOT NULL)";
            transaction.execute(create, &[]).await?;
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
    /// Returns the number of the last migration, or 0 if the tables do not exist.
    async fn version(&mut self) -> Result<i64, StoreError> {
        let exists = match &self.inner {
            #[cfg(feature = "postgres")]
            super::Inner::Postgres(_) => {
                "SELECT count(*) AS tables FROM pg_class WHERE oid = to_regclass('cce_schema')"
            }
            #[cfg(feature = "sqlite")]
            super::Inner::Sqlite(_) => {
                "SELECT count(*) AS tables FROM sqlite_master WHERE name = 'cce_schema'"
            }
        };
        let row = self.row(exists, &[]).await?;
        if row.map_or(Ok(0), |row| row.int("tables"))? == 0 {
            return Ok(0);
        }
        let row = self.row("SELECT max(version) AS version FROM cce_schema", &[]).await?;
        row.map_or(Ok(0), |row| row.int("version"))
    }

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

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use job_poller::{WaitPolicy, durable::StoredWait};

    use super::*;
    use crate::{
        ListQuery, Store,
        row::to_json,
        testing::{SUCCESS, TestBed, key},
    };

    /// Tables of each earlier version, with a wait.
    #[tokio::test]
    async fn waits_of_earlier_versions_go_on() {
        for version in 1..VERSION {
            let bed = TestBed::empty(&[SUCCESS]).await;
            let mut transaction = bed.store.database.begin().await.unwrap();
            let create = "CREATE TABLE cce_schema (version BIGINT NOT NULL)";
            transaction.execute(create, &[]).await.unwrap();
            for (number, migration) in (1..=version).zip(MIGRATIONS) {
                for statement in statements(migration) {
                    transaction.execute(statement, &[]).await.unwrap();
                }
                let insert = "INSERT INTO cce_schema (version) VALUES ($1)";
                transaction.execute(insert, &[number.into()]).await.unwrap();
            }
            let (key, now) = (key("a"), transaction.now().await.unwrap());
            let wait = StoredWait::new(key.job.clone(), WaitPolicy::new(), 0, now);
            let insert = "INSERT INTO cce_waits (key, project, number, tick, wait, receivers, due, \
                          created_at) VALUES ('p:a', 'p', 1, 1, $1, '[]', $2, $2)";
            let wait = to_json(&wait).unwrap();
            transaction.execute(insert, &[(&wait).into(), now.into()]).await.unwrap();
            let insert = "INSERT INTO cce_waits (key, project, number, tick, receivers, outcome, \
                          has_job_ended, result, created_at, finished_at) \
                          VALUES ('p:gone', 'p', 1, 1, '[]', 'gone', 1, '{}', $1, $1)";
            transaction.execute(insert, &[now.into()]).await.unwrap();
            transaction.commit().await.unwrap();
            let store = Store::open(bed.store.database.clone()).await.unwrap();
            let active = store.list(&ListQuery::new().active()).await.unwrap();
            assert_eq!(active.waits.len(), 1, "{version}");
            let counts = store.summary().await.unwrap().waits;
            assert_eq!((counts.active, counts.succeeded), (1, 1), "{version}");
            bed.worker.run_once().await;
            let result = store.get(&key).await.unwrap().unwrap().result;
            assert_eq!(result.map(|result| result.outcome).as_deref(), Some("succeeded"));
        }
    }
}

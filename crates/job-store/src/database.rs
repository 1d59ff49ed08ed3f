//! The database of a store: one pool, transactions, and the same SQL for PostgreSQL and SQLite.

mod migrate;
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::sync::Arc;

use jiff::Timestamp;
use job_model::ProjectId;
use job_transport::clock::Clock;
#[cfg(feature = "sqlite")]
use sqlx::SqlitePool;
use sqlx::{AssertSqlSafe, Encode, Type, query::Query};
#[cfg(feature = "postgres")]
use sqlx::{PgPool, Postgres};

pub(crate) use self::row::{Row, from_micros, to_micros};
#[cfg(feature = "sqlite")]
use self::sqlite::SqliteTransaction;
use crate::error::StoreError;

/// A pool of connections, and the source of the time.
#[derive(Clone)]
pub(crate) struct Database {
    pool: Pool,
    /// The clock in place of the database's, in tests.
    clock: Option<Arc<dyn Clock>>,
}

#[derive(Clone, Debug)]
enum Pool {
    #[cfg(feature = "postgres")]
    Postgres(PgPool),
    #[cfg(feature = "sqlite")]
    Sqlite(SqlitePool),
}

/// A transaction, which is rolled back if it is dropped.
pub(crate) struct Transaction {
    inner: Inner,
    clock: Option<Arc<dyn Clock>>,
}

enum Inner {
    #[cfg(feature = "postgres")]
    Postgres(sqlx::Transaction<'static, Postgres>),
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteTransaction),
}

/// A parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Int(Option<i64>),
    Text(Option<&'a str>),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Int(Some(value.into()))
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(value: Timestamp) -> Self {
        Self::Int(Some(to_micros(value)))
    }
}

impl From<Option<Timestamp>> for Value<'_> {
    fn from(value: Option<Timestamp>) -> Self {
        Self::Int(value.map(to_micros))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Some(value))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(Some(value))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Self::Text(value)
    }
}

impl Database {
    #[cfg(feature = "postgres")]
    pub(crate) const fn postgres(pool: PgPool) -> Self {
        Self { pool: Pool::Postgres(pool), clock: None }
    }

    #[cfg(feature = "sqlite")]
    pub(crate) const fn sqlite(pool: SqlitePool) -> Self {
        Self { pool: Pool::Sqlite(pool), clock: None }
    }

    /// Takes the time from a clock instead of the database.
    #[cfg(test)]
    #[cfg(feature = "sqlite")]
    pub(crate) fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Begins a transaction. In SQLite, it is the only one that writes.
    pub(crate) async fn begin(&self) -> Result<Transaction, StoreError> {
        // A stricter level would fail if two workers claim at the same time.
        self.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await
    }

    /// Begins a transaction whose commit does not wait for the disk.
    ///
    /// If PostgreSQL crashes, it may lose the last of these transactions, completely. So use it only
    /// for what a worker would repeat, such as the plan of an attempt, or call [`flush`](Self::flush)
    /// afterwards.
    pub(crate) async fn begin_unflushed(&self) -> Result<Transaction, StoreError> {
        self.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off")
            .await
    }

    async fn begin_with(&self, statement: &'static str) -> Result<Transaction, StoreError> {
        let inner = match &self.pool {
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => Inner::Postgres(pool.begin_with(statement).await?),
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => {
                let _ = statement;
                Inner::Sqlite(SqliteTransaction::begin(pool, "BEGIN IMMEDIATE").await?)
            }
        };
        Ok(Transaction { inner, clock: self.clock.clone() })
    }

    /// Waits until the disk has stored all transactions that were committed.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        match &self.pool {
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => {
                // A commit waits for the disk only if its transaction has written to the log. This
                // message does so, locks nothing, and needs no privilege. No program reads it.
                let message = "SELECT pg_logical_emit_message(true, 'job-store', '')";
                sqlx::query(message).execute(pool).await?;
            }
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => {}
        }
        Ok(())
    }

    /// Returns whether other processes may use the database.
    pub(crate) const fn is_shared(&self) -> bool {
        match &self.pool {
            #[cfg(feature = "postgres")]
            Pool::Postgres(_) => true,
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => false,
        }
    }

    /// Executes the smallest query.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        match &self.pool {
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => sqlx::query("SELECT 1").execute(pool).await.map(drop)?,
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => sqlx::query("SELECT 1").execute(pool).await.map(drop)?,
        }
        Ok(())
    }

    /// Closes the pool.
    pub(crate) async fn close(&self) {
        match &self.pool {
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => pool.close().await,
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => pool.close().await,
        }
    }

    /// Begins a transaction that only reads.
    pub(crate) async fn begin_read(&self) -> Result<Transaction, StoreError> {
        let inner = match &self.pool {
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => Inner::Postgres(pool.begin().await?),
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => Inner::Sqlite(SqliteTransaction::begin(pool, "BEGIN").await?),
        };
        Ok(Transaction { inner, clock: self.clock.clone() })
    }
}

impl Transaction {
    /// Returns the time of the database.
    pub(crate) async fn now(&mut self) -> Result<Timestamp, StoreError> {
        if let Some(clock) = &self.clock {
            return Ok(clock.now());
        }
        let sql = match &self.inner {
            #[cfg(feature = "postgres")]
            Inner::Postgres(_) => {
                "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now"
            }
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(_) => "SELECT CAST(unixepoch('subsec') * 1000000 AS BIGINT) AS now",
        };
        let row = self.row(sql, &[]).await?;
        from_micros(row.map_or(Ok(0), |row| row.int("now"))?)
    }

    /// Executes a statement, and returns the number of rows that it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        Ok(match &mut self.inner {
            #[cfg(feature = "postgres")]
            Inner::Postgres(transaction) => {
                bind(sql.into(), values).execute(&mut **transaction).await?.rows_affected()
            }
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(transaction) => {
                let connection = transaction.connection()?;
                bind(without_locks(sql), values).execute(connection).await?.rows_affected()
            }
        })
    }

    /// Returns the rows of a query.
    pub(crate) async fn rows(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        Ok(match &mut self.inner {
            #[cfg(feature = "postgres")]
            Inner::Postgres(transaction) => {
                let rows = bind(sql.into(), values).fetch_all(&mut **transaction).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(transaction) => {
                let connection = transaction.connection()?;
                let rows = bind(without_locks(sql), values).fetch_all(connection).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
        })
    }

    /// Returns the first row of a query.
    pub(crate) async fn row(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Returns the number that a query counts, which depends on the time.
    pub(crate) async fn count(
        &mut self,
        sql: &'static str,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let row = self.row(sql, &[now.into()]).await?;
        let count = row.map_or(Ok(0), |row| row.int("count"))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Keeps a project from being paused or resumed while one of its waits is started, until the end
    /// of the transaction.
    pub(crate) async fn lock_project(
        &mut self,
        project: &ProjectId,
        is_exclusive: bool,
    ) -> Result<(), StoreError> {
        match &self.inner {
            #[cfg(feature = "postgres")]
            Inner::Postgres(_) => {
                // The first number is arbitrary, and identifies the kind of lock.
                let sql = if is_exclusive {
                    "SELECT CAST(pg_advisory_xact_lock(364017284, hashtext($1)) AS TEXT)"
                } else {
                    "SELECT CAST(pg_advisory_xact_lock_shared(364017284, hashtext($1)) AS TEXT)"
                };
                self.rows(sql, &[project.as_str().into()]).await.map(drop)
            }
            // The transaction has locked the database.
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(_) => {
                let _ = (project, is_exclusive);
                Ok(())
            }
        }
    }

    /// Wakes the sessions that listen to a channel of PostgreSQL, after the commit.
    pub(crate) async fn notify(&mut self, channel: &'static str) -> Result<(), StoreError> {
        match &self.inner {
            #[cfg(feature = "postgres")]
            Inner::Postgres(_) => {
                self.rows("SELECT pg_notify($1, '')", &[channel.into()]).await.map(drop)
            }
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(_) => {
                let _ = channel;
                Ok(())
            }
        }
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self.inner {
            #[cfg(feature = "postgres")]
            Inner::Postgres(transaction) => transaction.commit().await?,
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(transaction) => transaction.commit().await?,
        }
        Ok(())
    }
}

/// Removes the locks of rows, which SQLite does not have, because a transaction locks the database.
#[cfg(feature = "sqlite")]
fn without_locks(sql: &'static str) -> String {
    sql.replace(" FOR UPDATE SKIP LOCKED", "").replace(" FOR UPDATE", "")
}

fn bind<'a, DB>(sql: String, values: &'a [Value<'a>]) -> Query<'a, DB, DB::Arguments>
where
    DB: sqlx::Database,
    Option<i64>: Encode<'a, DB> + Type<DB>,
    Option<&'a str>: Encode<'a, DB> + Type<DB>,
{
    // All statements are constants of this crate; values are parameters.
    let query = sqlx::query(AssertSqlSafe(sql));
    values.iter().fold(query, |query, value| match value {
        Value::Int(value) => query.bind(*value),
        Value::Text(value) => query.bind(*value),
    })
}

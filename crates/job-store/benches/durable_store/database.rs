//! The databases of the stores, and how a process opens one.

use std::{path::PathBuf, time::Duration};

use job_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use sqlx::{
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// Where a store is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Address {
    /// The folder of a PostgreSQL server's socket.
    Postgres(PathBuf),
    /// The file of an SQLite database.
    Sqlite(PathBuf),
}

/// How long a connection waits for another one that writes, with SQLite.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

impl Address {
    /// Opens the store with a pool of this many connections.
    pub(crate) async fn open(&self, connections: u32) -> Result<Store, StoreError> {
        match self {
            Self::Postgres(folder) => {
                let pool = PgPoolOptions::new().max_connections(connections);
                Store::postgres(pool.connect_with(postgres_options(folder)).await?).await
            }
            Self::Sqlite(file) => {
                let pool = SqlitePoolOptions::new().max_connections(connections);
                Store::sqlite(pool.connect_with(sqlite_options(file)).await?).await
            }
        }
    }
}

fn postgres_options(folder: &PathBuf) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass().socket(folder);
    options.username("postgres").database("postgres")
}

pub(crate) fn sqlite_options(file: &PathBuf) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
}

//! Opens the database: SQLite in the state folder, or PostgreSQL.

use std::{
    fs::{self, File},
    io,
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, bail};
use job_notify::Webhook;
use job_store::Store;
use sqlx::{
    Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use tokio::time::timeout;

use crate::files;

/// How long a call waits for a connection or for the lock of SQLite.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The connections of one server to PostgreSQL.
const POSTGRES_CONNECTIONS: u32 = 10;

/// The connections to SQLite, of which one at a time writes.
const SQLITE_CONNECTIONS: u32 = 4;

/// An open database.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) store: Store,
    /// Keeps other servers from using the same file.
    _lock: Option<File>,
}

impl Database {
    /// Opens the file with waits, and creates it for this user alone if it is missing.
    ///
    /// # Errors
    ///
    /// Returns an error if another process uses the file, or if it cannot be opened.
    pub(crate) async fn sqlite(file: &Path, webhook: Option<Webhook>) -> anyhow::Result<Self> {
        let lock = lock(file).with_context(|| cannot_open(file))?;
        Self::open_sqlite(file, lock, SqliteSynchronous::Full, webhook).await
    }

    /// Creates a file for simulated waits, in place of the one of the last run.
    ///
    /// # Errors
    ///
    /// Returns an error if another process uses the file, or if it cannot be created.
    pub(crate) async fn temporary(file: &Path, webhook: Option<Webhook>) -> anyhow::Result<Self> {
        let lock = lock(file).with_context(|| cannot_open(file))?;
        for suffix in ["", "-wal", "-shm"] {
            let mut path = file.as_os_str().to_owned();
            path.push(suffix);
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| cannot_open(file));
                }
                _ => {}
            }
        }
        // The next start does not need this file.
        Self::open_sqlite(file, lock, SqliteSynchronous::Off, webhook).await
    }

    async fn open_sqlite(
        file: &Path,
        lock: File,
        synchronous: SqliteSynchronous,
        webhook: Option<Webhook>,
    ) -> anyhow::Result<Self> {
        let context = || cannot_open(file);
        match files::create_private(file) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).with_context(context);
            }
            _ => {}
        }
        let options = SqliteConnectOptions::new()
            .filename(file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(ACQUIRE_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(SQLITE_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await
            .with_context(context)?;
        let store = Store::sqlite(pool).await.with_context(context)?;
        // The process that held the leases has ended, because this process has locked the file.
        store.release_leases().await.with_context(context)?;
        Ok(Self { store: with_webhook(store, webhook), _lock: Some(lock) })
    }

    /// Connects to PostgreSQL. Any number of servers can share it.
    ///
    /// # Errors
    ///
    /// Returns an error if the database cannot be reached.
    pub(crate) async fn postgres(
        options: PgConnectOptions,
        webhook: Option<Webhook>,
    ) -> anyhow::Result<Self> {
        // A pool reports that it timed out, and not why.
        check_connection(&options).await.with_context(|| {
            let port = options.get_port();
            match options.get_socket() {
                Some(folder) => format!("cannot connect to PostgreSQL at {}", folder.display()),
                None => format!("cannot connect to PostgreSQL at {}:{port}", options.get_host()),
            }
        })?;
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await
            .context("cannot connect to PostgreSQL")?;
        let store = Store::postgres(pool).await.context("cannot use PostgreSQL")?;
        Ok(Self { store: with_webhook(store, webhook), _lock: None })
    }
}

/// Connects once, and closes the connection.
async fn check_connection(options: &PgConnectOptions) -> anyhow::Result<()> {
    let connection = timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options)).await??;
    Ok(connection.close().await?)
}

fn cannot_open(file: &Path) -> String {
    format!("cannot open the database {}", file.display())
}

fn with_webhook(store: Store, webhook: Option<Webhook>) -> Store {
    match webhook {
        Some(webhook) => store.notifier(webhook),
        None => store,
    }
}

/// Locks a file beside the database until the process ends, however it ends.
fn lock(database: &Path) -> anyhow::Result<File> {
    let path = database.with_extension("lock");
    let file = match files::create_private(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            File::options().write(true).open(&path)?
        }
        created => created?,
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => bail!(
            "another server uses it; stop that server, use another --state-dir, or share a PostgreSQL \
             database"
        ),
        Err(fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

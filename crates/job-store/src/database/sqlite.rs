//! A transaction in SQLite.

use sqlx::{Sqlite, SqliteConnection, SqlitePool, pool::PoolConnection};
use tokio::runtime::Handle;

/// A transaction, which is rolled back if it is dropped.
///
/// After some errors, such as a full disk, SQLite has already rolled back the transaction. The
/// transactions of sqlx do not expect that: their rollback fails, and the connection never begins
/// another transaction. Therefore this type executes the statements itself.
pub(super) struct SqliteTransaction(Option<PoolConnection<Sqlite>>);

impl SqliteTransaction {
    /// Begins a transaction with this statement.
    pub(super) async fn begin(pool: &SqlitePool, statement: &'static str) -> sqlx::Result<Self> {
        let mut transaction = Self(Some(pool.acquire().await?));
        sqlx::query(statement).execute(transaction.connection()?).await?;
        Ok(transaction)
    }

    pub(super) fn connection(&mut self) -> sqlx::Result<&mut SqliteConnection> {
        self.0.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    pub(super) async fn commit(mut self) -> sqlx::Result<()> {
        sqlx::query("COMMIT").execute(self.connection()?).await?;
        // Nothing is left to roll back.
        self.0 = None;
        Ok(())
    }
}

impl Drop for SqliteTransaction {
    fn drop(&mut self) {
        let Some(mut connection) = self.0.take() else { return };
        match Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    if roll_back(&mut connection).await.is_err() {
                        connection.close_on_drop();
                    }
                });
            }
            Err(_) => connection.close_on_drop(),
        }
    }
}

/// Ends the transaction of a connection, if there is one.
async fn roll_back(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    // This fails if there is a transaction.
    let _ = sqlx::query("BEGIN").execute(&mut *connection).await;
    sqlx::query("ROLLBACK").execute(connection).await.map(drop)
}

//! Consumes the queue `billing` of a store in PostgreSQL, each notification exactly once:
//!
//! ```sh
//! psql app -c 'CREATE TABLE invoices (job TEXT NOT NULL, outcome TEXT NOT NULL)'
//! DATABASE_URL=postgres://localhost/app cargo run -p job-store --example consumer
//! ```
//!
//! Run any number of them. A notification is deleted in the transaction that writes what follows from
//! it. If a consumer is killed before its commit, the database undoes both.

use std::{env, time::Duration};

use sqlx::{PgPool, postgres::PgListener};

/// Takes the oldest notification that no other consumer has taken.
const TAKE: &str = "DELETE FROM cce_outbox WHERE id = (
    SELECT id FROM cce_outbox WHERE queue = $1
    ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING key, outcome, body";

/// `NOTIFY` is lost while the listener has no connection, so the queue is also read this often.
const POLL_INTERVAL: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().init();
    let pool = PgPool::connect(&env::var("DATABASE_URL")?).await?;
    // Listen first, so that no notification is missed between the two.
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen("cce_outbox").await?;
    loop {
        while consume_one(&pool).await? {}
        if let Ok(received) = tokio::time::timeout(POLL_INTERVAL, listener.recv()).await {
            received?;
        }
    }
}

/// Handles a notification. Returns false if there is none.
async fn consume_one(pool: &PgPool) -> sqlx::Result<bool> {
    let mut transaction = pool.begin().await?;
    let taken = sqlx::query_as(TAKE).bind("billing").fetch_optional(&mut *transaction).await?;
    let Some((key, outcome, body)) = taken else { return Ok(false) };
    let (key, outcome, body): (String, String, String) = (key, outcome, body);
    tracing::info!(key, outcome, "{body:.120}");
    sqlx::query("INSERT INTO invoices (job, outcome) VALUES ($1, $2)")
        .bind(key)
        .bind(outcome)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

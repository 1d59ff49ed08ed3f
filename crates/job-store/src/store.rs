//! The calls of a store.

mod deliveries;
mod list;
mod projects;
mod summary;

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use job_model::Job;
use job_notify::{Notifier, NotifierError};
use job_poller::{
    WaitPolicy,
    durable::{StoredResult, StoredWait, WaitKey},
    machine::{Action, Input},
    schedule::{Adaptive, BudgetShare},
};
use tokio::sync::Notify;

pub use self::{
    list::{ListQuery, Page},
    summary::{BudgetSummary, ChangeCursor, Changes, NotificationCounts, Summary, WaitCounts},
};
use crate::{
    budget::SharedBudget,
    database::{Database, Transaction},
    error::StoreError,
    outbox,
    receiver::Receiver,
    row::{Extension, WaitRow, WaitState, columns, hint},
    status::WaitStatus,
    watch::Watch,
};

/// Keeps waits in a database.
///
/// A store records what to wait for. A [`Worker`](crate::Worker) makes the attempts; any number of
/// them can share one PostgreSQL database. A store in SQLite belongs to one process.
///
/// Clones are cheap and share the pool of connections.
#[derive(Clone)]
pub struct Store {
    pub(crate) database: Database,
    /// `None` if this process delivers no webhooks.
    pub(crate) notifier: Option<Arc<dyn Notifier>>,
    /// Wakes the workers of this process.
    pub(crate) changed: Arc<Notify>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens a store in PostgreSQL, and creates or updates its tables.
    ///
    /// The version of PostgreSQL must be 12 or later. The names of the tables begin with `cce_`.
    ///
    /// # Errors
    ///
    /// Returns an error if the database cannot be reached, if tables are missing and the user may not
    /// create them, or if the tables are those of a later version.
    #[cfg(feature = "postgres")]
    pub async fn postgres(pool: sqlx::PgPool) -> Result<Self, StoreError> {
        Self::open(Database::postgres(pool)).await
    }

    /// Opens a store in SQLite, and creates or updates its tables.
    ///
    /// The names of the tables begin with `cce_`. Use the journal mode WAL and a busy timeout of some seconds.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be opened or written, or if the tables are those of a
    /// later version.
    #[cfg(feature = "sqlite")]
    pub async fn sqlite(pool: sqlx::SqlitePool) -> Result<Self, StoreError> {
        Self::open(Database::sqlite(pool)).await
    }

    pub(crate) async fn open(database: Database) -> Result<Self, StoreError> {
        database.migrate().await?;
        Ok(Self { database, notifier: None, changed: Arc::default() })
    }

    /// Sets the notifier that checks the addresses of webhooks and delivers to them.
    ///
    /// Without a notifier, [`watch`](Self::watch) accepts no webhook, and a worker leaves the webhooks to
    /// the workers that have one.
    #[must_use]
    pub fn notifier(mut self, notifier: impl Notifier + 'static) -> Self {
        self.notifier = Some(Arc::new(notifier));
        self
    }

    /// Waits for a job, and returns the status of the wait.
    ///
    /// The call can be repeated. If a wait for the job is active, the later deadline applies, a goal
    /// (ready or gone) is added, and so are the receivers. If the job has ended, the status contains
    /// the result, and new receivers are notified of it, unless the goal needs more readings.
    ///
    /// # Errors
    ///
    /// Returns [`Conflict`](StoreError::Conflict) if a wait is active whose policy differs in more
    /// than its deadline and its goal, an error if a receiver is not allowed or if there are more than
    /// 16, and an error if the database fails.
    pub async fn watch(&self, key: &WaitKey, watch: &Watch) -> Result<WaitStatus, StoreError> {
        for address in watch.receivers.iter().filter_map(Receiver::webhook) {
            self.notifier_for(address)?;
        }
        let mut transaction = self.database.begin().await?;
        let (row, now) = loop {
            let row = WaitRow::lock(&mut transaction, key).await?;
            let now = transaction.now().await?;
            match row {
                Some(row) if row.answers(watch.policy) => {
                    break (change(&mut transaction, row, watch, now).await?, now);
                }
                previous => {
                    let started =
                        start(&mut transaction, key, previous.as_ref(), watch, now).await?;
                    // Otherwise, another caller has started the same wait.
                    if let Some(row) = started {
                        break (row, now);
                    }
                }
            }
        };
        transaction.commit().await?;
        self.changed.notify_waiters();
        Ok(WaitStatus::from_row(&row, now))
    }

    /// Returns the status of a wait, or `None` if no wait for the job is stored.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn get(&self, key: &WaitKey) -> Result<Option<WaitStatus>, StoreError> {
        let mut transaction = self.database.begin_read().await?;
        let sql = concat!("SELECT ", columns!(), " FROM cce_waits WHERE key = $1");
        let row = transaction.row(sql, &[(&key.to_string()).into()]).await?;
        let now = transaction.now().await?;
        row.map(|row| WaitStatus::read(&row, now)).transpose()
    }

    /// Returns the job as last read, or `None` if it was never read, or if no wait for it is stored.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails, or if this version cannot read the wait.
    pub async fn job(&self, key: &WaitKey) -> Result<Option<Job>, StoreError> {
        let mut transaction = self.database.begin_read().await?;
        let sql = concat!("SELECT ", columns!(), " FROM cce_waits WHERE key = $1");
        let row = transaction.row(sql, &[(&key.to_string()).into()]).await?;
        let Some(row) = row.as_ref().map(WaitRow::from_row).transpose()? else { return Ok(None) };
        let now = transaction.now().await?;
        Ok(match &row.state {
            WaitState::Active(wait, _) => {
                wait.checkpoint().machine().snapshot().map(|last| last.job().clone())
            }
            WaitState::Finished(..) => WaitStatus::from_row(&row, now).job(),
        })
    }

    /// Stops a wait, without a notification. The job itself continues. Returns the status, or `None`
    /// if no wait for the job is stored.
    ///
    /// If an attempt is in flight, its result is dropped.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn cancel(&self, key: &WaitKey) -> Result<Option<WaitStatus>, StoreError> {
        let mut transaction = self.database.begin().await?;
        let Some(mut row) = WaitRow::lock(&mut transaction, key).await? else { return Ok(None) };
        let now = transaction.now().await?;
        if let WaitState::Active(wait, _) = &mut row.state {
            let urgency = wait.urgency();
            // A stop plans nothing.
            let share = BudgetShare::new(Duration::ZERO, Duration::MAX);
            let step = wait.step(&Adaptive::new(), share, now, Input::Stop);
            if let Action::Finish(result) = step.action {
                row.state = WaitState::Finished(StoredResult::new(key, &result), now);
            }
            // The worker that makes an attempt sees another number and drops its result.
            row.tick += 1;
            row.update(&mut transaction, None, now).await?;
            let mut budget = SharedBudget::lock(&mut transaction).await?;
            budget.update(urgency, None);
            budget.save(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(Some(WaitStatus::from_row(&row, now)))
    }

    /// Reads a job as soon as possible, because it may have changed. Returns whether a wait for the
    /// job is active.
    ///
    /// The budget and the minimum delay of 2 s apply.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn hint(&self, key: &WaitKey) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin().await?;
        let now = transaction.now().await?;
        let is_active = hint(&mut transaction, &key.to_string(), now).await?;
        transaction.commit().await?;
        self.changed.notify_waiters();
        Ok(is_active)
    }

    /// Releases the leases of a process that was killed, so that its attempts and its deliveries are
    /// repeated at once, and not after a minute or two.
    ///
    /// Call it before the first worker starts, and only if no other process uses the database, for
    /// example because this process has locked a file. If a worker holds a lease, its request is sent
    /// twice. With PostgreSQL, the call has no effect, because other processes may hold the leases.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn release_leases(&self) -> Result<(), StoreError> {
        if self.database.is_shared() {
            return Ok(());
        }
        let mut transaction = self.database.begin().await?;
        for statement in [
            "UPDATE cce_waits SET lease = NULL WHERE lease IS NOT NULL",
            "UPDATE cce_lists SET lease = NULL WHERE lease IS NOT NULL",
            "UPDATE cce_outbox SET lease = NULL WHERE lease IS NOT NULL",
        ] {
            transaction.execute(statement, &[]).await?;
        }
        transaction.commit().await
    }

    /// Checks that the database answers, with the smallest query.
    ///
    /// # Errors
    ///
    /// Returns an error if the database does not answer. The pool of connections sets the timeout.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.database.ping().await
    }

    /// Closes the pool of connections, after the calls in progress have returned. All later calls
    /// fail.
    ///
    /// SQLite then moves all changes to the main file of the database. Let the workers end first.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// Returns the notifier, if this process can deliver to the address.
    pub(crate) fn notifier_for(&self, address: &str) -> Result<&dyn Notifier, NotifierError> {
        let missing = || NotifierError::permanent("webhooks are not configured for this store");
        let notifier = self.notifier.as_deref().ok_or_else(missing)?;
        notifier.check(address)?;
        Ok(notifier)
    }
}

impl WaitRow {
    /// Returns whether this wait can serve a request with `policy`: it is active, or its result is
    /// what the request asks for.
    fn answers(&self, policy: WaitPolicy) -> bool {
        match &self.state {
            WaitState::Active(..) => true,
            WaitState::Finished(result, _) => result.answers(policy.goal()),
        }
    }
}

/// Creates a wait, in place of an earlier one. Returns `None` if another transaction has created one.
async fn start(
    transaction: &mut Transaction,
    key: &WaitKey,
    previous: Option<&WaitRow>,
    watch: &Watch,
    now: Timestamp,
) -> Result<Option<WaitRow>, StoreError> {
    transaction.lock_project(&key.project, false).await?;
    let paused = "SELECT project FROM cce_paused_projects WHERE project = $1";
    let paused = transaction.row(paused, &[key.project.as_str().into()]).await?;
    // Derived from the time, so that it is not used again after the row of this wait is deleted.
    let number = previous.map_or(0, |row| row.number + 1).max(now.as_millisecond());
    // Two waits have different delays.
    let seed = BuildHasherDefault::<DefaultHasher>::default().hash_one((key, number));
    let mut row = WaitRow {
        key: key.clone(),
        number,
        tick: previous.map_or(0, |row| row.tick) + 1,
        state: WaitState::Active(
            Box::new(StoredWait::new(key.job.clone(), watch.policy, seed, now)),
            now,
        ),
        receivers: Vec::new(),
        extension: None,
        lease: None,
        is_hinted: false,
        is_paused: paused.is_some(),
        reading: None,
        miss_probability: 1.0,
        expected_end: None,
        created_at: now,
    };
    row.add_receivers(&watch.receivers)?;
    if previous.is_some() {
        let delete = "DELETE FROM cce_waits WHERE key = $1";
        transaction.execute(delete, &[(&key.to_string()).into()]).await?;
    }
    Ok(row.insert(transaction).await?.then_some(row))
}

/// Extends an active wait, or adds receivers to a finished one.
async fn change(
    transaction: &mut Transaction,
    mut row: WaitRow,
    watch: &Watch,
    now: Timestamp,
) -> Result<WaitRow, StoreError> {
    let added = row.add_receivers(&watch.receivers)?;
    let is_in_flight = row.is_in_flight(now);
    let before = match &mut row.state {
        WaitState::Active(wait, _) => {
            if !wait.checkpoint().policy().agrees_with(&watch.policy) {
                return Err(StoreError::Conflict);
            }
            let before = wait.checkpoint().machine().snapshot().cloned();
            if is_in_flight {
                // The attempt in flight works on a copy. Its result is extended when it is stored.
                let extension = Extension { policy: watch.policy, at: now };
                row.extension = Some(match row.extension.take() {
                    Some(earlier) => earlier.merge(&extension).ok_or(StoreError::Conflict)?,
                    None => extension,
                });
            } else {
                wait.extend(&watch.policy, now);
            }
            before
        }
        WaitState::Finished(result, _) => {
            outbox::insert(transaction, &row.key, row.number, result, &added, now).await?;
            None
        }
    };
    row.update(transaction, before.as_ref(), now).await?;
    Ok(row)
}

/// The maximum number of rows that one transaction deletes.
const MAX_DELETED: i64 = 1000;

impl Store {
    /// Deletes waits that finished longer ago than `retention`, with their notifications, and lists
    /// of projects without waits. Each transaction is short, so that no claim has to wait for it.
    pub(crate) async fn delete_finished(&self, retention: Duration) -> Result<(), StoreError> {
        const STATEMENTS: [&str; 3] = [
            "DELETE FROM cce_waits WHERE key IN (SELECT key FROM cce_waits WHERE finished_at < $1 \
             AND NOT EXISTS (SELECT 1 FROM cce_outbox WHERE cce_outbox.key = cce_waits.key \
             AND cce_outbox.state = 'pending') LIMIT $2)",
            "DELETE FROM cce_outbox WHERE id IN \
             (SELECT id FROM cce_outbox WHERE ended_at < $1 LIMIT $2)",
            "DELETE FROM cce_lists WHERE project IN (SELECT project FROM cce_lists WHERE due < $1 \
             AND NOT EXISTS (SELECT 1 FROM cce_waits WHERE cce_waits.project = cce_lists.project) \
             LIMIT $2)",
        ];
        for statement in STATEMENTS {
            loop {
                let mut transaction = self.database.begin().await?;
                let now = transaction.now().await?;
                let before = now.saturating_sub(retention).unwrap_or(Timestamp::MIN);
                let deleted =
                    transaction.execute(statement, &[before.into(), MAX_DELETED.into()]).await?;
                transaction.commit().await?;
                if (deleted as i64) < MAX_DELETED {
                    break;
                }
            }
        }
        Ok(())
    }
}

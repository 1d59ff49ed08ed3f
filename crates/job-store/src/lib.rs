//! Waits for jobs of the Cloud Container Engine (CCE) API that survive restarts, in SQLite or
//! PostgreSQL.
//!
//! A [`Store`] keeps waits in the caller's database. A [`Worker`] makes the attempts, and delivers a
//! notification at the end of each wait. Between two attempts nothing is kept in memory, so a process
//! can be killed, replaced or added at any time. With PostgreSQL, any number of workers on any number
//! of machines share the waits and one request budget. With SQLite, one process has all of them.
//!
//! If the waits may end with the process, or if you save checkpoints yourself, a `job_poller::Fleet`
//! needs no database.
//!
//! # Scope
//!
//! **In scope:** storing waits, their plan and their results; sharing them and the budget between
//! workers; delivering notifications at least once, and queues that are read exactly once.
//!
//! **Out of scope:** when to poll and how to react to errors, which [`job_poller`] decides; the
//! signatures and the receivers of webhooks, which are in [`job_notify`]; the connection pool and its
//! TLS, which the caller configures.
//!
//! # Examples
//!
//! A wait in SQLite, with a simulated cloud. With PostgreSQL, only the pool and [`Store::postgres`]
//! differ.
//!
//! ```
//! # #[cfg(not(feature = "sqlite"))]
//! # fn main() {}
//! # #[cfg(feature = "sqlite")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use std::{sync::Arc, time::Duration};
//! # use job_sim::{Plan, Sim, SimTransport, TimeSource};
//! # let plan = Plan::create_cluster().with_duration(Duration::ZERO);
//! # let sim = Arc::new(Sim::new(plan, TimeSource::Clock));
//! # let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
//! # let (project, job) = (sim.project().clone(), sim.job().clone());
//! use job_store::{Store, WaitKey, Watch, Worker, sqlx::sqlite::SqlitePoolOptions};
//!
//! // A database in memory exists once per connection. A file needs no such limit.
//! let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
//! let store = Store::sqlite(pool).await?;
//!
//! // From now on the wait survives the process.
//! let key = WaitKey { project, job };
//! store.watch(&key, &Watch::new().enqueue("billing")).await?;
//!
//! // Any number of workers make the attempts. Pass the signal that stops them to `run`.
//! tokio::spawn(Worker::new(store.clone(), client).run(std::future::pending()));
//! while store.get(&key).await?.is_some_and(|status| status.result.is_none()) {
//!     tokio::task::yield_now().await;
//! }
//!
//! let result = store.get(&key).await?.and_then(|status| status.result);
//! assert_eq!(result.map(|result| result.outcome).as_deref(), Some("succeeded"));
//! assert_eq!(store.notifications(&key).await?[0].queue.as_deref(), Some("billing"));
//! # Ok(())
//! # }
//! ```
//!
//! The README has an example with PostgreSQL, the SQL with which a consumer reads a queue exactly once,
//! queries for operators, and what happens if processes are killed. The example programs are a service
//! (`service`) and a consumer (`consumer`).
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `postgres` | yes | [`Store::postgres`] |
//! | `sqlite` | yes | [`Store::sqlite`], with SQLite built in |
//!
//! For TLS to PostgreSQL, enable a feature of `sqlx`, such as `tls-rustls-aws-lc-rs`. To create a
//! `HyperTransport`, enable the feature `aws-lc-rs` or `ring` of `job-transport`.
//!
//! # Related crates
//!
//! [`job_poller`] makes the decisions of a wait. [`job_notify`] sends webhooks. `job-restate` keeps the
//! same waits on the durable engine Restate.

mod receiver;
mod error;
mod watch;
mod database;
mod budget;
mod row;
mod history;
mod outbox;
mod status;
mod store;
mod worker;
#[cfg(test)]
#[cfg(feature = "sqlite")]
mod testing;

pub use error::StoreError;
pub use job_notify;
pub use job_poller::{
    self,
    durable::{WaitKey, WaitKeyError},
};
pub use sqlx;
pub use status::{ActiveStatus, NotificationStatus, ResultStatus, WaitStateLabel, WaitStatus};
pub use store::{
    BudgetSummary, ChangeCursor, Changes, ListQuery, NotificationCounts, Page, Store, Summary,
    WaitCounts,
};
pub use watch::Watch;
pub use worker::Worker;

#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
compile_error!("enable the feature `postgres` or `sqlite` of job-store");

/// Tests the examples in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

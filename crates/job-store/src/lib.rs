//! Waits for jobs of the Cloud Container Engine (CCE) API that survive restarts, in SQLite or
//! PostgreSQL.
//!
//! A [`Store`] keeps waits in the caller's database. A [`Worker`] makes the attempts, and delivers a
//! notification at the end of each wait. With PostgreSQL, any number of workers on any number of
//! machines share the waits and one request budget. With SQLite, one process has all of them.
//!
//! # Scope
//!
//! **In scope:** storing waits, their plan and their results; sharing them and the budget between
//! workers; delivering notifications at least once.
//!
//! **Out of scope:** when to poll and how to react to errors, which [`job_poller`] decides; the
//! connection pool and its TLS, which the caller configures.

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
pub use receiver::Receiver;
pub use sqlx;
pub use status::{ActiveStatus, NotificationStatus, ResultStatus, WaitStateLabel, WaitStatus};
pub use store::{ListQuery, Page, Store};
pub use watch::Watch;
pub use worker::Worker;

#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
compile_error!("enable the feature `postgres` or `sqlite` of job-store");

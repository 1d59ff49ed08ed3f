//! Waits for jobs of the Cloud Container Engine (CCE) API on the durable engine Restate.
//!
//! A wait in a normal process ends when the process does. Here the
//! [Restate](https://github.com/restatedev/restate) engine stores each wait, and calls a
//! [`Deployment`] (an HTTP service with this crate) whenever an attempt is due. The service keeps
//! no state, so you can kill, replace or replicate it at any time, and restart the engine: the
//! waits continue.
//!
//! You probably do not need this crate, because a `job_poller::Fleet` waits for many jobs in one
//! process and resumes from checkpoints after a restart. Use this crate if
//!
//! - waits must continue when a machine is lost, without anyone restarting a process;
//! - several services submit jobs and share one request budget; or
//! - receivers must be notified that a job has ended, even if everything was down when it ended.
//!
//! # Scope
//!
//! **In scope:** storing a wait between its attempts, one request budget for all processes of a
//! deployment, and when notifications of finished waits are sent ([`Webhook`], or your own
//! [`Notifier`]).
//!
//! **Out of scope:** when to poll and when to stop, which is decided by
//! [`job_poller::machine::Machine`]; HTTP and authentication, which are in [`job_transport`]; the
//! signatures, receivers and retry rules of notifications, which are in [`job_notify`]; the engine, which is a separate server with a license of its own.
//!
//! # Examples
//!
//! A service that waits for jobs in one region and notifies receivers with signed webhooks. It
//! needs a running engine, with its ingress on port 8080 and its admin API on port 9070:
//!
//! ```no_run
//! use job_restate::{AllowList, Deployment, Webhook, WebhookKey, register};
//! use job_transport::{
//!     Client, Credentials,
//!     hyper::{HyperTransport, TlsConfig, TlsProvider},
//! };
//! use tokio::net::TcpListener;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let transport = HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?);
//!     let client = Client::new(
//!         "https://cce.eu-de.otc.t-systems.com".parse()?,
//!         Credentials::token(std::env::var("OS_TOKEN")?)?,
//!         transport.clone(),
//!     );
//!     let key = WebhookKey::new(&std::env::var("CCE_JOB_WEBHOOK_KEY")?)?;
//!     let receivers: AllowList = "https://example.com/hook".parse()?;
//!     let deployment = Deployment::new(client, transport.clone(), "http://localhost:8080")
//!         .notifier(Webhook::new(transport.clone(), [key]).allow(receivers));
//!
//!     let listener = TcpListener::bind("127.0.0.1:9080").await?;
//!     // Register while the service is running, because the engine asks it for its handlers.
//!     let until_stopped = async {
//!         register(&transport, "http://localhost:9070", "http://localhost:9080", false).await?;
//!         println!("registered");
//!         // Serve until the process is killed.
//!         std::future::pending().await
//!     };
//!     deployment.serve(listener, until_stopped).await?
//! }
//! ```
//!
//! Clients send their requests to the engine's ingress:
//!
//! ```sh
//! curl localhost:8080/JobWait/PROJECT:JOB/watch \
//!     --json '{"timeout": "45m", "notify": "https://example.com/hook"}'
//! curl localhost:8080/JobWait/PROJECT:JOB/status
//! curl -X POST localhost:8080/JobWait/PROJECT:JOB/cancel
//! curl localhost:8080/JobBudget/all/status
//! ```
//!
//! | request | effect |
//! |---|---|
//! | `JobWait/KEY/watch` | starts a wait, or extends an active one, and returns its status; `KEY` is a [`WaitKey`], the body a [`WatchRequest`] |
//! | `JobWait/KEY/status` | returns the status of the wait, and its result for a day after it ended |
//! | `JobWait/KEY/revive` | schedules the next attempt again if the engine has lost it; the services call it themselves |
//! | `JobWait/KEY/cancel` | stops the wait without a notification; the job itself continues |
//! | `JobBudget/all/status` | returns the number of services and waits, and the current request rate |
//!
//! # Features
//!
//! This crate has no optional features. To use `job_transport::hyper::HyperTransport`, enable the
//! features `hyper` and `aws-lc-rs` (or `ring`) of `job-transport`.
//!
//! # Related crates
//!
//! [`job_poller`] is the layer below. Its [`Machine`](job_poller::machine::Machine) makes the
//! decisions and its [`Checkpoint`](job_poller::Checkpoint) is the stored state, so you can also
//! run the same waits on another engine, such as Temporal; `OTHER_ENGINES.md` in this crate shows
//! how. `job-store` runs them in SQLite or PostgreSQL.

mod request;
mod engine;
mod reference_clock;
mod metrics;
mod budget;
mod state;
mod status;
mod wait;
mod notify;
mod watchdog;
mod serve;

pub use job_notify::{
    AllowList, AllowListError, Notification, Notifier, NotifierError, Webhook, WebhookKey,
    WebhookKeyError,
};
pub use job_poller::durable::{WaitKey, WaitKeyError};
pub use request::{FriendlyDuration, WaitTimeout, WatchRequest};
pub use serve::{Deployment, IdentityKeyError, RegisterError, register};

/// Tests the example in `OTHER_ENGINES.md`.
#[cfg(doctest)]
#[doc = include_str!("../OTHER_ENGINES.md")]
struct OtherEngines;

//! Waits for jobs of the Cloud Container Engine (CCE) API, and reports how they ended.
//!
//! Creating or deleting a cluster or a node returns a job id, and the work happens in the
//! background. This crate polls such a job until it ends. The result is success, or the step that
//! failed and the reason. Lost connections, timeouts, 429s and 503s do not end a wait. A stopped
//! wait leaves a checkpoint, from which another process can resume it with the same deadline.
//!
//! **In scope:** when to poll, when to stop, what has changed between two replies, and a request
//! budget for many waits.
//!
//! **Out of scope:** sending a request and signing it ([`job_transport`]), decoding a reply
//! ([`job_model`]), and creating, changing or canceling jobs. A job at the service continues even
//! if its wait stops.
//!
//! # Examples
//!
//! This program waits for a job of a simulated service in memory. With the real service, only the
//! client differs: see [`job_transport::Client`].
//!
//! ```
//! # #[cfg(not(feature = "tokio"))]
//! # fn main() {}
//! use std::{error::Error, sync::Arc, time::Duration};
//!
//! # #[cfg(feature = "tokio")]
//! use job_poller::Wait;
//! use job_sim::{Plan, Sim, SimTransport, TimeSource};
//!
//! # #[cfg(feature = "tokio")]
//! #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn main() -> Result<(), Box<dyn Error>> {
//!     let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
//!     let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
//!     let id = sim.job().clone();
//!
//!     let ended = Wait::new(client, id)
//!         .timeout(Duration::from_secs(45 * 60))
//!         .on_event(|at, event| println!("{at:>8.1?}  {event}"))
//!         .await?; // Err: the wait itself failed
//!     let job = ended.into_success()?; // Err: the job failed (with the failing step)
//!     assert_eq!(job.job_type(), Some("CreateCluster"));
//!     Ok(())
//! }
//! ```
//!
//! # Until it is ready
//!
//! A job that succeeded does not mean that its cluster can be used. [`Wait::until_ready`] goes on
//! after the job's end until the cluster is `Available`, or each new node `Active`. For a job that
//! deletes, it goes on until they are gone. [`Wait::for_object`] waits for a cluster or a node without
//! a job. [`WaitPolicy::until_ready`] has the rules, and applies to fleets and other drivers too.
//!
//! # Which type to use
//!
//! | type | what it does |
//! |---|---|
//! | [`Wait`] | waits for one job, as a future; [`Wait::events`] is a stream of its events |
//! | [`Fleet`] | waits for many jobs, in one task and with one request budget |
//! | [`Machine`](machine::Machine) | makes all decisions of a wait: the inputs are replies and times, the outputs are events and actions |
//! | [`Observer`](observer::Observer) | receives figures of waits, for metrics and statistics |
//! | [`budget`] | the request budget of a fleet; use it if you drive machines yourself |
//! | [`durable`] | waits that an engine stores between two attempts |
//!
//! [`Wait`] and [`Fleet`] drive machines on tokio. A `Machine` has no clock and performs no I/O,
//! and its state can be stored in any serde format. Any engine that can store this state, send a
//! request and sleep can drive it.
//!
//! The types that most programs need are listed here. The others are in [`fleet`], [`machine`],
//! [`observer`], [`schedule`], [`source`], [`budget`] and [`durable`].
//!
//! # Observability
//!
//! - Events report what changes in one job: [`Wait::events`], `Fleet::events`.
//! - An [`Observer`](observer::Observer) receives figures of all waits: attempts, ends and the
//!   request budget. With the feature `metrics`, `MetricsObserver` turns them into metrics.
//!   `docs/metrics.md` in the repository lists them, and `docs/alerts.yml` has alert rules for
//!   Prometheus.
//! - Each [`Wait`], and each wait of a [`Fleet`], is a `tracing` span `cce.wait`, around the spans of
//!   its requests.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `tokio` | yes | [`Wait`], [`WaitEvents`] and [`Fleet`]: the drivers on tokio |
//! | `metrics` | no | `observer::MetricsObserver`: passes the figures of waits to the crate `metrics` |
//! | `backoff` | no | `schedule::BackoffSchedule`: the delays of the crate `backoff` |
//! | `test-util` | no | `testing`: a fake service for unit tests; enable it only in `[dev-dependencies]` |
//!
//! # Other layers
//!
//! - Below: [`job_transport`] sends one request, and [`job_model`] decodes the reply.
//! - Above: the crate `job-cli` is the command `cce-job`, and `job-restate` runs the same waits as
//!   a Restate service, so that they survive restarts.
//!
// Without a feature, the links to its items lead to the list of features.
#![cfg_attr(not(feature = "tokio"), doc = "[`Wait`]: crate#features")]
#![cfg_attr(not(feature = "tokio"), doc = "[`Wait::events`]: crate#features")]
#![cfg_attr(not(feature = "tokio"), doc = "[`Wait::until_ready`]: crate#features")]
#![cfg_attr(not(feature = "tokio"), doc = "[`Wait::for_object`]: crate#features")]
#![cfg_attr(not(feature = "tokio"), doc = "[`WaitEvents`]: crate#features")]
#![cfg_attr(not(feature = "tokio"), doc = "[`Fleet`]: crate#features")]
#![cfg_attr(not(feature = "tokio"), doc = "[`fleet`]: crate#features")]

#[cfg(any(test, feature = "test-util"))]
mod reply_script;
pub mod schedule;
pub mod machine;
pub mod source;
#[cfg(feature = "test-util")]
pub mod testing;
pub mod budget;
pub mod observer;
mod report;
mod listing;
pub mod durable;
#[cfg(feature = "tokio")]
mod wait;
#[cfg(feature = "tokio")]
pub mod fleet;

#[cfg(feature = "tokio")]
pub use fleet::api::Fleet;
pub use job_transport;
pub use machine::{
    checkpoint::Checkpoint,
    error::WaitError,
    error_kind::WaitErrorKind,
    event::Event,
    outcome::{FinishedJob, JobFailed, Outcome, Unsuccessful},
    policy::WaitPolicy,
    until::Until,
};
pub use report::Report;
#[cfg(feature = "tokio")]
pub use wait::{Wait, WaitEvents};

/// Compiles the example in the README.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;

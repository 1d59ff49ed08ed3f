//! Waits until a job of the Cloud Container Engine (CCE) API has ended, and says how and where.
//!
//! **In scope:** when to ask again, when to stop asking, what changed in between.
//! **Out of scope:** how a request travels and what a reply says; those are `job-transport`'s and
//! `job-model`'s. The service's job goes on whatever becomes of a wait.
//!
//! ```
//! # use std::{sync::Arc, time::Duration};
//! # use job_sim::{Plan, Sim, SimTransport, TimeSource};
//! # #[cfg(not(feature = "tokio"))] fn main() {}
//! # #[cfg(feature = "tokio")] #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
//! # let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
//! # let id = sim.job().clone();
//! use job_poller::Wait;
//!
//! let ended = Wait::new(client, id)
//!     .timeout(Duration::from_secs(45 * 60))
//!     .on_event(|at, event| println!("{at:>8.1?}  {event}"))
//!     .await?; // an error: we stopped watching
//! let job = ended.into_success()?; // an error: the job failed, and where
//! assert_eq!(job.job_type(), Some("CreateCluster"));
//! # Ok(()) }
//! ```
//!
//! The levels, each made of those after it:
//!
//! - [`Fleet`] is many waits at once, in one task and under one budget of requests;
//! - [`Wait`], awaited, is the future of how the job ends;
//! - [`Wait::events`] is the stream of what happens until then;
//! - [`Machine`] is the decision alone: inputs and times in, events and actions out. It has no clock
//!   and no I/O, and its state is plain serde data: whatever engine can keep that, fetch and pause,
//!   can drive it. [`budget`] is the budget of a fleet on its own, to be kept by such an engine.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `tokio` | yes | `Wait`, `WaitEvents` and `Fleet`, the drivers on tokio |
//! | `backoff` | no | `BackoffSchedule`, the pauses of the crate backoff |

mod schedule;
mod machine;
mod source;
pub mod budget;
mod report;
#[cfg(feature = "tokio")]
mod wait;
#[cfg(feature = "tokio")]
mod fleet;

#[cfg(feature = "tokio")]
pub use fleet::{Fleet, FleetBuilder, FleetEvents, FleetStats, FleetWait};
pub use machine::{
    Action, AttemptError, AttemptReason, Checkpoint, Event, FinishedJob, Input, JobFailed, Machine,
    Outcome, PhaseChange, Step, WaitError, WaitErrorKind, WaitPolicy,
};
pub use report::Report;
#[cfg(feature = "backoff")]
pub use schedule::BackoffSchedule;
pub use schedule::{
    Adaptive, Exponential, Fixed, History, JobObservation, PollPlan, PollState, Schedule,
};
pub use source::JobSource;
#[cfg(feature = "tokio")]
pub use wait::{Wait, WaitEvents, WaitFuture};

/// Compiles the README's example.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

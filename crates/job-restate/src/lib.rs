//! Waits for jobs of the Cloud Container Engine (CCE) API that outlive any machine: the decision is
//! `job-poller`'s, kept and ticked by the durable engine Restate.
//!
//! **In scope:** keeping a wait between one attempt and the next, one budget for a whole deployment, and
//! telling once how a wait ended.
//! **Out of scope:** the decision, which is the same [`Machine`](job_poller::Machine); the engine, a server of
//! its own.

mod deployment;
mod wait;
mod state;
mod request;
mod status;
mod budget;
mod shares;
mod turns;
mod early;
mod lease;
mod notify;
mod sink;
mod webhook;
mod key;
mod serve;
mod engine;
mod register;
mod metrics;

pub use deployment::{Deployment, IdentityKeyError};
pub use key::{WaitKey, WaitKeyError};
pub use register::{RegisterError, register};
pub use request::{Span, Timeout, WatchRequest};
pub use sink::{Notice, Sink, SinkError};
pub use webhook::{Webhook, WebhookKey, WebhookKeyError};

/// Compiles the page on other engines.
#[cfg(doctest)]
#[doc = include_str!("../OTHER_ENGINES.md")]
struct OtherEngines;

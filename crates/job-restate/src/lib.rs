//! Waits for jobs of the Cloud Container Engine (CCE) API that outlive any machine: the decision is
//! `job-poller`'s, kept and ticked by the durable engine Restate.
//!
//! **In scope:** keeping a wait between one attempt and the next, one budget for a whole deployment, and
//! telling once how a wait ended.
//! **Out of scope:** the decision, which is the same [`Machine`](job_poller::Machine); the engine, a server of
//! its own.

mod key;
mod request;
mod engine;
mod metrics;
mod budget;
mod state;
mod status;
mod wait;
mod notify;
mod serve;

pub use key::{WaitKey, WaitKeyError};
pub use notify::{Notification, Notifier, NotifierError, Webhook, WebhookKey, WebhookKeyError};
pub use request::{FriendlyDuration, WaitTimeout, WatchRequest};
pub use serve::{Deployment, IdentityKeyError, RegisterError, register};

/// Compiles the page on other engines.
#[cfg(doctest)]
#[doc = include_str!("../OTHER_ENGINES.md")]
struct OtherEngines;

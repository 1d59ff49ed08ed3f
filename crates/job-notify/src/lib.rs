//! Notifies receivers that a wait for a job has ended, with signed webhooks.
//!
//! A driver of waits, such as `job-restate`, stores a [`Delivery`] for each receiver. When a try is
//! due, the driver calls a [`Notifier`], usually a [`Webhook`], and passes the result to the
//! delivery, which decides whether and when to try again.
//!
//! # Scope
//!
//! **In scope:** the id and the size of a notification, its signature, one try to deliver it, the
//! rules for further tries, and which receivers are allowed ([`AllowList`]).
//!
//! **Out of scope:** storing notifications, and waiting between two tries, which a driver does; the
//! contents of a notification, which are a `job_poller::Report`.
//!
//! # Examples
//!
//! A driver that keeps the delivery in memory:
//!
//! ```no_run
//! use job_notify::{AllowList, Delivery, Notification, Notifier, Webhook, WebhookKey};
//! use job_notify::job_transport::{
//!     clock::{Clock, TokioClock},
//!     hyper::{HyperTransport, TlsConfig, TlsProvider},
//! };
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let transport = HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?);
//!     let key = WebhookKey::new(&std::env::var("CCE_JOB_WEBHOOK_KEY")?)?;
//!     let receivers: AllowList = "https://hooks.example.com/cce".parse()?;
//!     let webhook = Webhook::new(transport, [key]).allow(receivers);
//!
//!     let (project, job) = ("10d0b3a1".parse()?, "354331b2c".parse()?);
//!     let body = r#"{"outcome":"succeeded"}"#;
//!     let notification = Notification::new(&project, &job, "succeeded", 1, body);
//!     let (clock, mut delivery) = (TokioClock::new(), Delivery::new());
//!     loop {
//!         let result = webhook.deliver("https://hooks.example.com/cce", &notification).await;
//!         delivery.handle_result(result, clock.now());
//!         let Some(next) = delivery.next_try_at() else { break };
//!         clock.sleep(next.duration_since(clock.now()).try_into().unwrap_or_default()).await;
//!     }
//!     println!("{} after {} tries", delivery.state().as_str(), delivery.tries());
//!     Ok(())
//! }
//! ```
//!
//! # Features
//!
//! This crate has no optional features. To create a `HyperTransport`, enable the feature `aws-lc-rs`
//! or `ring` of `job-transport`.
//!
//! # Related crates
//!
//! `job-restate` uses this crate to deliver the notifications of waits that it stores. [`job_transport`]
//! is the HTTP client below.

mod notification;
mod notifier;
mod delivery;
mod receiver;
mod webhook;

pub use delivery::{Delivery, DeliveryState};
pub use job_transport;
pub use notification::Notification;
pub use notifier::{Notifier, NotifierError};
pub use receiver::{AllowList, AllowListError, receiver_name};
pub use webhook::{Webhook, WebhookKey, WebhookKeyError};

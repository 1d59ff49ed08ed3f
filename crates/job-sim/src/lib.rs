//! Simulates the job API of the Cloud Container Engine (CCE) for tests and demonstrations.
//!
//! A [`Sim`] is a service with jobs that advance through their phases as a [`Plan`] describes. It
//! checks requests as the real service does, and can inject a [`Fault`] into any of them. Clients
//! reach it in memory through a [`SimTransport`], where a test can pause the clock, or over TLS on
//! loopback through a `SimServer`.
//!
//! **In scope:** reading jobs and sub-jobs; the list of jobs ([`ListFault`]); reading the clusters and
//! nodes of jobs ([`ObjectPlan`]); jobs that are forgotten ([`Sim::forget_jobs_after`]); the calls that
//! submit a job; tokens, signatures and logins; the services that issue tokens and temporary keys
//! ([`IdentityFlow`]); the service's error bodies; rate limits; faults. [`Conformance`] checks whether
//! your own [`Transport`](job_transport::transport::Transport) follows the rules for all transports.
//!
//! **Out of scope:** everything else. Clusters and nodes have phases, and nothing runs in them; they
//! cannot be listed or changed.
//!
//! The client side is [`job_transport`], and [job-poller](../job_poller/index.html) waits for jobs.
//!
//! # Example
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use job_sim::{Fault, Plan, Sim, SimTransport, TimeSource};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Each reading advances the job by one second.
//! let time = TimeSource::PerRequest(Duration::from_secs(1));
//! let sim = Arc::new(Sim::new(Plan::create_cluster(), time));
//! let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
//!
//! let reading = client.job(sim.job()).await?;
//! assert_eq!(reading.job().phase().unwrap().as_str(), "Initializing");
//!
//! // The service answers the next request with status 503, and the one after it normally.
//! sim.inject_fault("503".parse::<Fault>()?);
//! assert!(client.job(sim.job()).await.is_err());
//!
//! let reading = client.job(sim.job()).await?;
//! assert_eq!(reading.job().phase().unwrap().as_str(), "Running");
//! # Ok(()) }
//! ```
//!
//! # Clusters and nodes
//!
//! The cluster or nodes that a job creates or deletes are served under the ids that the job names. They
//! follow the job, and after its end an [`ObjectPlan`].
//!
//! ```
//! use std::time::Duration;
//!
//! use job_sim::{ObjectPlan, Plan, Sim, TimeSource};
//!
//! // The job ends after five seconds, and the cluster is ready a minute later.
//! let lag = Duration::from_secs(60);
//! let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock)
//!     .default_object_plan(ObjectPlan::ready_after(lag));
//! let cluster = "4d1ecb2c-229a-11e8-9c75-0255ac100ceb"; // the job's `clusterUID`
//! assert_eq!(sim.object_phase(cluster).as_deref(), Some("Creating"));
//! assert_eq!(sim.ready_at(cluster), Some(Duration::from_secs(65)));
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `server` | yes | `SimServer` and `SimService`, and with them hyper, rustls and rcgen |

mod plan;
mod faults;
mod reply;
mod auth;
mod identity;
mod service;
#[cfg(feature = "server")]
mod serve;
mod conformance;

pub use auth::TestAccount;
pub use conformance::{Conformance, Violation};
pub use faults::{Fault, FaultError, ListFault};
pub use identity::IdentityFlow;
pub use plan::{ObjectPlan, Plan, TimeSource};
#[cfg(feature = "server")]
pub use serve::{SimServer, SimService};
pub use service::{Sim, SimTransport};

/// Tests the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

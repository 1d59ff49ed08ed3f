//! The job API of the Cloud Container Engine (CCE), small enough for a test.
//!
//! **In scope:** a job that moves through its phases, the checks the service makes on a request,
//! its error bodies, and faults on demand; in memory ([`SimTransport`], under virtual time) or as a
//! TLS server on loopback ([`SimServer`]). What every [`Transport`](job_transport::Transport) must
//! do, as checks to run one's own through ([`Conformance`]).
//! **Out of scope:** anything the job API does not do. No cluster is created here.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use job_sim::{Plan, Sim, SimTransport, TimeSource};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Every reading moves the job on by a second.
//! let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::PerRequest(Duration::from_secs(1))));
//! let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
//! assert_eq!(client.job(sim.job()).await?.job().phase().unwrap().as_str(), "Initializing");
//! assert_eq!(client.job(sim.job()).await?.job().phase().unwrap().as_str(), "Running");
//! # Ok(()) }
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `server` | yes | `SimServer`, and with it hyper, rustls and rcgen |

mod plan;
mod faults;
mod reply;
mod auth;
mod service;
#[cfg(feature = "server")]
mod serve;
mod conformance;

pub use auth::TestAccount;
pub use conformance::{Conformance, Violation};
pub use faults::{Fault, FaultError};
pub use plan::{Plan, TimeSource};
#[cfg(feature = "server")]
pub use serve::{SimServer, SimService};
pub use service::{Sim, SimTransport};

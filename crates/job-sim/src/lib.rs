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
//! use job_sim::{Pace, Plan, Sim, SimTransport};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Every reading moves the job on by a second.
//! let sim = Arc::new(Sim::new(Plan::create_cluster(), Pace::PerReading(Duration::from_secs(1))));
//! let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
//! assert_eq!(client.job(sim.job()).await?.job.phase().unwrap().as_str(), "Initializing");
//! assert_eq!(client.job(sim.job()).await?.job.phase().unwrap().as_str(), "Running");
//! # Ok(()) }
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `server` | yes | `SimServer`, and with it hyper, rustls and rcgen |

mod step;
mod plan;
mod jobs;
mod fault;
mod fate;
mod service;
mod route;
mod answer;
mod submit;
mod gate;
mod verify;
mod limit;
mod reply;
mod memory;
mod conformance;
#[cfg(feature = "server")]
mod serve;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
mod certificate;

pub use conformance::Conformance;
pub use fault::{Fault, FaultError};
pub use gate::Account;
pub use memory::SimTransport;
pub use plan::Plan;
#[cfg(feature = "server")]
pub use serve::SimService;
#[cfg(feature = "server")]
pub use server::SimServer;
pub use service::{Pace, Sim};

//! The job API of the Cloud Container Engine (CCE), small enough for a test.
//!
//! **In scope:** a job that moves through its phases, the checks the service makes on a request,
//! its error bodies, and faults on demand; in memory ([`SimTransport`], under virtual time) or as a
//! TLS server on loopback ([`SimServer`]).
//! **Out of scope:** anything the job API does not do. No cluster is created here.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use job_sim::{Pace, Plan, Sim, SimTransport};
//! use job_transport::{Client, Credentials};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Every request moves the job on by a second.
//! let sim = Arc::new(Sim::new(Plan::create_cluster(), Pace::PerRequest(Duration::from_secs(1))));
//! let client = Client::new(
//!     "https://cce.example".parse()?,
//!     sim.project().parse()?,
//!     Credentials::token(sim.token())?,
//!     SimTransport::new(sim.clone()),
//! );
//! let id = sim.job_id().parse()?;
//! assert_eq!(client.job(&id).await?.job.phase().unwrap().as_str(), "Initializing");
//! assert_eq!(client.job(&id).await?.job.phase().unwrap().as_str(), "Running");
//! # Ok(()) }
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `server` | yes | `SimServer`, and with it hyper, rustls and rcgen |

#[cfg(feature = "server")]
mod certificate;
mod memory;
mod plan;
#[cfg(feature = "server")]
mod server;
mod service;

pub use memory::SimTransport;
pub use plan::Plan;
#[cfg(feature = "server")]
pub use server::SimServer;
pub use service::{Fault, Pace, Sim};

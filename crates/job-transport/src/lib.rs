//! Reads jobs of the Cloud Container Engine (CCE) API over HTTP.
//!
//! A [`Client`] sends one authenticated GET request for a job and returns a [`Reading`], or a
//! [`FetchError`] that says how to react ([`ErrorClass`]). [`Client::jobs`] does the same for the list
//! of a project's jobs ([`ListReading`]), and [`Client::cluster`] and [`Client::node`] for the objects
//! that jobs create, change and delete ([`ObjectReading`]).
//!
//! **In scope:**
//! - the request and its authentication: a token, a password, an access key, the temporary
//!   credentials of a machine, a pod, a federated user or an agency, or your own provider
//!   ([`Credentials`]); expired tokens and keys are refreshed;
//! - sending it with hyper and rustls ([`hyper`]), or with another HTTP client
//!   ([`Transport`](transport::Transport));
//! - classifying replies that are not what was requested, and failed connections.
//!
//! **Out of scope:** polling. The crate [`job-poller`](../job_poller/index.html) is the next layer:
//! it waits until a job ends, retries, and limits the request rate. Decoding a job is the task of
//! [`job_model`].
//!
//! # Example
//!
//! This example reads a job from a simulated service over TLS on localhost.
//!
//! ```
//! # #[cfg(not(all(feature = "hyper", feature = "aws-lc-rs")))] fn main() {}
//! # #[cfg(all(feature = "hyper", feature = "aws-lc-rs"))]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{sync::Arc, time::Duration};
//!
//! use job_sim::{Plan, Sim, SimServer, TimeSource};
//! use job_transport::{
//!     Client, Credentials,
//!     hyper::{HyperTransport, TlsConfig, TlsProvider},
//! };
//!
//! let pace = TimeSource::PerRequest(Duration::from_secs(1));
//! let sim = Arc::new(Sim::new(Plan::create_cluster(), pace));
//! let server = SimServer::start(sim.clone()).await?;
//!
//! let tls = TlsConfig::ca_pem(TlsProvider::aws_lc_rs(), server.ca_pem())?;
//! let credentials = Credentials::access_key(sim.access_key());
//! let client = Client::new(server.endpoint().parse()?, credentials, HyperTransport::new(tls))
//!     .project(sim.project().clone());
//!
//! let reading = client.job(sim.job()).await?;
//! assert_eq!(reading.job().job_type(), Some("CreateCluster"));
//! assert_eq!(reading.job().phase(), Some(&job_model::Phase::Initializing));
//! # Ok(())
//! # }
//! ```
//!
//! For the real service, use its endpoint, the system's certificate authorities, and for example a
//! token:
//!
//! ```no_run
//! # #[cfg(all(feature = "hyper", feature = "aws-lc-rs"))]
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use job_transport::{
//!     Client, Credentials,
//!     hyper::{HyperTransport, TlsConfig, TlsProvider},
//! };
//!
//! let client = Client::new(
//!     "https://cce.eu-de.otc.t-systems.com".parse()?,
//!     Credentials::token(std::env::var("OS_TOKEN")?)?,
//!     HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?),
//! )
//! .project("4b8c1e4d7f2a4c0e9d6a2b1c3d4e5f60".parse()?);
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! The types that most programs need are listed here. The others are in the modules:
//!
//! - [`auth`]: credentials of all kinds, and their providers;
//! - [`clock`]: the clock of a client;
//! - [`hyper`]: the transport on hyper and rustls, TLS settings and proxies;
//! - [`request`]: parts of a request and of its errors;
//! - [`transport`]: the trait for another HTTP client, its errors, and the limit of memory.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `hyper` | yes | `HyperTransport`, on hyper and rustls; also enable one of the two TLS providers |
//! | `aws-lc-rs` | yes | `TlsProvider::aws_lc_rs` |
//! | `ring` | no | `TlsProvider::ring` |
//! | `tokio` | with `hyper` | `clock::TokioClock`, and `Client::new`, which uses it |
//! | `credential-chain` | yes | `CredentialChain`: credentials from environment variables and files |
//! | `tower` | no | `TowerTransport` and `TransportService`, adapters for tower services |
//!
// Without the feature, the links to the module lead to the list of features.
#![cfg_attr(not(feature = "hyper"), doc = "[`hyper`]: crate#features")]

pub mod clock;
pub mod transport;
pub mod request;
pub mod auth;
mod client;
#[cfg(feature = "hyper")]
pub mod hyper;
#[cfg(test)]
mod testing;

pub use auth::credentials::Credentials;
pub use bytes;
pub use client::{
    Client, Fetched, JobDigest, JobSnapshot, ListReading, ObjectReading, Reading, Unchanged,
};
pub use http;
pub use job_model;
pub use request::{
    endpoint::Endpoint, error::FetchError, error_class::ErrorClass, error_kind::FetchErrorKind,
};

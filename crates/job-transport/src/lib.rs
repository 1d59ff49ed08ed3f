//! Asks the Cloud Container Engine (CCE) API how a job is: one GET in, a [`Reading`] out.
//!
//! **In scope:** the request, its authentication, how it travels ([`Transport`]), and what a reply
//! that is no job means ([`FetchError::class`]).
//! **Out of scope:** asking again. Nothing here waits for a job; that is `job-poller`'s.
//!
//! ```no_run
//! # #[cfg(all(feature = "hyper", feature = "aws-lc-rs"))]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use job_transport::{Client, Credentials, HyperTransport, TlsConfig, TlsProvider};
//!
//! let client = Client::new(
//!     "https://cce.eu-de.otc.t-systems.com".parse()?,
//!     Credentials::token(std::env::var("OS_TOKEN")?)?,
//!     HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?),
//! )
//! .project("4b8c1e4d7f2a4c0e9d6a2b1c3d4e5f60".parse()?);
//! let reading = client.job(&"354331b2c-229a-11e8-9c75-0255ac100ceb".parse()?).await?;
//! println!("{:?}", reading.job().phase());
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `hyper` | yes | `HyperTransport`, on hyper and rustls; add one of the two below |
//! | `aws-lc-rs` | yes | `TlsProvider::aws_lc_rs` |
//! | `ring` | no | `TlsProvider::ring` |
//! | `tokio` | with `hyper` | `TokioClock`, and `Client::new`, which takes it |
//! | `credential-chain` | yes | `CredentialChain`: credentials out of the environment and out of files |
//! | `tower` | no | `TowerTransport` and `TransportService` |

mod clock;
mod transport;
mod request;
mod auth;
mod client;
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(test)]
mod testing;

pub use auth::{
    AccessKey, Credentials, Identity, InvalidCredential, PasswordLogin, ProvideCredentials,
    ProvidedCredential, TokenFile, sign,
};
#[cfg(feature = "credential-chain")]
pub use auth::{AuthMethod, CredentialChain, CredentialChainError, ResolvedCredentials, Setting};
pub use client::{Client, Fetched, JobDigest, JobSnapshot, Reading, Unchanged};
pub use clock::Clock;
#[cfg(feature = "tokio")]
pub use clock::TokioClock;
#[cfg(feature = "hyper")]
pub use hyper::{
    AsyncStream, Connect, HyperTransport, Proxy, ProxyError, TlsConfig, TlsError, TlsProvider,
};
pub use request::{
    Cloud, CredentialsProviderError, Endpoint, EndpointError, ErrorClass, FetchError,
    FetchErrorKind, retry_after,
};
pub use transport::{
    AllowHttp, RequestSent, TimeoutStage, Transport, TransportError, TransportErrorKind,
    display_chain, error_sources, is_loopback,
};
#[cfg(feature = "tower")]
pub use transport::{TowerTransport, TransportService};

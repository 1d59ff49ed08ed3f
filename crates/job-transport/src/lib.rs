//! Asks the Cloud Container Engine (CCE) API how a job is: one GET in, a [`Reading`] out.
//!
//! **In scope:** the request, its authentication, how it travels ([`Transport`]), and what a reply
//! that is no job means ([`FetchError::class`]).
//! **Out of scope:** asking again. Nothing here waits for a job; that is `job-poller`'s.
//!
//! ```no_run
//! # #[cfg(all(feature = "hyper", feature = "aws-lc-rs"))]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use job_transport::{Client, Credentials, HyperTransport, Tls, TlsProvider};
//!
//! let client = Client::new(
//!     "https://cce.eu-de.otc.t-systems.com".parse()?,
//!     Credentials::token(std::env::var("OS_TOKEN")?)?,
//!     HyperTransport::new(Tls::platform(TlsProvider::aws_lc_rs())?),
//! )
//! .project("4b8c1e4d7f2a4c0e9d6a2b1c3d4e5f60".parse()?);
//! let reading = client.job(&"354331b2c-229a-11e8-9c75-0255ac100ceb".parse()?).await?;
//! println!("{:?}", reading.job.phase());
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
//! | `conventions` | yes | `Conventions`: credentials out of the environment and out of files |
//! | `tower` | no | `TowerTransport` and `TransportService` |

mod transport;
mod error;
mod endpoint;
mod clock;
mod credentials;
mod provide;
mod renewal;
mod identity;
mod token_file;
#[cfg(feature = "conventions")]
mod conventions;
mod access_key;
mod key_guard;
mod sign;
mod client;
mod exchange;
mod reading;
mod headers;
mod fetch_error;
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(feature = "hyper")]
mod proxy;
#[cfg(feature = "hyper")]
mod tls;
#[cfg(feature = "tower")]
mod tower;
#[cfg(test)]
mod testing;

pub use access_key::AccessKey;
pub use client::Client;
pub use clock::Clock;
#[cfg(feature = "tokio")]
pub use clock::TokioClock;
#[cfg(feature = "conventions")]
pub use conventions::{Auth, Conventions, ConventionsError, Found, Setting};
pub use credentials::{Credentials, CredentialsError};
pub use endpoint::{Cloud, Endpoint, EndpointError, PlainHttp, is_loopback};
pub use error::{RequestSent, Stage, TransportError, TransportErrorKind, causes, told};
pub use fetch_error::{Class, CredentialsFault, FetchError, FetchStage, Unreadable};
pub use headers::retry_after;
#[cfg(feature = "hyper")]
pub use hyper::{Dial, Duplex, HyperTransport};
pub use identity::{Identity, PasswordLogin};
pub use provide::{ProvideCredentials, ProvideError, Provided};
#[cfg(feature = "hyper")]
pub use proxy::{Proxy, ProxyError};
pub use reading::Reading;
pub use sign::sign;
#[cfg(feature = "hyper")]
pub use tls::{Tls, TlsError, TlsProvider};
pub use token_file::TokenFile;
#[cfg(feature = "tower")]
pub use tower::{TowerTransport, TransportService};
pub use transport::Transport;

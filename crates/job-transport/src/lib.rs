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
//!     "4b8c1e4d7f2a4c0e9d6a2b1c3d4e5f60".parse()?,
//!     Credentials::token(std::env::var("OS_TOKEN")?)?,
//!     HyperTransport::new(Tls::platform(TlsProvider::aws_lc_rs())?),
//! );
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

mod transport;
mod error;
mod endpoint;
mod credentials;
mod access_key;
mod sign;
mod client;
mod reading;
mod headers;
mod fetch_error;
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(feature = "hyper")]
mod tls;

pub use access_key::AccessKey;
pub use client::Client;
pub use credentials::{Credentials, CredentialsError};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{RequestSent, TransportError, TransportErrorKind};
pub use fetch_error::{Class, FetchError, Unreadable};
pub use headers::retry_after;
#[cfg(feature = "hyper")]
pub use hyper::HyperTransport;
pub use reading::Reading;
pub use sign::sign;
#[cfg(feature = "hyper")]
pub use tls::{Tls, TlsError, TlsProvider};
pub use transport::Transport;

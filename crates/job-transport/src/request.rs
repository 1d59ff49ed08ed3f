//! One request and its reply: where it goes, how it is sent, and what an error means.

mod endpoint;
mod exchange;
mod headers;
mod error;

pub(crate) use endpoint::ENCODED;
pub use endpoint::{Cloud, Endpoint, EndpointError, PlainHttp, is_loopback};
pub use error::{Class, CredentialsFault, FetchError, FetchStage, Unreadable};
pub(crate) use exchange::{About, Reply, exchange};
pub use headers::retry_after;
pub(crate) use headers::{date, request_id, text};

//! One request and its reply: its address, how it is sent, and what an error means.

mod endpoint;
mod exchange;
mod headers;
mod error;

pub(crate) use endpoint::PATH_ENCODE_SET;
pub use endpoint::{AllowHttp, Cloud, Endpoint, EndpointError, is_loopback};
pub use error::{AuthError, ErrorClass, FetchError, FetchErrorKind, InvalidReply};
pub(crate) use exchange::{Reply, RequestInfo, send_traced};
pub use headers::retry_after;
pub(crate) use headers::{date, header_str, request_id};

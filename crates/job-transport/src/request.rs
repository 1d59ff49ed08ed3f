//! A request and its response: the endpoint, sending it, and the errors.

mod regions;
mod endpoint;
mod headers;
mod secrets;
mod gateway_code;
mod refusal_cause;
mod error_class;
mod provider_error;
mod error_kind;
mod error;
mod exchange;

pub(crate) use endpoint::PATH_ENCODE_SET;
#[cfg(feature = "credential-chain")]
pub(crate) use endpoint::is_label;
pub use endpoint::{Cloud, Endpoint, EndpointError};
pub use error::FetchError;
pub use error_class::ErrorClass;
pub use error_kind::FetchErrorKind;
pub(crate) use exchange::{Reply, RequestInfo, send_traced};
pub use headers::retry_after;
pub(crate) use headers::{date, header_str, request_id};
pub use provider_error::CredentialsProviderError;
pub use refusal_cause::RefusalCause;
pub(crate) use refusal_cause::stated_server_time;

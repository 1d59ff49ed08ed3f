//! A request and its response: the endpoint, sending it, and the errors.

mod regions;
pub(crate) mod endpoint;
mod headers;
mod secrets;
mod gateway_code;
mod refusal_cause;
pub(crate) mod error_class;
pub(crate) mod provider_error;
pub(crate) mod error_kind;
pub(crate) mod error;
mod exchange;

pub(crate) use endpoint::Endpoint;
pub(crate) use endpoint::PATH_ENCODE_SET;
#[cfg(feature = "credential-chain")]
pub(crate) use endpoint::is_label;
pub use endpoint::{Cloud, EndpointError};
pub(crate) use error::FetchError;
pub(crate) use error_class::ErrorClass;
pub(crate) use error_kind::FetchErrorKind;
pub(crate) use exchange::{Reply, RequestInfo, Target, send_traced};
pub use headers::retry_after;
pub(crate) use headers::{date, header_str, request_id};
pub(crate) use provider_error::CredentialsProviderError;
pub use refusal_cause::RefusalCause;
pub(crate) use refusal_cause::stated_server_time;

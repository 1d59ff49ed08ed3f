//! Providers of temporary credentials: from services on the same host, and from the identity
//! service for an ID token or an agency.

mod request;
mod temporary_key;
mod token_source;
mod metadata;
mod pod_identity;
mod oidc;
mod agency;
#[cfg(feature = "credential-chain")]
mod token_exchange;

#[cfg(feature = "credential-chain")]
pub(super) use token_exchange::{ExchangeableToken, TokenExchange, WantedProject};

pub use agency::AssumeAgency;
pub use metadata::MetadataService;
pub use oidc::{OidcAssume, OidcLogin};
pub use pod_identity::PodIdentity;
pub use token_source::TokenSource;

use crate::request::{CredentialsProviderError, FetchError};

/// Returns a function that names the step in which the request for a token failed.
fn failed_login(
    step: impl Into<String>,
) -> impl FnOnce(CredentialsProviderError) -> CredentialsProviderError {
    let step = step.into();
    |error| CredentialsProviderError::new(error.class(), step).with_source(error)
}

/// Returns a function that names the step in which a request failed.
fn failed(step: impl Into<String>) -> impl FnOnce(FetchError) -> CredentialsProviderError {
    let step = step.into();
    |error| CredentialsProviderError::new(error.class(), step).with_source(error)
}

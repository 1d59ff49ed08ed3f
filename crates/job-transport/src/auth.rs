//! Authentication: credentials, their refresh, and request signatures.

mod secret;
#[cfg(any(feature = "hyper", feature = "credential-chain"))]
mod file_access;
mod secret_file;
mod sign;
mod key_record;
mod signature_guard;
mod signed_request;
mod access_key;
mod credential;
mod provider;
mod credentials_cache;
pub(crate) mod credentials;
mod identity;
mod token_file;
mod providers;
mod project_lookup;
#[cfg(feature = "credential-chain")]
mod chain;

pub use access_key::AccessKey;
#[cfg(feature = "credential-chain")]
pub use chain::{
    AuthMethod, CloudDomain, CredentialChain, CredentialChainError, CredentialChainWarning,
    IdentityHostIssue, IgnoredVariable, ResolvedCredentials, ServiceHosts, ServiceHostsError,
    Setting, Sourced,
};
pub use credential::ProvidedCredential;
pub(crate) use credential::{Credential, IssuedCredential};
pub(crate) use credentials::{Credentials, X_AUTH_TOKEN};
#[cfg(feature = "hyper")]
pub(crate) use file_access::FileAccess;
pub use identity::{Identity, PasswordLogin};
pub use key_record::{
    KeyId, KeyRecord, KeyRecordError, KeyRecords, LockedKeyRecord, MemoryKeyRecords,
};
pub use project_lookup::ProjectLookup;
pub use provider::ProvideCredentials;
pub(crate) use provider::RenewalReason;
pub use providers::{
    AssumeAgency, MetadataService, OidcAssume, OidcLogin, PodIdentity, TokenSource,
};
pub use secret::InvalidCredential;
#[cfg(any(feature = "hyper", feature = "credential-chain"))]
pub use secret_file::read_secret_file;
pub use sign::sign;
pub(crate) use signed_request::{SigningContext, send_signed};
pub use token_file::TokenFile;

pub use crate::request::provider_error::CredentialsProviderError;

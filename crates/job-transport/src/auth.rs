//! Authentication: credentials, their refresh, and request signatures.

mod secret;
#[cfg(any(feature = "hyper", feature = "credential-chain"))]
mod file_access;
mod sign;
mod key_record;
mod signature_guard;
mod access_key;
mod credential;
mod provider;
mod credentials_cache;
mod credentials;
mod identity;
mod token_file;
#[cfg(feature = "credential-chain")]
mod chain;

pub use access_key::AccessKey;
pub(crate) use access_key::sensitive_header;
#[cfg(feature = "credential-chain")]
pub use chain::{
    AuthMethod, CredentialChain, CredentialChainError, CredentialChainWarning, ResolvedCredentials,
    Setting,
};
pub use credential::ProvidedCredential;
pub(crate) use credential::{Credential, IssuedCredential};
pub use credentials::Credentials;
pub(crate) use credentials::X_AUTH_TOKEN;
#[cfg(any(feature = "hyper", feature = "credential-chain"))]
pub(crate) use file_access::FileAccess;
pub use identity::{Identity, PasswordLogin};
pub use key_record::{
    KeyId, KeyRecord, KeyRecordError, KeyRecords, LockedKeyRecord, MemoryKeyRecords,
};
pub use provider::ProvideCredentials;
pub use secret::InvalidCredential;
pub use sign::sign;
pub(crate) use signature_guard::{KeyStatus, SignatureGuard};
pub use token_file::TokenFile;

//! Authentication: credentials, their refresh, and the signature of a request.

mod credentials;
mod provider;
mod token_cache;
mod identity;
mod token_file;
mod access_key;
mod sign;
mod signature_guard;
#[cfg(feature = "conventions")]
mod chain;

pub use access_key::AccessKey;
pub(crate) use access_key::sensitive_header;
#[cfg(feature = "conventions")]
pub use chain::{AuthMethod, CredentialChain, CredentialChainError, ResolvedCredentials, Setting};
pub(crate) use credentials::{Credential, IssuedCredential, X_AUTH_TOKEN};
pub use credentials::{Credentials, InvalidCredential};
pub use identity::{Identity, PasswordLogin};
pub use provider::{CredentialsProviderError, ProvideCredentials, ProvidedCredential};
pub use sign::sign;
pub(crate) use signature_guard::{KeyStatus, SignatureGuard};
pub use token_file::TokenFile;

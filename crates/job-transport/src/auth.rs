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
pub(crate) use access_key::sensitive;
#[cfg(feature = "conventions")]
pub use chain::{Auth, Conventions, ConventionsError, Found, Setting};
pub use credentials::{Credentials, CredentialsError};
pub(crate) use credentials::{Grant, Means, X_AUTH_TOKEN};
pub use identity::{Identity, PasswordLogin};
pub use provider::{ProvideCredentials, ProvideError, Provided};
pub use sign::sign;
pub(crate) use signature_guard::{KeyGuard, Verdict};
pub use token_file::TokenFile;

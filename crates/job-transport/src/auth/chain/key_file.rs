//! Reads a key pair again from the file that it came from, because temporary keys are replaced
//! there.

use futures_core::future::BoxFuture;

use super::{CredentialChain, values::AuthConfig};
use crate::{
    auth::{credential::ProvidedCredential, provider::ProvideCredentials},
    request::{CredentialsProviderError, ErrorClass},
};

/// A credentials provider that reads the key pair of a chain's file.
///
/// The file is read for the first request, and again when the service refuses the key (401).
pub(super) struct KeyFile(pub(super) CredentialChain);

impl KeyFile {
    fn read(&self) -> Result<ProvidedCredential, CredentialsProviderError> {
        // Transient, because another process may be replacing the file.
        let failed = |message| CredentialsProviderError::new(ErrorClass::Transient, message);
        let resolved = self.0.resolve();
        let resolved = resolved
            .map_err(|error| failed("cannot read the access key again").with_source(error))?;
        match resolved.map(|resolved| resolved.auth_config) {
            Some(AuthConfig::Key(key)) => Ok(ProvidedCredential::access_key(key)),
            _ => Err(failed("the file no longer contains an access key")),
        }
    }
}

impl ProvideCredentials for KeyFile {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        Box::pin(async { self.read() })
    }
}

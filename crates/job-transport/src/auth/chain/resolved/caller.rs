//! What identifies a caller to the service, as a digest.

use std::path::Path;

use secrecy::ExposeSecret;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{super::auth_config::AuthConfig, ResolvedCredentials};

impl ResolvedCredentials {
    /// Returns a SHA-256 of what identifies the caller: the access key, the user, the token, the
    /// agency, or the file of a token that is renewed.
    ///
    /// Processes with the same digest are the same caller to the service, for example for its rate
    /// limits. The digest contains no secret that could be guessed: of a key pair or a password, only
    /// the access key or the user is part of it.
    #[must_use]
    pub fn caller_digest(&self) -> [u8; 32] {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let source = match &self.auth_config {
            AuthConfig::Token(token) => json!(token.expose_secret()),
            AuthConfig::TokenFile(file) => json!(path(file)),
            AuthConfig::Key(key) => json!(key.access_key()),
            AuthConfig::Password(login) => login.user_json(),
            AuthConfig::OidcLogin { idp_id, .. } => json!(idp_id),
            AuthConfig::OidcAssume(agency) => json!([agency.provider_urn, agency.agency_urn]),
            AuthConfig::Metadata => json!(null),
            AuthConfig::PodIdentity { uri, token_file } => json!([uri, path(token_file)]),
        };
        let agency = self.agency.as_ref().map(|agency| [&agency.domain, &agency.name]);
        let caller = json!([self.auth_method().as_str(), source, agency]);
        Sha256::digest(caller.to_string()).into()
    }
}

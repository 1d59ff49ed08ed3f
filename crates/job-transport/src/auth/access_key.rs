//! An access key and its secret key, for signing requests.

use std::{borrow::Cow, fmt};

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use secrecy::ExposeSecret;
use sha2::Sha256;

use super::{
    key_record::KeyId,
    secret::{InvalidCredential, SecretHeader, parse_secret},
};

/// An access key (AK) and its secret key (SK).
///
/// Temporary keys also have a security token. `Debug` prints only the access key.
///
/// # Examples
///
/// ```
/// use job_transport::auth::AccessKey;
///
/// let key = AccessKey::new("QTWAOYTTINDUT2QVKYUC", "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc")?;
/// assert_eq!(format!("{key:?}"), "AccessKey { access_key: \"QTWAOYTTINDUT2QVKYUC\", .. }");
/// # Ok::<(), job_transport::auth::InvalidCredential>(())
/// ```
#[derive(Clone)]
pub struct AccessKey {
    access_key: String,
    /// The HMAC state derived from the secret key, which itself is not kept. Zeroed on drop.
    hmac: Hmac<Sha256>,
    security_token: Option<SecretHeader>,
}

impl AccessKey {
    /// Creates a key pair.
    ///
    /// # Errors
    ///
    /// Returns an error if one of the two is empty, longer than 16,384 bytes, or contains a
    /// character that is not printable ASCII, or is a space.
    #[expect(clippy::missing_panics_doc, clippy::expect_used, reason = "HMAC takes any key")]
    pub fn new(
        access_key: impl Into<String>,
        secret_key: impl Into<String>,
    ) -> Result<Self, InvalidCredential> {
        let access_key = parse_secret(access_key.into())?.expose_secret().into();
        let secret_key = parse_secret(secret_key.into())?;
        let hmac = Hmac::new_from_slice(secret_key.expose_secret().as_bytes())
            .expect("a key of any length");
        Ok(Self { access_key, hmac, security_token: None })
    }

    /// Adds the security token of a temporary key.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not valid; the rules of [`AccessKey::new`] apply.
    pub fn with_security_token(
        self,
        security_token: impl Into<String>,
    ) -> Result<Self, InvalidCredential> {
        let security_token = parse_secret(security_token.into())?.into();
        Ok(Self { security_token: Some(security_token), ..self })
    }

    /// Returns the access key, which identifies the pair and is not secret.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// Returns the security token as a header, marked sensitive.
    pub(crate) fn security_token(&self) -> Result<Option<HeaderValue>, http::Error> {
        self.security_token.as_ref().map(SecretHeader::value).transpose()
    }

    /// Returns the HMAC-SHA256 of a text, which is given in parts. The key is the secret key
    /// itself; there is no key derivation.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.hmac.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    /// Returns the id of this key and security token at an endpoint with this host.
    pub(crate) fn id(&self, host: &str) -> KeyId {
        let token = self.security_token.as_ref().map_or("", |token| token.expose_secret());
        let host = match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(host.to_ascii_lowercase()),
            false => Cow::Borrowed(host),
        };
        let parts = [&*self.access_key, "\n", token, "\n", &*host];
        KeyId::new(self.mac(&parts.map(str::as_bytes)))
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

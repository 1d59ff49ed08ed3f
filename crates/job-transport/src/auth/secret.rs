//! Validates tokens and keys, and turns them into headers.

use std::sync::OnceLock;

use bytes::Bytes;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

/// Maximum length of a token, in bytes (reference page, table 2).
pub(super) const MAX_TOKEN_BYTES: usize = 16_384;

/// The error of a text that is not a valid token or key.
///
/// It contains no part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCredential {
    /// The text is empty.
    #[error("the token or key is empty")]
    Empty,
    /// The text is longer than the service accepts.
    #[error("the token or key is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// The text contains a space, or a character that is not printable ASCII.
    #[error(
        "the token or key contains a space, a line break or another invalid character; check that it was copied correctly"
    )]
    InvalidCharacter,
}

/// A secret that is sent as the value of a header.
#[derive(Clone)]
pub(crate) struct SecretHeader {
    secret: SecretString,
    /// Created for the first request.
    header: OnceLock<HeaderValue>,
}

/// The text of a header value. Zeroed on drop.
struct HeaderText(SecretString);

impl SecretHeader {
    /// Returns the header value, marked sensitive.
    ///
    /// All requests share its text, because a token may have many KiB. The text is zeroed when the
    /// last of them is dropped.
    pub(crate) fn value(&self) -> Result<HeaderValue, http::Error> {
        if let Some(header) = self.header.get() {
            return Ok(header.clone());
        }
        let text = Bytes::from_owner(HeaderText(self.secret.clone()));
        let mut header = HeaderValue::from_maybe_shared(text)?;
        header.set_sensitive(true);
        Ok(self.header.get_or_init(|| header).clone())
    }

    pub(crate) fn into_secret(self) -> SecretString {
        self.secret
    }
}

impl From<SecretString> for SecretHeader {
    fn from(secret: SecretString) -> Self {
        Self { secret, header: OnceLock::new() }
    }
}

impl ExposeSecret<str> for SecretHeader {
    fn expose_secret(&self) -> &str {
        self.secret.expose_secret()
    }
}

impl AsRef<[u8]> for HeaderText {
    fn as_ref(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

/// Turns a text into a secret if it is a valid token or key.
pub(crate) fn parse_secret(text: String) -> Result<SecretString, InvalidCredential> {
    let secret = SecretString::from(text);
    let text = secret.expose_secret();
    if text.is_empty() {
        Err(InvalidCredential::Empty)
    } else if text.len() > MAX_TOKEN_BYTES {
        Err(InvalidCredential::TooLong)
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err(InvalidCredential::InvalidCharacter)
    } else {
        Ok(secret)
    }
}

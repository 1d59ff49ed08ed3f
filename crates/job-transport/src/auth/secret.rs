//! Validates tokens and keys.

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

//! A token or a key as a secret text.

use secrecy::{ExposeSecret, SecretString};

/// The most bytes a token may have (reference page, table 2).
pub(super) const MAX_TOKEN_BYTES: usize = 16_384;

/// Why a text cannot be a credential. Holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCredential {
    /// The text is empty.
    #[error("the token or key is empty")]
    Empty,
    /// The text is longer than the service takes.
    #[error("the token or key has more than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// The text has a character that no token and no key has.
    #[error(
        "the token or key has a blank, a line break or another character that none has; was it copied whole and alone?"
    )]
    InvalidCharacter,
}

/// Takes a text as a secret if it can be one.
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

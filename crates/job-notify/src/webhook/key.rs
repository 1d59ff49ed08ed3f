//! The keys that sign webhooks.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A key that signs notifications: at least 24 random bytes. `Debug` does not show it.
///
/// # Examples
///
/// ```
/// use job_notify::WebhookKey;
///
/// let key = WebhookKey::new("whsec_c2l4dGVlbiBieXRlcyB0d2ljZSBpcyB0aGlydHktdHdv")?;
/// assert_eq!(format!("{key:?}"), "WebhookKey { .. }");
/// # Ok::<(), job_notify::WebhookKeyError>(())
/// ```
#[derive(Clone)]
pub struct WebhookKey(Hmac<Sha256>);

/// The error for a text that is not a webhook key. Does not contain the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookKeyError {
    /// The text, without a leading `whsec_`, is not base64.
    #[error(
        "not a webhook key: expected base64, optionally after whsec_, \
         such as the output of `openssl rand -base64 32`"
    )]
    NotBase64,
    /// The key has too few bytes to be secure; the field is their number.
    #[error(
        "a webhook key of {0} bytes is too short: use at least 24 random bytes, \
         such as the output of `openssl rand -base64 32`"
    )]
    TooShort(usize),
}

/// The minimum length of a key, in bytes.
const MIN_KEY_LEN: usize = 24;

impl WebhookKey {
    /// Parses a key: base64, with or without `whsec_` before it. Ignores surrounding whitespace.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not base64, or if the key has fewer than 24 bytes.
    pub fn new(text: &str) -> Result<Self, WebhookKeyError> {
        let text = text.trim();
        let text = text.strip_prefix("whsec_").unwrap_or(text);
        let key = BASE64.decode(text).map_err(|_| WebhookKeyError::NotBase64)?;
        if key.len() < MIN_KEY_LEN {
            return Err(WebhookKeyError::TooShort(key.len()));
        }
        // HMAC accepts keys of any length, so this cannot fail.
        Hmac::new_from_slice(&key).map(Self).map_err(|_| WebhookKeyError::NotBase64)
    }

    /// Returns the signature of a message, as in the header `webhook-signature`.
    ///
    /// `id` is the value of the header `webhook-id`, and `timestamp` that of `webhook-timestamp`.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mac = self.0.clone().chain_update(format!("{id}.{timestamp}.")).chain_update(body);
        format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "whsec_c2l4dGVlbiBieXRlcyB0d2ljZSBpcyB0aGlydHktdHdv";

    #[test]
    fn the_signature_equals_the_example_of_the_specification() {
        let key = WebhookKey::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#);
        let signature = key.sign(id, 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn webhook_keys_are_validated() {
        let rows = [
            (KEY, None),
            ("  YW5vdGhlciBrZXkgb2YgdHdlbnR5LWZvdXIgYnl0ZXM=\n", None),
            ("whsec_c2hvcnQ=", Some("a webhook key of 5 bytes is too short: use at least 24")),
            ("whsec_!", Some("not a webhook key: expected base64")),
            ("", Some("a webhook key of 0 bytes")),
        ];
        for (text, expected) in rows {
            let message = WebhookKey::new(text).err().map(|error| error.to_string());
            let fits = match expected {
                None => message.is_none(),
                Some(expected) => {
                    message.as_ref().is_some_and(|message| message.starts_with(expected))
                }
            };
            assert!(fits, "{text}: {message:?}");
        }
    }
}

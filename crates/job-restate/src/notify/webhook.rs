//! Delivers notifications as signed HTTP requests (Standard Webhooks). Follows no redirects.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use futures_core::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use http::{Method, Request, Uri, header::CONTENT_TYPE, uri::Scheme};
use job_transport::{
    clock::{Clock, TokioClock},
    transport::{AllowHttp, Transport, display_chain, is_loopback},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use sha2::Sha256;

use super::notifier::{Notification, Notifier, NotifierError};

/// Posts each notification to a URL, with a signature.
///
/// The signature follows [Standard Webhooks](https://www.standardwebhooks.com). It is an
/// HMAC-SHA256 with a key that the receiver shares. Libraries that verify it exist for most
/// languages.
///
/// | header | value |
/// |---|---|
/// | `webhook-id` | [`Notification::id`], percent-encoded if necessary; the same for each delivery of a notification |
/// | `webhook-timestamp` | the time of this delivery, in seconds since 1970 |
/// | `webhook-signature` | for each key `v1,` and the base64 of the HMAC over `ID.TIMESTAMP.BODY`, separated by spaces |
///
/// # Responses
///
/// | response | result |
/// |---|---|
/// | 2xx | delivered |
/// | 410 | a permanent error: the notification is not sent again |
/// | any other status, including redirects | a transient error: the engine retries |
/// | no response within 20s | a transient error: the engine retries |
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use job_restate::{Notifier, Webhook, WebhookKey};
/// use job_transport::hyper::{HyperTransport, TlsConfig, TlsProvider};
///
/// let transport = HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?);
/// let key = WebhookKey::new("whsec_c2l4dGVlbiBieXRlcyB0d2ljZSBpcyB0aGlydHktdHdv")?;
/// let webhook = Webhook::new(transport, [key]);
/// assert!(webhook.check("https://example.com/hook").is_ok());
/// assert!(webhook.check("http://example.com/hook").is_err());
/// # Ok(()) }
/// ```
pub struct Webhook {
    transport: Arc<dyn Transport>,
    keys: Vec<WebhookKey>,
    clock: Arc<dyn Clock>,
    allow_http: bool,
}

/// A key that signs notifications: at least 24 random bytes. `Debug` does not show it.
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

/// How long one delivery may take.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);

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

    fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mac = self.0.clone().chain_update(format!("{id}.{timestamp}.")).chain_update(body);
        format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
    }
}

impl Webhook {
    /// Creates a notifier that signs each notification with all of `keys`.
    ///
    /// Use two keys while receivers change from an old key to a new one. Without a key, every
    /// address is rejected.
    #[must_use]
    pub fn new(
        transport: impl Transport + 'static,
        keys: impl IntoIterator<Item = WebhookKey>,
    ) -> Self {
        Self {
            transport: Arc::new(transport),
            keys: keys.into_iter().collect(),
            clock: Arc::new(TokioClock::new()),
            allow_http: false,
        }
    }

    /// Allows plain http to any host.
    ///
    /// This is insecure, because others on the network can read the notifications. By default,
    /// plain http is only allowed to loopback addresses.
    #[must_use]
    pub const fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    fn request(
        &self,
        to: &str,
        notification: &Notification,
    ) -> Result<Request<Bytes>, NotifierError> {
        let id = utf8_percent_encode(&notification.id(), HEADER_ESCAPES).to_string();
        let timestamp = self.clock.now().as_second();
        let signed = self.keys.iter().map(|key| key.sign(&id, timestamp, &notification.body));
        let signatures = signed.collect::<Vec<_>>().join(" ");
        let request = Request::builder()
            .method(Method::POST)
            .uri(to)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures)
            .body(Bytes::from(notification.body.clone()));
        let mut request = request.map_err(|error| NotifierError::permanent(error.to_string()))?;
        if self.allow_http {
            request.extensions_mut().insert(AllowHttp::new());
        }
        Ok(request)
    }

    async fn send(&self, to: &str, notification: &Notification) -> Result<(), NotifierError> {
        self.check(to)?;
        let sent = self.transport.send(self.request(to, notification)?);
        let reply = tokio::time::timeout(DELIVERY_TIMEOUT, sent).await;
        let reply = reply
            .map_err(|_| NotifierError::transient("the receiver did not answer within 20s"))?;
        let status = match &reply {
            Ok(reply) => reply.status(),
            Err(error) => return Err(NotifierError::transient(display_chain(error))),
        };
        match status.as_u16() {
            200..300 => Ok(()),
            410 => Err(NotifierError::permanent(
                "the receiver answered 410 Gone: it no longer accepts this notification",
            )),
            _ => Err(NotifierError::transient(format!("the receiver answered {status}"))),
        }
    }
}

impl Notifier for Webhook {
    fn deliver<'a>(
        &'a self,
        to: &'a str,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifierError>> {
        Box::pin(self.send(to, notification))
    }

    fn check(&self, to: &str) -> Result<(), NotifierError> {
        let no_url =
            || NotifierError::permanent("`notify` is not a URL such as https://example.com/hook");
        if self.keys.is_empty() {
            return Err(NotifierError::permanent(
                "no webhook key is configured; configure one, or omit `notify`",
            ));
        }
        let uri: Uri = to.parse().map_err(|_| no_url())?;
        let (scheme, authority) = uri.scheme().zip(uri.authority()).ok_or_else(no_url)?;
        let may_be_plain = self.allow_http || is_loopback(authority.host());
        if authority.as_str().contains('@') {
            Err(NotifierError::permanent(
                "`notify` contains a user name or password; remove it, because notifications are signed",
            ))
        } else if *scheme == Scheme::HTTPS || (*scheme == Scheme::HTTP && may_be_plain) {
            Ok(())
        } else {
            Err(NotifierError::permanent("`notify` is not https; plain http is for localhost only"))
        }
    }
}

/// The characters that are percent-encoded: those that a header cannot contain, and the percent
/// sign, so that decoding is unambiguous.
const HEADER_ESCAPES: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookKey").finish_non_exhaustive()
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

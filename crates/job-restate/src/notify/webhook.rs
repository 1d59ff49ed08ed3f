//! Notifications as signed HTTP requests, by the rules of Standard Webhooks. Follows no redirect.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use futures_core::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use http::{Method, Request, Uri, header::CONTENT_TYPE, uri::Scheme};
use job_transport::{AllowHttp, Clock, TokioClock, Transport, display_chain, is_loopback};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use sha2::Sha256;

use super::notifier::{Notification, Notifier, NotifierError};

/// Posts each notification to a URL, signed with a key that the receiver has too: HMAC-SHA256, as the specification
/// Standard Webhooks has it, for which receivers find libraries in most languages.
///
/// | header | holds |
/// |---|---|
/// | `webhook-id` | [`Notification::id`], percent-encoded where a header cannot carry it: the same in each delivery of a notification |
/// | `webhook-timestamp` | when this delivery was made, in seconds since 1970 |
/// | `webhook-signature` | for each key `v1,` and the base64 of the HMAC over `ID.TIMESTAMP.BODY`, separated by spaces |
///
/// Any 2xx is a delivery. 410 says that there will never be one; any other reply, a redirect too, and no reply
/// within 20 s, that this was none.
pub struct Webhook {
    transport: Arc<dyn Transport>,
    keys: Vec<WebhookKey>,
    clock: Arc<dyn Clock>,
    allow_http: bool,
}

/// A key to sign with: at least 24 random bytes. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct WebhookKey(Hmac<Sha256>);

/// Why a text is no key. Shows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookKeyError {
    /// It is no base64, after `whsec_`.
    #[error("no webhook key; that is whsec_ and base64, such as `openssl rand -base64 32` prints")]
    NotBase64,
    /// It is too short to keep anybody out.
    #[error(
        "a webhook key of {0} bytes; at least 24 are needed, such as `openssl rand -base64 32` prints"
    )]
    TooShort(usize),
}

/// How long a delivery may take.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);

/// The least that a key has.
const MIN_KEY_LEN: usize = 24;

impl WebhookKey {
    /// Reads a key: `whsec_` and base64, or the base64 alone.
    ///
    /// # Errors
    ///
    /// Where it is none, or too short.
    pub fn new(text: &str) -> Result<Self, WebhookKeyError> {
        let text = text.trim();
        let text = text.strip_prefix("whsec_").unwrap_or(text);
        let key = BASE64.decode(text).map_err(|_| WebhookKeyError::NotBase64)?;
        if key.len() < MIN_KEY_LEN {
            return Err(WebhookKeyError::TooShort(key.len()));
        }
        // Fails for no length.
        Hmac::new_from_slice(&key).map(Self).map_err(|_| WebhookKeyError::NotBase64)
    }

    fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mac = self.0.clone().chain_update(format!("{id}.{timestamp}.")).chain_update(body);
        format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
    }
}

impl Webhook {
    /// Creates a notifier that signs with these keys: more than one while receivers change from one to another.
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

    /// Takes receivers over plain http on any host: whoever is on the way reads the notifications. By default https
    /// alone is taken, but for this machine.
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
        let reply =
            reply.map_err(|_| NotifierError::transient("the receiver did not answer in 20 s"))?;
        let status = match &reply {
            Ok(reply) => reply.status(),
            Err(error) => return Err(NotifierError::transient(display_chain(error))),
        };
        match status.as_u16() {
            200..300 => Ok(()),
            410 => Err(NotifierError::permanent(
                "the receiver answered 410: it wants no more notifications",
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
            || NotifierError::permanent("`notify` is no URL, such as https://example.com/hook");
        if self.keys.is_empty() {
            return Err(NotifierError::permanent(
                "there is no key to sign with; set one, or leave `notify` out",
            ));
        }
        let uri: Uri = to.parse().map_err(|_| no_url())?;
        let (scheme, authority) = uri.scheme().zip(uri.authority()).ok_or_else(no_url)?;
        let may_be_plain = self.allow_http || is_loopback(authority.host());
        if authority.as_str().contains('@') {
            Err(NotifierError::permanent(
                "`notify` holds a user or a password; a notification is signed instead",
            ))
        } else if *scheme == Scheme::HTTPS || (*scheme == Scheme::HTTP && may_be_plain) {
            Ok(())
        } else {
            Err(NotifierError::permanent("`notify` is not https; http is for this machine alone"))
        }
    }
}

/// What a header cannot carry, and the percent sign, so that it is read back one way.
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

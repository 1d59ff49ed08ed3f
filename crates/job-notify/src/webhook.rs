//! Delivers notifications as signed HTTP requests (Standard Webhooks) to receivers of an allow-list.

mod key;
mod connect;
mod verdict;

pub use key::{WebhookKey, WebhookKeyError};

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use connect::{CONNECT_TIMEOUT, CheckedConnect, Resolve, SystemResolver};
use futures_core::future::BoxFuture;
use http::{Method, Request, header::CONTENT_TYPE};
use job_transport::{
    clock::{Clock, TokioClock},
    hyper::HyperTransport,
    transport::{AllowHttp, Transport, is_loopback},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use verdict::verdict;

use crate::{
    notification::Notification,
    notifier::{Notifier, NotifierError},
    receiver::{AllowList, ReceiverUrl},
};

/// Posts each notification to a URL, with a signature.
///
/// The signature follows [Standard Webhooks](https://www.standardwebhooks.com). It is an
/// HMAC-SHA256 with a key that the receiver shares. Libraries that verify it exist for most
/// languages.
///
/// | header | value |
/// |---|---|
/// | `webhook-id` | [`Notification::id`], percent-encoded if necessary; the same in each try |
/// | `webhook-timestamp` | the time of this try, in seconds since 1970 |
/// | `webhook-signature` | for each key `v1,` and the base64 of the HMAC over `ID.TIMESTAMP.BODY`, separated by spaces |
///
/// # Receivers
///
/// A receiver must be in the [`AllowList`], which is empty by default. The addresses of its host are
/// checked on each new connection, after they were resolved. A name that has another address at the
/// next lookup (DNS rebinding) therefore gains nothing.
///
/// No redirect is followed. A proxy of the transport is used only if the allow-list names it. The
/// proxy resolves the names of receivers, so it must refuse internal addresses itself.
///
/// # Replies
///
/// | reply | result |
/// |---|---|
/// | 2xx, with any body | delivered |
/// | 410 | a permanent error |
/// | any other status | a transient error, with the delay of `Retry-After` |
/// | no reply within 20 s, no connection, an address that is not allowed, a TLS error | a transient error |
///
/// A 4xx is transient because a receiver that is misconfigured for a while, for example without its
/// route, would otherwise lose notifications. [Standard Webhooks](https://www.standardwebhooks.com)
/// recommends this, and to stop after a 410.
///
/// At most 64 KiB of a reply are read. Error messages name the receiver's host and path
/// ([`receiver_name`](crate::receiver_name)), and contain nothing of the reply except its status.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use job_notify::{AllowList, Notifier, Webhook, WebhookKey};
/// use job_transport::hyper::{HyperTransport, TlsConfig, TlsProvider};
///
/// let transport = HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?);
/// let key = WebhookKey::new("whsec_c2l4dGVlbiBieXRlcyB0d2ljZSBpcyB0aGlydHktdHdv")?;
/// let webhook = Webhook::new(transport, [key]).allow(AllowList::new(["https://example.com"])?);
/// assert!(webhook.check("https://example.com/hook").is_ok());
/// assert!(webhook.check("http://example.com/hook").is_err());
/// # Ok(()) }
/// ```
pub struct Webhook {
    transport: HyperTransport,
    keys: Vec<WebhookKey>,
    receivers: Arc<AllowList>,
    resolver: Arc<dyn Resolve>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    allow_http: bool,
}

/// How long one try may take, by default.
const TRY_TIMEOUT: Duration = Duration::from_secs(20);

/// How much of a reply is read, in bytes. Only its status is used.
const MAX_REPLY_LEN: usize = 64 << 10;

impl Webhook {
    /// Creates a notifier that signs each notification with all of `keys`.
    ///
    /// Use two keys while receivers change from an old key to a new one. Without a key, or without
    /// receivers that [`allow`](Self::allow) permits, every receiver is rejected.
    ///
    /// The connector, the timeouts and the size limit of `transport` are replaced.
    #[must_use]
    pub fn new(transport: HyperTransport, keys: impl IntoIterator<Item = WebhookKey>) -> Self {
        let new = Self {
            transport: transport.connect_timeout(CONNECT_TIMEOUT).max_body(MAX_REPLY_LEN),
            keys: keys.into_iter().collect(),
            receivers: Arc::default(),
            resolver: Arc::new(SystemResolver),
            clock: Arc::new(TokioClock::new()),
            timeout: TRY_TIMEOUT,
            allow_http: false,
        };
        new.timeout(TRY_TIMEOUT).allow(AllowList::default())
    }

    /// Sets the receivers that are allowed; none by default.
    #[must_use]
    pub fn allow(mut self, receivers: AllowList) -> Self {
        self.receivers = Arc::new(receivers);
        self.with_connector()
    }

    /// Sets how long one try may take; 20 s by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self.transport = self.transport.attempt_timeout(timeout);
        self
    }

    /// Allows plain http to hosts other than this machine, if the allow-list has such an entry.
    ///
    /// This is insecure, because others on the network can read the notifications. By default,
    /// plain http is only allowed to `localhost` and loopback addresses.
    #[must_use]
    pub const fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    #[cfg(test)]
    fn with_resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self.with_connector()
    }

    /// Replaces the connector, and with it all open connections, because they were checked with
    /// earlier settings.
    fn with_connector(mut self) -> Self {
        let (receivers, resolver) = (Arc::clone(&self.receivers), Arc::clone(&self.resolver));
        self.transport = self.transport.connector(CheckedConnect { receivers, resolver });
        self
    }

    fn parse_url(&self, to: &str) -> Result<ReceiverUrl, NotifierError> {
        if self.keys.is_empty() {
            return Err(NotifierError::permanent(
                "this service has no webhook key, so it sends no notifications",
            ));
        }
        let receiver = self.receivers.parse_url(to)?;
        let is_local = receiver.uri.host().is_some_and(is_loopback);
        if receiver.origin.is_https || self.allow_http || is_local {
            Ok(receiver)
        } else {
            Err(NotifierError::permanent(format!(
                "{receiver} is not https; plain http is for localhost only"
            )))
        }
    }

    fn request(
        &self,
        receiver: &ReceiverUrl,
        notification: &Notification,
    ) -> Result<Request<Bytes>, NotifierError> {
        let id = utf8_percent_encode(notification.id(), HEADER_ESCAPES).to_string();
        let timestamp = self.clock.now().as_second();
        let signed = self.keys.iter().map(|key| key.sign(&id, timestamp, notification.body()));
        let signatures = signed.collect::<Vec<_>>().join(" ");
        let request = Request::builder()
            .method(Method::POST)
            .uri(receiver.uri.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures)
            .body(Bytes::from(notification.body().to_owned()));
        let mut request = request.map_err(|error| {
            NotifierError::permanent(format!("the request to {receiver} is invalid: {error}"))
        })?;
        if self.allow_http {
            request.extensions_mut().insert(AllowHttp::new());
        }
        Ok(request)
    }

    async fn send(&self, to: &str, notification: &Notification) -> Result<(), NotifierError> {
        let receiver = self.parse_url(to)?;
        let request = self.request(&receiver, notification)?;
        verdict(&receiver, self.timeout, &self.transport.send(request).await)
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
        self.parse_url(to).map(drop)
    }
}

/// The characters that are percent-encoded: those that a header cannot contain, and the percent
/// sign, so that decoding is unambiguous.
const HEADER_ESCAPES: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("keys", &self.keys.len())
            .field("receivers", &self.receivers)
            .field("timeout", &self.timeout)
            .field("allow_http", &self.allow_http)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

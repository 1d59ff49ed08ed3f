//! The error of an attempt that did not return the requested job, list of jobs, cluster or node.

use std::{borrow::Cow, error::Error, fmt, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_TYPE};
use jiff::Timestamp;
use job_model::{DecodeError, HumanDuration, ServiceError, reply::RateLimit};

use super::{
    error_class::ErrorClass,
    error_kind::FetchErrorKind,
    gateway_code::has_gateway_code,
    headers::{date, header_str, request_id, retry_after},
    provider_error::{CredentialsProviderError, NO_CREDENTIALS},
    refusal_cause::RefusalCause,
};
use crate::transport::{RequestSent, TransportError, error_sources};

/// The error of an attempt to read a job, the list of jobs, a cluster or a node.
///
/// - [`kind`](Self::kind) is what happened.
/// - [`class`](Self::class) is how to react.
/// - The other methods return the details: status, request id, error body, `Retry-After`.
///
/// # Examples
///
/// ```
/// use http::{Response, StatusCode};
/// use job_transport::{ErrorClass, FetchErrorKind, Reading};
///
/// let body = r#"{"errorCode": "CCE.01404001", "errorMessage": "no such job"}"#;
/// let mut reply = Response::new(body.into());
/// *reply.status_mut() = StatusCode::NOT_FOUND;
/// let error = Reading::from_response(reply).unwrap_err();
/// assert_eq!(error.kind(), FetchErrorKind::Status(404));
/// assert_eq!(error.class(), ErrorClass::NotFound);
/// assert_eq!(error.service_error().and_then(|error| error.code()), Some("CCE.01404001"));
/// ```
#[derive(Debug)]
pub struct FetchError(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: FetchErrorKind,
    class: ErrorClass,
    message: Cow<'static, str>,
    detail: Cow<'static, str>,
    status: Option<StatusCode>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    date: Option<Timestamp>,
    service_error: Option<ServiceError>,
    credentials_refreshed: bool,
    refusal_cause: Option<RefusalCause>,
    blocked_until: Option<Timestamp>,
    refusal: Option<FetchError>,
    transport: Option<TransportError>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl FetchError {
    /// Creates an error from its kind, without details.
    ///
    /// The message does not name what was requested, because the kind does not contain it.
    #[must_use]
    pub fn new(kind: FetchErrorKind) -> Self {
        const NOT_REQUESTED: &str = "the reply is not what was requested";
        let (mut status, mut transport) = (None, None);
        let (message, detail): (Cow<'static, str>, &'static str) = match kind {
            FetchErrorKind::Credentials => (NO_CREDENTIALS.into(), ""),
            FetchErrorKind::CredentialsTimeout => {
                (NO_CREDENTIALS.into(), "the provider did not return in time")
            }
            FetchErrorKind::WrongSignature => {
                ("the access key is blocked because the service refused its signature".into(), "")
            }
            FetchErrorKind::NoProject => {
                ("no project id: neither the client nor the credentials have one".into(), "")
            }
            FetchErrorKind::Transport(kind) => {
                let error = TransportError::new(kind, RequestSent::Maybe);
                let message = error.to_string();
                transport = Some(error);
                (message.into(), "")
            }
            FetchErrorKind::Status(code) => {
                status = StatusCode::from_u16(code).ok();
                let shown = status.map_or_else(|| code.to_string(), |status| status.to_string());
                (format!("the service answered {shown}").into(), "")
            }
            FetchErrorKind::EmptyBody => (NOT_REQUESTED.into(), "the body is empty"),
            FetchErrorKind::HtmlPage => (NOT_REQUESTED.into(), "the body is an HTML page"),
            FetchErrorKind::Undecodable => (NOT_REQUESTED.into(), ""),
            FetchErrorKind::WrongKind => (NOT_REQUESTED.into(), "the body is something else"),
            FetchErrorKind::NoToken => {
                ("the reply of the identity service has no X-Subject-Token header".into(), "")
            }
            FetchErrorKind::WrongJob => {
                ("the service answered with another job, cluster or node".into(), "")
            }
        };
        Self(Box::new(Details {
            kind,
            class: kind.class(),
            message,
            detail: detail.into(),
            status,
            request_id: None,
            retry_after: None,
            date: None,
            service_error: None,
            credentials_refreshed: false,
            refusal_cause: None,
            blocked_until: None,
            refusal: None,
            transport,
            source: None,
        }))
    }

    /// Creates the error of a reply whose status is not 200.
    ///
    /// It contains the request id, `Retry-After`, `Date` and the error body of the reply.
    #[must_use]
    pub fn from_response(reply: &Response<Bytes>) -> Self {
        Self::from_parts(reply, read_service_error(reply))
    }

    /// Creates the error of a reply whose error body is already decoded.
    pub(crate) fn from_parts(reply: &Response<Bytes>, service_error: Option<ServiceError>) -> Self {
        let in_body = service_error.as_ref().and_then(ServiceError::request_id);
        let request_id = request_id(reply.headers()).or(in_body).map(String::from);
        let error = Self::new(FetchErrorKind::Status(reply.status().as_u16()))
            .with_request_id(request_id)
            .with_retry_after(retry_after(reply.headers()))
            .with_date(date(reply.headers()));
        match service_error {
            Some(service_error) => error.with_service_error(service_error),
            None => error,
        }
    }

    /// Creates the error of an attempt whose credentials provider took longer than `timeout`.
    #[must_use]
    pub fn credentials_timeout(timeout: Duration) -> Self {
        let mut error = Self::new(FetchErrorKind::CredentialsTimeout);
        error.0.detail =
            format!("the provider did not return within {}", HumanDuration(timeout)).into();
        error
    }

    /// Replaces the class, which is the kind's by default.
    #[must_use]
    pub fn with_class(mut self, class: ErrorClass) -> Self {
        self.0.class = class;
        self
    }

    /// Sets the request id that the service assigned.
    #[must_use]
    pub fn with_request_id(mut self, request_id: Option<String>) -> Self {
        self.0.request_id = request_id;
        self
    }

    /// Sets the delay that the reply requests before the next request.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    /// Sets the service's time when it replied.
    #[must_use]
    pub fn with_date(mut self, date: Option<Timestamp>) -> Self {
        self.0.date = date;
        self
    }

    /// Adds the error body of the reply.
    ///
    /// A 404 with the gateway's code `APIGW.0101` or `APIG.0101` becomes permanent, because the
    /// path is wrong for every request.
    #[must_use]
    pub fn with_service_error(mut self, service_error: ServiceError) -> Self {
        let details = &mut *self.0;
        if details.kind == FetchErrorKind::Status(404)
            && has_gateway_code(&service_error, UNKNOWN_PATH)
        {
            details.class = ErrorClass::Permanent;
        }
        let text = service_error.to_string();
        // Leave out a body that only repeats the status.
        if details.status.is_none_or(|status| status.to_string() != text) {
            details.detail = text.into();
        }
        details.service_error = Some(service_error);
        self
    }

    /// Replaces the message.
    pub(crate) fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.message = message.into();
        self
    }

    /// Replaces the details, such as the text of the error body.
    pub(crate) fn with_detail(mut self, detail: String) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// Sets whether the credentials were refreshed during the attempt.
    #[must_use]
    pub fn with_credentials_refreshed(mut self, refreshed: bool) -> Self {
        self.0.credentials_refreshed = refreshed;
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds the refusal (401) after which the credentials could not be refreshed.
    pub(crate) fn with_refusal(mut self, refusal: Self) -> Self {
        self.0.message =
            format!("the credentials were rejected ({refusal}) and could not be refreshed").into();
        self.0.refusal = Some(refusal);
        self
    }

    /// Sets why the service refused the signature.
    #[must_use]
    pub fn with_refusal_cause(mut self, cause: RefusalCause) -> Self {
        self.0.refusal_cause = Some(cause);
        self
    }

    /// Sets until when no request is signed with the key. The kind becomes
    /// [`WrongSignature`](FetchErrorKind::WrongSignature).
    #[must_use]
    pub fn with_blocked_until(mut self, until: Timestamp) -> Self {
        self.0.kind = FetchErrorKind::WrongSignature;
        self.0.blocked_until = Some(until);
        self
    }

    /// Returns what happened.
    #[must_use]
    pub fn kind(&self) -> FetchErrorKind {
        self.0.kind
    }

    /// Returns how to react.
    ///
    /// This is the class of the kind ([`FetchErrorKind::class`]), with two exceptions:
    ///
    /// - A 404 with the gateway's code `APIGW.0101` or `APIG.0101` is `Permanent`, because the path is
    ///   wrong for every request.
    /// - An error of the credentials provider has the class of that error
    ///   ([`CredentialsProviderError::class`]). If that is `NotFound`, it becomes `Permanent`,
    ///   because the service itself got no request.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.0.class
    }

    /// Returns the message, without the details.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the details, such as the text of the error body.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        (!self.0.detail.is_empty()).then_some(&*self.0.detail)
    }

    /// Returns the status of the reply, if there was a reply and its status is not 200.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// Returns the request id that the service assigned (`X-Request-Id`), if the reply has one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Returns the delay that the reply requests before the next request.
    ///
    /// The reply can be that of the identity service.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns the service's time when it replied (`Date`), in whole seconds, if the status of the
    /// reply is not 200.
    ///
    /// The reply can be that of the identity service. For a wrong signature, it can be the reply to
    /// an earlier request.
    #[must_use]
    pub fn date(&self) -> Option<Timestamp> {
        self.0.date
    }

    /// Returns the error body of the reply.
    ///
    /// For a wrong signature, it can be the reply to an earlier request.
    #[must_use]
    pub fn service_error(&self) -> Option<&ServiceError> {
        self.0.service_error.as_ref()
    }

    /// Returns the rate limit that the API gateway states, if it refused the request because of it:
    /// status 429 with the code `APIGW.0308` or `APIG.0308`.
    ///
    /// # Examples
    ///
    /// ```
    /// use http::{Response, StatusCode};
    /// use job_transport::FetchError;
    ///
    /// let body = r#"{"error_code": "APIGW.0308", "error_msg": "The throttling threshold has been
    ///     reached: policy user over ratelimit,limit:60,time:1 minute"}"#;
    /// let mut reply = Response::new(body.into());
    /// *reply.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    /// let limit = FetchError::from_response(&reply).rate_limit().expect("a stated limit");
    /// assert_eq!(limit.to_string(), "60 requests in 1m (policy user)");
    /// ```
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        let error = self.service_error()?;
        let is_throttled =
            self.kind() == FetchErrorKind::Status(429) && has_gateway_code(error, THROTTLED);
        error.rate_limit().filter(|_| is_throttled)
    }

    /// Returns whether the credentials were refreshed during the attempt.
    ///
    /// If the service refuses the new credentials as well (401), they did not fail because of their
    /// age.
    #[must_use]
    pub fn credentials_refreshed(&self) -> bool {
        self.0.credentials_refreshed
    }

    /// Returns why the service refused the signature, if it did.
    #[must_use]
    pub fn refusal_cause(&self) -> Option<RefusalCause> {
        self.0.refusal_cause
    }

    /// Returns until when no request is signed with the key, if the kind is
    /// [`WrongSignature`](FetchErrorKind::WrongSignature).
    #[must_use]
    pub fn blocked_until(&self) -> Option<Timestamp> {
        self.0.blocked_until
    }

    /// Returns the refusal (401) after which the credentials could not be refreshed.
    #[must_use]
    pub fn refusal(&self) -> Option<&Self> {
        self.0.refusal.as_ref()
    }

    /// Returns the transport's error, if the kind is [`Transport`](FetchErrorKind::Transport).
    #[must_use]
    pub fn transport_error(&self) -> Option<&TransportError> {
        let of_login = || self.login_error().and_then(Self::transport_error);
        self.0.transport.as_ref().or_else(of_login)
    }

    /// Returns why the body could not be decoded, if the kind is
    /// [`Undecodable`](FetchErrorKind::Undecodable).
    #[must_use]
    pub fn decode_error(&self) -> Option<&DecodeError> {
        self.0.source.as_ref()?.downcast_ref()
    }

    /// Returns the error of the credentials provider, if the attempt failed because of it.
    #[must_use]
    pub fn provider_error(&self) -> Option<&CredentialsProviderError> {
        self.0.source.as_ref()?.downcast_ref()
    }

    /// Returns the error of the provider's own request, if it sent one.
    fn login_error(&self) -> Option<&Self> {
        fetch_error_in(self.provider_error()?)
    }
}

/// The gateway's code for a path that does not exist.
const UNKNOWN_PATH: &str = "0101";

/// The gateway's code for a request above a rate limit.
const THROTTLED: &str = "0308";

/// Returns the first [`FetchError`] among the causes of an error.
fn fetch_error_in(error: &CredentialsProviderError) -> Option<&FetchError> {
    error_sources(error).find_map(|cause| cause.downcast_ref())
}

impl From<TransportError> for FetchError {
    fn from(error: TransportError) -> Self {
        let mut made = Self::new(FetchErrorKind::Transport(error.kind()));
        made.0.message = error.to_string().into();
        made.0.transport = Some(error);
        made
    }
}

/// Creates the error of an attempt without credentials.
///
/// If the provider's own request got no reply or an unreadable one, the kind is that of its error.
/// So a wait reacts to an unknown host in the same way for both services.
impl From<CredentialsProviderError> for FetchError {
    fn from(error: CredentialsProviderError) -> Self {
        let login = fetch_error_in(&error);
        let kind = login
            .map(Self::kind)
            .filter(|kind| kind.is_unreadable() || matches!(kind, FetchErrorKind::Transport(_)));
        let class = match error.class() {
            // The provider did not find something. The service itself got no request.
            ErrorClass::NotFound => ErrorClass::Permanent,
            class => class,
        };
        let mut made = Self::new(FetchErrorKind::Credentials)
            .with_class(class)
            .with_retry_after(login.and_then(Self::retry_after));
        made.0.kind = kind.unwrap_or(FetchErrorKind::Credentials);
        made.0.message = error.summary().into();
        made.with_source(error)
    }
}

/// Creates the error of a provider whose request to the identity service failed. It has the same
/// class.
impl From<FetchError> for CredentialsProviderError {
    fn from(error: FetchError) -> Self {
        let message = match error.class() {
            ErrorClass::Unauthorized => "the identity service refused the login",
            _ => "the identity service returned no token",
        };
        Self::new(error.class(), message).with_source(error)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        self.detail().map_or(Ok(()), |detail| write!(f, ": {detail}"))?;
        let advice = match self.refusal_cause() {
            Some(cause) => cause.advice(),
            None if self.0.kind == FetchErrorKind::WrongSignature => Some("check the secret key"),
            None => None,
        };
        advice.map_or(Ok(()), |advice| write!(f, "; {advice}"))?;
        if let Some(until) = self.blocked_until() {
            write!(f, "; no request is signed with this key until {until:.0}")?;
        }
        self.request_id().map_or(Ok(()), |id| write!(f, " (request id {id})"))
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.source {
            Some(source) => Some(&**source),
            None => self.0.transport.as_ref()?.source(),
        }
    }
}

/// Decodes the error body of a reply.
pub(crate) fn read_service_error(reply: &Response<Bytes>) -> Option<ServiceError> {
    let content_type = header_str(reply.headers(), &CONTENT_TYPE);
    ServiceError::from_body(reply.status().as_u16(), content_type, reply.body())
}

#[cfg(test)]
mod tests;

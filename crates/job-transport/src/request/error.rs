//! Why an attempt has no reading, and how to react. Sends nothing.

use std::{borrow::Cow, error::Error, fmt, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_TYPE};
use job_model::{DecodeError, ServiceError};

use super::{
    error_class::ErrorClass,
    error_kind::FetchErrorKind,
    headers::{header_str, request_id, retry_after},
    provider_error::CredentialsProviderError,
};
use crate::transport::{RequestSent, TransportError, error_sources};

/// An attempt without a reading: its kind, how to react, and all that is known of it.
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
    service_error: Option<ServiceError>,
    credentials_refreshed: bool,
    refusal: Option<FetchError>,
    transport: Option<TransportError>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl FetchError {
    /// Creates an error of which only the kind is known.
    #[must_use]
    pub fn new(kind: FetchErrorKind) -> Self {
        const NOT_A_JOB: &str = "the service's reply is not a readable job";
        let (mut status, mut transport) = (None, None);
        let (message, detail): (Cow<'static, str>, &'static str) = match kind {
            FetchErrorKind::Credentials => (NO_CREDENTIALS.into(), ""),
            FetchErrorKind::CredentialsTimeout => {
                (NO_CREDENTIALS.into(), "they were not provided in time")
            }
            FetchErrorKind::WrongSignature => (
                "the service refused this key's signature before, so none is sent any more; check the secret key, and start again with the right one".into(),
                "",
            ),
            FetchErrorKind::NoProject => {
                ("no project: the client has none, and the credentials name none".into(), "")
            }
            FetchErrorKind::Transport(kind) => {
                let error = TransportError::new(kind, RequestSent::Maybe);
                let message = error.message();
                transport = Some(error);
                (message.into(), "")
            }
            FetchErrorKind::Status(code) => {
                status = StatusCode::from_u16(code).ok();
                let shown = status.map_or_else(|| code.to_string(), |status| status.to_string());
                (format!("the service answered {shown}").into(), "")
            }
            FetchErrorKind::EmptyBody => (NOT_A_JOB.into(), "its body is empty"),
            FetchErrorKind::HtmlPage => {
                (NOT_A_JOB.into(), "its body is a page of HTML, not the service's")
            }
            FetchErrorKind::Undecodable => (NOT_A_JOB.into(), ""),
            FetchErrorKind::WrongKind => (NOT_A_JOB.into(), "its `kind` is not `Job`"),
            FetchErrorKind::NoToken => {
                ("the identity service's reply has no token (X-Subject-Token)".into(), "")
            }
            FetchErrorKind::WrongJob => ("the service answered with another job".into(), ""),
        };
        Self(Box::new(Details {
            kind,
            class: kind.class(),
            message,
            detail: detail.into(),
            status,
            request_id: None,
            retry_after: None,
            service_error: None,
            credentials_refreshed: false,
            refusal: None,
            transport,
            source: None,
        }))
    }

    /// Creates the error of a reply whose status is not 200, with all that the reply has.
    #[must_use]
    pub fn from_response(reply: &Response<Bytes>) -> Self {
        Self::from_parts(reply, read_service_error(reply, &[]))
    }

    /// Creates the error of a reply whose body is already read.
    pub(crate) fn from_parts(reply: &Response<Bytes>, service_error: Option<ServiceError>) -> Self {
        let in_body = service_error.as_ref().and_then(ServiceError::request_id);
        let request_id = request_id(reply.headers()).or(in_body).map(String::from);
        let error = Self::new(FetchErrorKind::Status(reply.status().as_u16()))
            .with_request_id(request_id)
            .with_retry_after(retry_after(reply.headers()));
        match service_error {
            Some(service_error) => error.with_service_error(service_error),
            None => error,
        }
    }

    /// Creates the error of an attempt without credentials, because the provider took longer than
    /// `timeout`.
    #[must_use]
    pub fn credentials_timeout(timeout: Duration) -> Self {
        let mut error = Self::new(FetchErrorKind::CredentialsTimeout);
        error.0.detail = format!("they were not provided within {timeout:?}").into();
        error
    }

    /// Replaces the class that the kind has.
    #[must_use]
    pub fn with_class(mut self, class: ErrorClass) -> Self {
        self.0.class = class;
        self
    }

    /// Sets the service's name for the request.
    #[must_use]
    pub fn with_request_id(mut self, request_id: Option<String>) -> Self {
        self.0.request_id = request_id;
        self
    }

    /// Sets how long the reply asks to wait before the next request.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    /// Adds what the service says of the error. A 404 with the gateway's code `APIGW.0101` becomes
    /// permanent: the path is wrong, so no job has it.
    #[must_use]
    pub fn with_service_error(mut self, service_error: ServiceError) -> Self {
        let details = &mut *self.0;
        if details.kind == FetchErrorKind::Status(404) && is_unknown_api(&service_error) {
            details.class = ErrorClass::Permanent;
        }
        let text = service_error.to_string();
        // Some bodies only repeat the status.
        if details.status.is_none_or(|status| status.to_string() != text) {
            details.detail = text.into();
        }
        details.service_error = Some(service_error);
        self
    }

    /// Sets whether the credentials were renewed during the attempt.
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

    /// Adds the refusal (401) after which the credentials could not be renewed.
    pub(crate) fn with_refusal(mut self, refusal: Self) -> Self {
        self.0.message =
            format!("the credentials were rejected ({refusal}) and could not be refreshed").into();
        self.0.refusal = Some(refusal);
        self
    }

    /// Makes of a refusal (401) that of a wrong signature.
    pub(crate) fn into_wrong_signature(mut self) -> Self {
        self.0.kind = FetchErrorKind::WrongSignature;
        self
    }

    /// Returns how far the attempt got, and why no further.
    #[must_use]
    pub fn kind(&self) -> FetchErrorKind {
        self.0.kind
    }

    /// Returns how to react: the class of the kind ([`FetchErrorKind::class`]), except that
    ///
    /// - a 404 with the gateway's code `APIGW.0101` is `Permanent`, because the path is wrong for any
    ///   job;
    /// - an error of the provider of credentials has that error's class
    ///   ([`CredentialsProviderError::class`]), but `Permanent` for `NotFound`, because it is not the
    ///   job that was not found.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.0.class
    }

    /// Returns what happened, without details.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the details, such as what the service says of the error.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        (!self.0.detail.is_empty()).then_some(&*self.0.detail)
    }

    /// Returns the status of the reply, if one came and it is not 200.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// Returns the service's name for the request (`X-Request-Id`), if a reply came with one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Returns how long the reply asks to wait before the next request. The reply may be the identity
    /// service's.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns what the body of the reply says of the error; for a wrong signature, also if the reply
    /// was that to an earlier request.
    #[must_use]
    pub fn service_error(&self) -> Option<&ServiceError> {
        self.0.service_error.as_ref()
    }

    /// Returns whether the credentials were renewed during the attempt. If the service refuses the new
    /// ones too (401), their age is not the reason.
    #[must_use]
    pub fn credentials_refreshed(&self) -> bool {
        self.0.credentials_refreshed
    }

    /// Returns the service's refusal (401) after which the credentials could not be renewed.
    #[must_use]
    pub fn refusal(&self) -> Option<&Self> {
        self.0.refusal.as_ref()
    }

    /// Returns the error of the transport, if the kind is [`Transport`](FetchErrorKind::Transport).
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

    /// Returns the error of the provider of credentials, if there were no credentials because of it.
    #[must_use]
    pub fn provider_error(&self) -> Option<&CredentialsProviderError> {
        self.0.source.as_ref()?.downcast_ref()
    }

    /// Returns the error of the request for credentials, if the provider made one.
    fn login_error(&self) -> Option<&Self> {
        fetch_error_in(self.provider_error()?)
    }
}

/// Returns the first [`FetchError`] among the causes of an error.
fn fetch_error_in(error: &CredentialsProviderError) -> Option<&FetchError> {
    error_sources(error).find_map(|cause| cause.downcast_ref())
}

const NO_CREDENTIALS: &str = "there are no credentials";

fn is_unknown_api(error: &ServiceError) -> bool {
    error.codes().iter().any(|code| code == "APIGW.0101")
}

impl From<TransportError> for FetchError {
    fn from(error: TransportError) -> Self {
        let mut made = Self::new(FetchErrorKind::Transport(error.kind()));
        made.0.message = error.message().into();
        made.0.transport = Some(error);
        made
    }
}

/// Returns the error of an attempt without credentials. If the provider sent a request, the kind says
/// how far that got: a wait reacts to an unknown host in the same way, whoever looked it up.
impl From<CredentialsProviderError> for FetchError {
    fn from(error: CredentialsProviderError) -> Self {
        let login = fetch_error_in(&error);
        let kind = login
            .map(Self::kind)
            .filter(|kind| kind.is_unreadable() || matches!(kind, FetchErrorKind::Transport(_)));
        let class = match error.class() {
            // It is not the job that was not found.
            ErrorClass::NotFound => ErrorClass::Permanent,
            class => class,
        };
        let mut made = Self::new(FetchErrorKind::Credentials)
            .with_class(class)
            .with_retry_after(login.and_then(Self::retry_after));
        made.0.kind = kind.unwrap_or(FetchErrorKind::Credentials);
        made.with_source(error)
    }
}

/// Returns an error of the same class, because a request for credentials that failed means what its
/// reply means.
impl From<FetchError> for CredentialsProviderError {
    fn from(error: FetchError) -> Self {
        Self::new(error.class(), "the identity service gave no token").with_source(error)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details { kind, message, status, .. } = &*self.0;
        f.write_str(message)?;
        self.detail().map_or(Ok(()), |detail| write!(f, ": {detail}"))?;
        if *kind == FetchErrorKind::WrongSignature && status.is_some() {
            f.write_str("; the signature is wrong: check the secret key")?;
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

/// Reads what a reply's body says, without any of the secrets that it may repeat.
pub(crate) fn read_service_error(
    reply: &Response<Bytes>,
    secrets: &[&str],
) -> Option<ServiceError> {
    let content_type = header_str(reply.headers(), &CONTENT_TYPE);
    ServiceError::from_body_redacting(reply.status().as_u16(), content_type, reply.body(), secrets)
}

#[cfg(test)]
mod tests;

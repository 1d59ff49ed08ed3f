//! Sends a request inside a tracing span. Logs no body, and of the headers only the request id.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_ENCODING, uri::Scheme};
use job_model::{
    JobId, ServiceError,
    object::{NodeId, ObjectId},
};
use tracing::{Instrument, Span, field::Empty};

use super::{
    error::{FetchError, read_service_error},
    headers::{X_REQUEST_ID, request_id},
    secrets::Secrets,
};
use crate::transport::{
    BodyShare, MAX_ERROR_BODY, MemoryLimit, RequestSent, Transport, TransportError,
    TransportErrorKind, off_thread,
};

/// Fields of a request's span.
pub(crate) struct RequestInfo<'a> {
    /// The path, with placeholders for its parameters.
    pub(crate) template: &'static str,
    /// What the request reads. `None` for a request that only authenticates.
    pub(crate) target: Option<Target<'a>>,
    /// How many requests the same attempt sent before.
    pub(crate) resends: u32,
}

/// What a request reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    Job(&'a JobId),
    /// The list of jobs.
    Jobs,
    Object(&'a ObjectId),
}

impl<'a> Target<'a> {
    const fn job(self) -> Option<&'a JobId> {
        match self {
            Self::Job(job) => Some(job),
            Self::Jobs | Self::Object(_) => None,
        }
    }

    const fn object(self) -> Option<&'a ObjectId> {
        match self {
            Self::Object(object) => Some(object),
            Self::Job(_) | Self::Jobs => None,
        }
    }
}

/// A response, with the decoded error body if its status is neither 200 nor 201.
pub(crate) struct Reply {
    pub(crate) response: Response<Bytes>,
    pub(crate) service_error: Option<ServiceError>,
}

impl Reply {
    /// Returns the response, or an error if it has another status.
    pub(crate) fn expect_status(self, status: StatusCode) -> Result<Response<Bytes>, FetchError> {
        if self.response.status() == status {
            return Ok(self.response);
        }
        Err(self.into_error())
    }

    /// Returns the reply as an error.
    pub(crate) fn into_error(self) -> FetchError {
        FetchError::from_parts(&self.response, self.service_error)
    }
}

/// Sends a request and decodes an error body. If the reply repeats `secrets` or sensitive headers
/// of the request, they are hidden in it.
pub(crate) async fn send_traced(
    transport: &dyn Transport,
    request: Request<Bytes>,
    about: RequestInfo<'_>,
    secrets: &[&str],
) -> Result<Reply, TransportError> {
    let secrets = request_secrets(&request, secrets);
    let span = span(&request, &about);
    let limit = request.extensions().get().cloned().unwrap_or_else(MemoryLimit::global);
    let response = transport.send(request).instrument(span.clone()).await;
    let response = response.and_then(refuse_encoded_success).inspect_err(|error| {
        span.record("error.type", error.kind().as_str());
        let _entered = span.enter();
        tracing::debug!("error.type" = error.kind().as_str(), "no reply");
    })?;
    let mut response = count_body(response, &limit);
    if !is_success(response.status()) {
        // Its beginning is enough for an error message, and is read at once, so that a status is
        // not lost while a body waits to be decoded.
        response.body_mut().truncate(MAX_ERROR_BODY);
    }
    let bytes = response.body().len();
    let (response, service_error) = off_thread(bytes, move || {
        let response = hide_secrets(response, &secrets);
        let service_error = match is_success(response.status()) {
            true => None,
            false => read_service_error(&response),
        };
        (response, service_error)
    })
    .await;
    let (status, id) = (response.status(), request_id(response.headers()));
    span.record("http.response.status_code", status.as_u16());
    span.record(REQUEST_ID, id);
    if !status.is_success() {
        span.record("error.type", status.as_str());
    }
    span.in_scope(|| {
        tracing::debug!(http.response.status_code = status.as_u16(), request_id = id, "reply");
    });
    Ok(Reply { response, service_error })
}

/// Returns whether a reply with this status is read as a job or a token.
fn is_success(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::CREATED)
}

/// Returns `secrets` and the sensitive headers of a request.
fn request_secrets(request: &Request<Bytes>, secrets: &[&str]) -> Secrets {
    let mut secrets = Secrets::new(secrets.iter().copied());
    for value in request.headers().values().filter(|value| value.is_sensitive()) {
        secrets.push_header(value);
    }
    secrets
}

/// Counts the body toward the limit of its request, if the transport has not counted it.
fn count_body(mut response: Response<Bytes>, limit: &MemoryLimit) -> Response<Bytes> {
    if response.extensions().get::<BodyShare>().is_none() {
        let share = limit.count(response.body().len());
        limit.enforce();
        response.extensions_mut().insert(BodyShare::from(share));
    }
    response
}

fn hide_secrets(mut response: Response<Bytes>, secrets: &Secrets) -> Response<Bytes> {
    let hidden = match is_success(response.status()) {
        true => secrets.hide_in_success(response.body()),
        false => secrets.hide(response.body()),
    };
    if let Some(hidden) = hidden {
        *response.body_mut() = hidden;
    }
    let hidden = request_id(response.headers()).and_then(|id| secrets.hide(id.as_bytes()));
    if let Some(hidden) = hidden.and_then(|id| HeaderValue::from_maybe_shared(id).ok()) {
        response.headers_mut().insert(X_REQUEST_ID, hidden);
    }
    response
}

/// Returns an error for a success whose body is compressed, although the request did not accept it.
fn refuse_encoded_success(response: Response<Bytes>) -> Result<Response<Bytes>, TransportError> {
    let encoding = response.headers().get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
    let is_encoded = encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity"));
    match (response.status().is_success(), is_encoded) {
        (true, true) => {
            Err(TransportError::new(TransportErrorKind::EncodedBody, RequestSent::Maybe))
        }
        // The body is useless, but the status counts.
        (false, true) => Ok(response.map(|_| Bytes::new())),
        (_, false) => Ok(response),
    }
}

/// The span's field for the request id that the service assigned.
const REQUEST_ID: &str = "http.response.header.x-request-id";

/// Creates the span, with the names of OpenTelemetry's conventions for HTTP clients.
fn span(request: &Request<Bytes>, about: &RequestInfo<'_>) -> Span {
    let (method, uri) = (request.method().as_str(), request.uri());
    let object = about.target.and_then(Target::object);
    let default_port = if uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
    tracing::debug_span!(
        "http.request",
        otel.kind = "client",
        otel.name = %format_args!("{method} {}", about.template),
        http.request.method = method,
        http.request.resend_count = (about.resends > 0).then_some(about.resends),
        server.address = uri.host(),
        server.port = uri.port_u16().unwrap_or(default_port),
        url.full = %uri,
        url.template = about.template,
        cce.job.id = about.target.and_then(Target::job).map(JobId::as_str),
        cce.cluster.id = object.map(|object| object.cluster().as_str()),
        cce.node.id = object.and_then(ObjectId::node).map(NodeId::as_str),
        http.response.status_code = Empty,
        "http.response.header.x-request-id" = Empty,
        "error.type" = Empty,
    )
}

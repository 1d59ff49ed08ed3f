//! Builds replies in the formats of the service and its gateway.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
};
use serde::Serialize;
use serde_json::{Value, json};

/// The result of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    Reply(Response<Bytes>, BodyEnd),
    Reset,
    Stall,
}

/// How a reply ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// The reply is complete.
    Complete,
    /// The reply is complete, and its connection accepts no other request.
    Drained,
    /// The connection ends in the middle of the body.
    Truncated,
    /// The reply stalls after half of the body.
    Stalled,
}

/// An error instead of a result: a status, and a body with the error code.
#[derive(Clone, Debug)]
pub(crate) struct ErrorReply {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// Returns an error of the gateway.
pub(crate) fn gateway_error(status: StatusCode, code: &str, message: &str) -> ErrorReply {
    ErrorReply { status, body: json!({"error_code": code, "error_msg": message}) }
}

/// Returns an error of the service, with the documented code of the status if there is one.
pub(crate) fn service_error(status: StatusCode) -> ErrorReply {
    let (code, message) = match status {
        StatusCode::FORBIDDEN => ("CCE.01403001", "Forbidden."),
        StatusCode::NOT_FOUND => ("CCE.01404001", "Resource not found."),
        StatusCode::CONFLICT => ("CCE.01409001", "The resource already exists."),
        StatusCode::INTERNAL_SERVER_ERROR => ("CCE.01500001", "Internal error."),
        // No code is documented for these, so the format is that of Kubernetes.
        other => {
            let message = other.canonical_reason().unwrap_or("Failure");
            let body = json!({"kind": "Status", "status": "Failure", "message": message,
                "code": other.as_u16()});
            return ErrorReply { status, body };
        }
    };
    ErrorReply { status, body: json!({"errorCode": code, "errorMessage": message}) }
}

/// Returns the documented error of a status, either of the gateway or of the service.
pub(crate) fn documented_error(status: StatusCode) -> ErrorReply {
    let (code, message) = match status.as_u16() {
        401 => ("APIGW.0307", "The token must be updated."),
        429 => ("APIGW.0308", "The throttling threshold has been reached."),
        413 | 414 | 494 | 502 | 504 => ("APIGW.0201", "Backend request error."),
        503 => ("APIGW.0201", "Backend unavailable."),
        _ => return service_error(status),
    };
    gateway_error(status, code, message)
}

/// Returns the gateway's error of a path that no service has.
pub(crate) fn wrong_path_error() -> ErrorReply {
    let message = "The API does not exist or has not been published.";
    gateway_error(StatusCode::NOT_FOUND, "APIGW.0101", message)
}

/// Returns the page of a gateway in trouble. A redirect points to the same request.
pub(crate) fn html_page(status: StatusCode, request: &Request<Bytes>) -> Response<Bytes> {
    let page = format!("<html><title>{status}</title></html>");
    let mut response = reply(status, "text/html", page);
    if status.is_redirection() {
        let target = request.uri().path().parse();
        response.headers_mut().extend(target.map(|target: HeaderValue| (LOCATION, target)));
    }
    response
}

/// Returns the request as it arrived, in JSON.
pub(crate) fn echo(request: &Request<Bytes>) -> Response<Bytes> {
    let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
    let headers = request.headers().iter();
    let headers: Vec<Value> =
        headers.map(|(name, value)| json!([name.as_str(), text(value.as_bytes())])).collect();
    let target = request.uri().path_and_query().map(|target| target.as_str());
    let echo = json!({
        "method": request.method().as_str(), "target": target, "headers": headers,
        "body": text(request.body()),
    });
    json_reply(StatusCode::OK, &echo)
}

#[expect(clippy::expect_used, reason = "jobs and errors can always be serialized")]
pub(crate) fn json_reply(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    let body = serde_json::to_string(body).expect("plain data can be serialized");
    json_text_reply(status, body)
}

/// Returns a reply with this text, with the content type of JSON.
pub(crate) fn json_text_reply(status: StatusCode, text: String) -> Response<Bytes> {
    reply(status, "application/json", text)
}

pub(crate) fn text_reply(status: StatusCode, text: String) -> Response<Bytes> {
    reply(status, "text/plain", text)
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

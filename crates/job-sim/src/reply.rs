//! The replies' forms. Knows no job.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
};
use serde::Serialize;
use serde_json::{Value, json};

/// Returns the page that a gateway in trouble answers with; a redirect leads to the same request.
pub(crate) fn page(status: StatusCode, request: &Request<Bytes>) -> Response<Bytes> {
    let page = format!("<html><title>{status}</title></html>");
    let mut response = reply(status, "text/html", page);
    if status.is_redirection() {
        let target = request.uri().path().parse();
        response.headers_mut().extend(target.map(|target: HeaderValue| (LOCATION, target)));
    }
    response
}

/// Returns what arrived of a request, as JSON.
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

#[expect(clippy::expect_used, reason = "a job and a refusal are plain data")]
pub(crate) fn json_reply(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    let body = serde_json::to_string(body).expect("plain data has a JSON text");
    reply(status, "application/json", body)
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

//! The signature SDK-HMAC-SHA256: a pure function of request, key and time. Reads no clock.

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Request,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
    uri::Authority,
};
use jiff::Timestamp;
use job_model::ProjectId;
use percent_encoding::{percent_decode_str, percent_encode};
use sha2::{Digest, Sha256};

use crate::{AccessKey, endpoint::ENCODED};

const ALGORITHM: &str = "SDK-HMAC-SHA256";
const X_PROJECT_ID: HeaderName = HeaderName::from_static("x-project-id");
const X_SDK_DATE: HeaderName = HeaderName::from_static("x-sdk-date");
const X_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-security-token");

/// The headers that are signed where they are there, in the order of their names. No other is: a
/// proxy may rewrite it on the way, and the signature would be wrong.
static SIGNED: [HeaderName; 5] = [CONTENT_TYPE, HOST, X_PROJECT_ID, X_SDK_DATE, X_SECURITY_TOKEN];

/// Signs a request that is otherwise complete, as made at `at`: the service takes it within 15
/// minutes of that time.
///
/// Sets `Host`, `X-Sdk-Date`, `X-Project-Id` where a project is given, `X-Security-Token` where the
/// key has one, and `Authorization`.
///
/// ```
/// use bytes::Bytes;
/// use http::Request;
/// use job_transport::{AccessKey, sign};
///
/// let key = AccessKey::new("QTWAOYTTINDUT2QVKYUC", "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc")?;
/// let mut request = Request::get("https://cce.eu-de.otc.t-systems.com/v3").body(Bytes::new())?;
/// sign(&mut request, &key, None, "2020-02-02T08:12:40Z".parse()?)?;
/// assert_eq!(request.headers()["x-sdk-date"], "20200202T081240Z");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Where the request's URI has no host, or a project's id cannot be a header.
pub fn sign(
    request: &mut Request<Bytes>,
    key: &AccessKey,
    project: Option<&ProjectId>,
    at: Timestamp,
) -> Result<(), http::Error> {
    let authority = request.uri().authority().map_or("", |authority| authority.as_str());
    // Parsed once more for its error: a URI without a host has the empty one.
    let host = HeaderValue::from_str(authority.parse::<Authority>()?.as_str())?;
    let date = at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let project = project.map(|project| HeaderValue::from_str(project.as_str())).transpose()?;
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(X_SDK_DATE, HeaderValue::from_str(&date)?);
    headers.extend(project.map(|project| (X_PROJECT_ID, project)));
    headers.extend(key.security_token()?.map(|token| (X_SECURITY_TOKEN, token)));

    let names = signed_names(request);
    let signature = hex(&key.mac(&string_to_sign(&date, &canonical_request(request, &names))));
    let mut authorization = HeaderValue::from_str(&format!(
        "{ALGORITHM} Access={}, SignedHeaders={names}, Signature={signature}",
        key.access_key(),
    ))?;
    authorization.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, authorization);
    Ok(())
}

/// Returns the names of the headers that are signed, joined by semicolons.
fn signed_names(request: &Request<Bytes>) -> String {
    let names = SIGNED.iter().filter(|name| request.headers().contains_key(*name));
    names.map(HeaderName::as_str).collect::<Vec<_>>().join(";")
}

fn string_to_sign(date: &str, canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{date}\n{}", hex(&Sha256::digest(canonical_request)))
}

/// Returns the request as it is signed, one part a line: method, path, query, headers, an empty
/// line, the headers' names, the body's digest.
fn canonical_request(request: &Request<Bytes>, names: &str) -> String {
    let headers: String = names.split(';').map(|name| canonical_header(request, name)).collect();
    let (method, uri) = (request.method(), request.uri());
    let (path, query) = (canonical_path(uri.path()), canonical_query(uri.query().unwrap_or("")));
    let body = hex(&Sha256::digest(request.body()));
    format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{body}")
}

fn canonical_header(request: &Request<Bytes>, name: &str) -> String {
    let value = request.headers().get(name).map_or(&b""[..], HeaderValue::as_bytes);
    format!("{name}:{}\n", String::from_utf8_lossy(value).trim())
}

/// Encodes each segment anew, and ends in a slash whether or not the path that is sent does.
fn canonical_path(path: &str) -> String {
    let segments: Vec<_> = path.trim_end_matches('/').split('/').map(encoded_anew).collect();
    segments.join("/") + "/"
}

/// Encodes each name and value anew, and orders them.
fn canonical_query(query: &str) -> String {
    let parameter = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        format!("{}={}", encoded_anew(name), encoded_anew(value))
    };
    let mut parameters: Vec<_> =
        query.split('&').filter(|text| !text.is_empty()).map(parameter).collect();
    parameters.sort();
    parameters.join("&")
}

fn encoded_anew(text: &str) -> String {
    percent_encode(&percent_decode_str(text).collect::<Vec<u8>>(), ENCODED).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;

//! Request signatures (SDK-HMAC-SHA256), as a pure function of request, key and time.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Request,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
    uri::Authority,
};
use jiff::{Timestamp, tz::Offset};
use job_model::ProjectId;
use percent_encoding::{percent_decode_str, percent_encode};
use sha2::{Digest, Sha256};

use super::access_key::AccessKey;
use crate::request::PATH_ENCODE_SET;

const ALGORITHM: &[u8] = b"SDK-HMAC-SHA256";
const X_PROJECT_ID: HeaderName = HeaderName::from_static("x-project-id");
const X_SDK_DATE: HeaderName = HeaderName::from_static("x-sdk-date");
const X_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-security-token");

/// The digest of an empty body, which every GET has.
const EMPTY_BODY_SHA256: &[u8] =
    b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The headers to sign, in the order of their names; absent ones are skipped. Other headers are not
/// signed, because a proxy may rewrite them, which would make the signature wrong.
type SignedHeaders<'h> = [(&'static str, Option<&'h HeaderValue>); 5];

/// Signs a complete request with the time `at`.
///
/// The service accepts the signature if `at` differs from its own time by at most 15 minutes.
///
/// This sets the headers `Host`, `X-Sdk-Date`, `X-Project-Id` (if `project` is given),
/// `X-Security-Token` (if the key has one) and `Authorization`. The signature covers these headers
/// except `Authorization`, and `Content-Type` if the request has it.
///
/// # Examples
///
/// ```
/// use bytes::Bytes;
/// use http::Request;
/// use job_transport::auth::{AccessKey, sign};
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
/// Returns an error if the request's URI has no host, or the project id is not a valid header
/// value.
pub fn sign(
    request: &mut Request<Bytes>,
    key: &AccessKey,
    project: Option<&ProjectId>,
    at: Timestamp,
) -> Result<(), http::Error> {
    // Parse the empty host to return the error of an invalid authority.
    let authority = request.uri().authority().map_or("", Authority::as_str);
    let host = authority.rsplit('@').next().unwrap_or_default();
    if host.is_empty() {
        host.parse::<Authority>()?;
    }
    let project = project.map(ProjectId::as_str);
    let date = format_date(at);
    // The three values share one buffer, because allocations take time. The signature is not in it:
    // a connection keeps these values for its header compression.
    let values = [host.as_bytes(), &date, project.unwrap_or_default().as_bytes()].concat();
    let mut values = Bytes::from(values);
    let host = HeaderValue::from_maybe_shared(values.split_to(host.len()))?;
    let date = HeaderValue::from_maybe_shared(values.split_to(date.len()))?;
    let project = project.map(|_| HeaderValue::from_maybe_shared(values)).transpose()?;
    let security_token = key.security_token()?;

    let signed: SignedHeaders<'_> = [
        ("content-type", request.headers().get(CONTENT_TYPE)),
        ("host", Some(&host)),
        ("x-project-id", project.as_ref()),
        ("x-sdk-date", Some(&date)),
        ("x-security-token", security_token.as_ref()),
    ];
    let (canonical_request, names) = canonical_request(request, &signed);
    let digest = Sha256::digest(&canonical_request);
    let mut digits = [0; 64];
    let signature = key.mac(&string_to_sign(&date, hex(&digest, &mut digits)));
    let authorization = [
        ALGORITHM,
        b" Access=",
        key.access_key().as_bytes(),
        b", SignedHeaders=",
        &canonical_request[names],
        b", Signature=",
        hex(&signature, &mut digits),
    ];
    let mut authorization = HeaderValue::try_from(authorization.concat())?;
    authorization.set_sensitive(true);

    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(X_SDK_DATE, date);
    if let Some(project) = project {
        headers.insert(X_PROJECT_ID, project);
    }
    if let Some(security_token) = security_token {
        headers.insert(X_SECURITY_TOKEN, security_token);
    }
    headers.insert(AUTHORIZATION, authorization);
    Ok(())
}

/// Returns a time in the service's format, `YYYYMMDDTHHMMSSZ`.
fn format_date(at: Timestamp) -> [u8; 16] {
    let at = Offset::UTC.to_datetime(at);
    let two = |number: u16| [number / 10, number % 10].map(|digit| b'0' + digit as u8);
    let part = |number: i8| two(number.unsigned_abs().into());
    let year = at.year().unsigned_abs();
    let [[a, b], [c, d], [e, f], [g, h]] =
        [two(year / 100), two(year % 100), part(at.month()), part(at.day())];
    let [[i, j], [k, l], [m, n]] = [part(at.hour()), part(at.minute()), part(at.second())];
    [a, b, c, d, e, f, g, h, b'T', i, j, k, l, m, n, b'Z']
}

/// Returns the text to sign, in parts: algorithm, time and digest of the canonical request, one per
/// line.
fn string_to_sign<'s>(date: &'s HeaderValue, digest: &'s [u8]) -> [&'s [u8]; 5] {
    [ALGORITHM, b"\n", date.as_bytes(), b"\n", digest]
}

/// Returns the canonical request, and the range of the header names in it. It has one part per
/// line: method, path, query, headers, an empty line, the names of the headers, and the body's
/// digest.
fn canonical_request(
    request: &Request<Bytes>,
    signed: &SignedHeaders<'_>,
) -> (Vec<u8>, Range<usize>) {
    let present = || signed.iter().filter_map(|(name, value)| Some((name.as_bytes(), (*value)?)));
    let mut text = Vec::with_capacity(512);
    text.extend_from_slice(request.method().as_str().as_bytes());
    text.push(b'\n');
    push_path(&mut text, request.uri().path());
    text.push(b'\n');
    push_query(&mut text, request.uri().query().unwrap_or(""));
    text.push(b'\n');
    for (name, value) in present() {
        text.extend_from_slice(name);
        text.push(b':');
        text.extend_from_slice(value.as_bytes().trim_ascii());
        text.push(b'\n');
    }
    text.push(b'\n');
    let start = text.len();
    for (name, _) in present() {
        if text.len() > start {
            text.push(b';');
        }
        text.extend_from_slice(name);
    }
    let names = start..text.len();
    text.push(b'\n');
    if request.body().is_empty() {
        text.extend_from_slice(EMPTY_BODY_SHA256);
    } else {
        text.extend_from_slice(hex(&Sha256::digest(request.body()), &mut [0; 64]));
    }
    (text, names)
}

/// Adds a path with each segment encoded again. The canonical path always ends with a slash.
fn push_path(text: &mut Vec<u8>, path: &str) {
    // A slash at the end does not start another segment.
    let path = path.strip_suffix('/').unwrap_or(path);
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            | (byte == b'/')
            | (byte == b'-')
            | (byte == b'.')
            | (byte == b'_')
            | (byte == b'~')
    };
    // Without a branch per byte; with one, this would take more time than anything except the
    // hashes.
    if path.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        // The usual case: nothing to decode or encode.
        text.extend_from_slice(path.as_bytes());
        return text.push(b'/');
    }
    for segment in path.split('/') {
        push_encoded(text, &Cow::from(percent_decode_str(segment)));
        text.push(b'/');
    }
}

/// Adds a query with each name and value encoded again, sorted by name, then by value. The order is
/// that of the decoded texts, as in the vendor's signer.
fn push_query(text: &mut Vec<u8>, query: &str) {
    let decoded = |part| Cow::from(percent_decode_str(part));
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let parameters = parameters.map(|text| text.split_once('=').unwrap_or((text, "")));
    let mut parameters: Vec<_> =
        parameters.map(|(name, value)| [decoded(name), decoded(value)]).collect();
    parameters.sort();
    for (index, [name, value]) in parameters.iter().enumerate() {
        if index > 0 {
            text.push(b'&');
        }
        push_encoded(text, name);
        text.push(b'=');
        push_encoded(text, value);
    }
}

fn push_encoded(text: &mut Vec<u8>, decoded: &[u8]) {
    percent_encode(decoded, PATH_ENCODE_SET)
        .for_each(|part| text.extend_from_slice(part.as_bytes()));
}

/// Returns a digest in hexadecimal digits, written to the buffer.
fn hex<'b>(digest: &[u8], buffer: &'b mut [u8; 64]) -> &'b [u8] {
    // Encoding fails only if the digest is longer than SHA-256's.
    base16ct::lower::encode(digest, buffer).unwrap_or_default()
}

#[cfg(test)]
mod tests;

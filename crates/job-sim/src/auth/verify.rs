//! Verifies the signature of a request as the service's gateway does: over the headers that the
//! client lists as signed. Reads no clock. Shares no code with the signer, so that the two can be
//! tested against each other.

use std::collections::BTreeMap;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, header::HOST};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::Offset};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

/// Maximum difference between a signature's time and the service's time.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(15);

/// Why a signature is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignatureError {
    /// A header or a part of the signature is missing or invalid.
    Incomplete(&'static str),
    /// The access key does not exist.
    UnknownKey,
    /// The signature's time is too far from the service's time.
    ClockSkew,
    /// The signature does not match this request.
    Mismatch { canonical_request: String },
}

/// The fields of the header `Authorization`.
pub(crate) struct Authorization<'r> {
    pub(crate) access_key: &'r str,
    signed_headers: &'r str,
    signature: &'r str,
}

/// Reads `SDK-HMAC-SHA256 Access=.., SignedHeaders=.., Signature=..`.
pub(crate) fn parse_authorization(
    request: &Request<Bytes>,
) -> Result<Authorization<'_>, SignatureError> {
    let text = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let parts = text.and_then(|text| text.strip_prefix("SDK-HMAC-SHA256 "));
    let parts = parts.ok_or(SignatureError::Incomplete("SDK-HMAC-SHA256"))?;
    let parts = parts.split(',').filter_map(|part| part.trim().split_once('='));
    let parts: BTreeMap<&str, &str> = parts.collect();
    let part = |name| parts.get(name).copied().ok_or(SignatureError::Incomplete(name));
    let (access_key, signature) = (part("Access")?, part("Signature")?);
    Ok(Authorization { access_key, signed_headers: part("SignedHeaders")?, signature })
}

impl Authorization<'_> {
    /// Verifies the signature with the secret key.
    pub(crate) fn verify(
        &self,
        request: &Request<Bytes>,
        secret_key: &str,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        let date = header(request, "x-sdk-date");
        let made = DateTime::strptime("%Y%m%dT%H%M%SZ", &date)
            .and_then(|made| Offset::UTC.to_timestamp(made))
            .map_err(|_| SignatureError::Incomplete("X-Sdk-Date"))?;
        if made.duration_since(now).abs() > MAX_SKEW {
            return Err(SignatureError::ClockSkew);
        }
        let canonical_request = self.canonical_request(request);
        let digest = base16ct::lower::encode_string(&Sha256::digest(&canonical_request));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret_key.as_bytes())
            .map_err(|_| SignatureError::UnknownKey)?;
        mac.update(format!("SDK-HMAC-SHA256\n{date}\n{digest}").as_bytes());
        if base16ct::lower::encode_string(&mac.finalize().into_bytes()) == self.signature {
            Ok(())
        } else {
            Err(SignatureError::Mismatch { canonical_request })
        }
    }

    fn canonical_request(&self, request: &Request<Bytes>) -> String {
        let mut lines = vec![request.method().to_string()];
        let segments: Vec<String> = request
            .uri()
            .path()
            .split('/')
            .map(|segment| percent_encode(&percent_decode(segment)))
            .collect();
        let path = segments.join("/");
        lines.push(if path.ends_with('/') { path } else { path + "/" });
        let mut query: Vec<(Vec<u8>, Vec<u8>)> = request
            .uri()
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|parameter| !parameter.is_empty())
            .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
            .map(|(name, value)| (percent_decode(name), percent_decode(value)))
            .collect();
        // The vendor's signer sorts before it encodes.
        query.sort();
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
            .collect();
        lines.push(query.join("&"));
        for name in self.signed_headers.split(';') {
            lines.push(format!("{name}:{}", header(request, name)));
        }
        lines.push(String::new());
        lines.push(self.signed_headers.into());
        lines.push(base16ct::lower::encode_string(&Sha256::digest(request.body())));
        lines.join("\n")
    }
}

/// Returns a header's trimmed value. HTTP/2 has no `Host`, so the URI's authority replaces it.
fn header(request: &Request<Bytes>, name: &str) -> String {
    let value = request.headers().get(name).map(|value| value.as_bytes());
    let authority = || request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let value = value.or_else(|| authority().filter(|_| name == HOST.as_str()));
    String::from_utf8_lossy(value.unwrap_or_default()).trim().into()
}

fn percent_decode(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

/// Percent-encodes bytes, except for RFC 3986's unreserved characters.
fn percent_encode(bytes: &[u8]) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    bytes.iter().map(|byte| encode(*byte)).collect()
}

#[cfg(test)]
mod tests;

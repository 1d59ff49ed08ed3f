//! Reads a temporary access key from the reply of a service that issues them.

use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value};

use crate::{
    auth::{access_key::AccessKey, credential::ProvidedCredential},
    request::{FetchError, FetchErrorKind, date, request_id},
};

/// Maximum size of a reply. A key with its security token has a few KiB.
const MAX_REPLY_BYTES: usize = 256 << 10;

/// The objects that contain the key. If there is none of them, it is in the body itself.
const WRAPPERS: [&str; 2] = ["credential", "credentials"];

/// The names of the fields, in lower case and without underscores, because the services use snake
/// case and camel case.
const ACCESS_KEY: &[&str] = &["access", "accesskeyid", "accesskey"];
const SECRET_KEY: &[&str] = &["secret", "secretaccesskey", "secretkey"];
const SECURITY_TOKEN: &[&str] = &["securitytoken"];
const EXPIRES_AT: &[&str] = &["expiresat", "expiration"];

/// Returns the temporary key of a reply with a success status.
///
/// Its lifetime is counted from the service's own time, if the reply has a `Date`.
pub(super) fn temporary_key(reply: &Response<Bytes>) -> Result<ProvidedCredential, FetchError> {
    let unusable = |detail: String| {
        FetchError::new(FetchErrorKind::NoToken)
            .with_message("the reply has no temporary key")
            .with_detail(detail)
            .with_request_id(request_id(reply.headers()).map(String::from))
    };
    if reply.body().len() > MAX_REPLY_BYTES {
        return Err(unusable(format!("it is larger than {} KiB", MAX_REPLY_BYTES >> 10)));
    }
    // The error's text could contain a part of a secret.
    let Ok(Value::Object(body)) = serde_json::from_slice(reply.body()) else {
        return Err(unusable("it is not a JSON object".into()));
    };
    let wrapped = WRAPPERS.iter().find_map(|name| body.get(*name)?.as_object());
    let fields = wrapped.unwrap_or(&body);
    let required = |names: &[&str], what: &str| {
        text(fields, names).ok_or_else(|| unusable(format!("it has no {what}")))
    };
    let access_key = required(ACCESS_KEY, "access key")?;
    let secret_key = required(SECRET_KEY, "secret key")?;
    let security_token = required(SECURITY_TOKEN, "security token")?;
    let key = AccessKey::new(access_key, secret_key)
        .and_then(|key| key.with_security_token(security_token))
        .map_err(|error| unusable(error.to_string()))?;
    let mut provided = ProvidedCredential::access_key(key);
    provided.expires_at = text(fields, EXPIRES_AT).and_then(|at| at.trim().parse().ok());
    // A key that has already expired has the lifetime zero.
    provided.lifetime = provided
        .expires_at
        .zip(date(reply.headers()))
        .map(|(expires, now)| expires.duration_since(now).try_into().unwrap_or_default());
    Ok(provided)
}

/// Returns the first text with one of these names that is not empty.
fn text<'f>(fields: &'f Map<String, Value>, names: &[&str]) -> Option<&'f str> {
    let normalized = |name: &str| name.replace('_', "").to_ascii_lowercase();
    let named = |wanted: &&str| {
        let mut found = fields.iter().filter(|(name, _)| normalized(name) == *wanted);
        found.find_map(|(_, value)| value.as_str().filter(|text| !text.is_empty()))
    };
    names.iter().find_map(named)
}

#[cfg(test)]
mod tests;

//! Extracts the codes, messages and request id from the body of an error. Never fails.

use alloc::{format, string::String, vec, vec::Vec};
use core::fmt;

use serde_json::value::RawValue;

use super::html;
use crate::{
    decode::{
        ObjectEntries,
        json::{self, LossyString},
        repair,
    },
    printable::is_unprintable,
};

/// Maximum bytes that are kept of all texts of one body.
const MAX_TOTAL_LEN: usize = 1024;

/// Maximum bytes of the request id, and of each code. The longest seen have 32 and 12.
const MAX_ID_LEN: usize = 128;

/// Maximum number of distinct messages, and of distinct codes. The most seen are three and two.
const MAX_TEXTS: usize = 4;

/// The names of the fields with a code, a message and a request id: in lower case, without `_`,
/// most specific first.
const CODE_KEYS: &[&str] = &["errorcode", "code"];
const MESSAGE_KEYS: &[&str] = &[
    "errormessage",
    "errormsg",
    "message",
    "errordescription",
    "description",
    "detail",
    "reason",
    "title",
    "error",
];
const REQUEST_ID_KEYS: &[&str] = &["requestid"];

/// Maximum number of objects and arrays that are searched, starting at the top of the body.
const MAX_VALUES: usize = 32;

/// Maximum bytes of a page or a text that are examined.
const MAX_SCANNED_LEN: usize = 1 << 16;

/// Marks the end of a text that was shortened.
const ELLIPSIS: char = '…';

/// Replaces a secret.
const REDACTED: &str = "(hidden)";

/// The codes, messages and request id of an error's body.
///
/// The body may come from the service, the API gateway, the identity service, a Kubernetes-style
/// API or a proxy.
///
/// At most 1 KiB is kept. Control characters and others that could disturb a terminal are removed.
///
/// ```
/// use job_model::ServiceError;
///
/// let body = br#"{"error_code": "APIGW.0301", "error_msg": "Incorrect IAM authentication",
///     "request_id": "2f1a"}"#;
/// let error = ServiceError::from_body(401, Some("application/json"), body).expect("not empty");
/// assert_eq!(error.code(), Some("APIGW.0301"));
/// assert_eq!(error.request_id(), Some("2f1a"));
/// assert_eq!(error.to_string(), "APIGW.0301: Incorrect IAM authentication");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceError {
    codes: Vec<String>,
    messages: Vec<String>,
    request_id: Option<String>,
}

impl ServiceError {
    /// Reads the body of a reply with this status and `Content-Type`.
    ///
    /// Returns `None` if the body contains no information.
    ///
    /// Codes, messages and ids are searched at any depth, from the top down. A code that only
    /// repeats the status is ignored. The message of an HTML page is its title or, if it has none,
    /// its text. If no field with a message is found, the whole body is the message.
    #[must_use]
    pub fn from_body(status: u16, content_type: Option<&str>, body: &[u8]) -> Option<Self> {
        Self::from_body_redacting(status, content_type, body, &[])
    }

    /// Like [`ServiceError::from_body`], but replaces each of the `secrets` by `(hidden)`.
    ///
    /// This is needed because the gateway repeats the headers of a request whose signature is
    /// wrong.
    ///
    /// ```
    /// use job_model::ServiceError;
    ///
    /// let body = b"bad request: x-security-token:MIIFvg";
    /// let error = ServiceError::from_body_redacting(401, None, body, &["MIIFvg"]).expect("not empty");
    /// assert_eq!(error.to_string(), "bad request: x-security-token:(hidden)");
    /// ```
    #[must_use]
    pub fn from_body_redacting(
        status: u16,
        content_type: Option<&str>,
        body: &[u8],
        secrets: &[&str],
    ) -> Option<Self> {
        let (body, _) = repair(body);
        let body = String::from_utf8_lossy(&body);
        let objects = serde_json::from_str(&body).map(collect_objects).unwrap_or_default();
        let is_html = content_type.is_some_and(|of| of.to_ascii_lowercase().contains("html"));
        let error = Self::new(status, &objects, &readable_text(&body, is_html, secrets), secrets);
        (error != Self::default()).then_some(error)
    }

    /// Returns the code, such as `CCE.01404001`, or the first one if there are several.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.codes.first().map(String::as_str)
    }

    /// Returns the distinct codes. Those of outer objects come first, and within one object
    /// `error_code` or `errorCode` comes before `code`.
    #[must_use]
    pub fn codes(&self) -> &[String] {
        &self.codes
    }

    /// Returns the message, or the most specific one if there are several.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.messages.first().map(String::as_str)
    }

    /// Returns the distinct messages. Those of outer objects come first, and within one object
    /// those in the more specific field.
    #[must_use]
    pub fn messages(&self) -> &[String] {
        &self.messages
    }

    /// Returns the id of the request, if the body contains it.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Reads the codes and messages of an object. Returns `None` if no field has one, or if the body
    /// is not a JSON object.
    pub(crate) fn from_fields(body: &[u8], secrets: &[&str]) -> Option<Self> {
        let (body, _) = repair(body);
        let body = String::from_utf8_lossy(&body);
        let objects = serde_json::from_str(&body).map(collect_objects).unwrap_or_default();
        let error = Self::new(200, &objects, "", secrets);
        (!error.codes.is_empty() || !error.messages.is_empty()).then_some(error)
    }

    fn new(
        status: u16,
        objects: &[Vec<(String, &RawValue)>],
        whole: &str,
        secrets: &[&str],
    ) -> Self {
        let status = format!("{status}");
        let texts = |names: &'static [&str]| {
            let texts = objects.iter().flat_map(|members| find_texts(members, names, secrets));
            first_distinct(texts.filter(|text| *text != status))
        };
        let mut left = MAX_TOTAL_LEN;
        let mut take = |text: String, max_len: usize| {
            let text = sanitize(&text, max_len.min(left));
            left -= text.len();
            (!text.is_empty()).then_some(text)
        };
        let request_id = texts(REQUEST_ID_KEYS).into_iter().find_map(|id| take(id, MAX_ID_LEN));
        let codes =
            texts(CODE_KEYS).into_iter().filter_map(|code| take(code, MAX_ID_LEN)).collect();
        let mut messages = texts(MESSAGE_KEYS);
        if messages.is_empty() && !["null", "{}", "[]"].contains(&whole.trim()) {
            messages.push(whole.into());
        }
        let messages =
            messages.into_iter().filter_map(|message| take(message, MAX_TOTAL_LEN)).collect();
        Self { codes, messages, request_id }
    }
}

/// Displays the codes and the messages. The request id is left out, because it is also in the
/// reply's headers, and callers print it from there.
impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.codes.is_empty() || self.messages.is_empty() { "" } else { ": " };
        write!(f, "{}{colon}{}", self.codes.join(", "), self.messages.join("; "))
    }
}

/// Returns the members of all objects in the body, level by level. Names are in lower case and
/// without `_`.
fn collect_objects(body: &RawValue) -> Vec<Vec<(String, &RawValue)>> {
    let (mut values, mut objects) = (vec![body], Vec::new());
    let mut next = 0;
    while let Some(value) = values.get(next).copied() {
        next += 1;
        let within = if let Some(ObjectEntries { mut members, .. }) = json::read(value) {
            for (name, _) in &mut members {
                name.retain(|c| c != '_');
                name.make_ascii_lowercase();
            }
            let values = members.iter().map(|(_, json)| *json).collect();
            objects.push(members);
            values
        } else {
            json::read::<Vec<&RawValue>>(value).unwrap_or_default()
        };
        let within = within.into_iter().filter(|json| json.get().starts_with(['{', '[']));
        values.extend(within.take(MAX_VALUES - values.len()));
    }
    objects
}

/// Returns the texts of the members that have one of the `names`, in the order of `names`.
fn find_texts(members: &[(String, &RawValue)], names: &[&str], secrets: &[&str]) -> Vec<String> {
    let named = |name| members.iter().filter(move |(known, _)| known == name);
    let text = |(_, json): &(_, &RawValue)| scalar_text(json, secrets);
    names.iter().flat_map(named).filter_map(text).take(MAX_TEXTS).collect()
}

/// Returns the value of a string, or the text of a number.
fn scalar_text(json: &RawValue, secrets: &[&str]) -> Option<String> {
    let is_number = json.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
    if is_number {
        return Some(json.get().into());
    }
    json::read(json).map(|LossyString { text, .. }| readable_text(&text, false, secrets))
}

/// Returns the beginning of a text without its secrets. For an HTML page, this is its title or its
/// text.
fn readable_text(text: &str, is_html: bool, secrets: &[&str]) -> String {
    let text = redact(text, secrets);
    let text = &text[..text.floor_char_boundary(MAX_SCANNED_LEN)];
    if is_html || text.trim_start().starts_with('<') {
        // A page may contain a secret with some characters as entities.
        redact(&html::visible_text(text), secrets)
    } else {
        text.into()
    }
}

fn redact(text: &str, secrets: &[&str]) -> String {
    let secrets = secrets.iter().filter(|secret| !secret.is_empty());
    secrets.fold(text.into(), |text: String, secret| text.replace(secret, REDACTED))
}

/// Returns a short text of a body, such as the name of a field, without secrets and unprintable
/// characters.
pub(crate) fn readable_name(text: &str, secrets: &[&str]) -> String {
    sanitize(&readable_text(text, false, secrets), MAX_ID_LEN)
}

/// Returns the first distinct texts.
fn first_distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut distinct = Vec::new();
    for text in texts {
        if distinct.len() == MAX_TEXTS {
            break;
        }
        if !distinct.contains(&text) {
            distinct.push(text);
        }
    }
    distinct
}

/// Returns the text on one line, without unprintable characters, and shortened to `max_len` bytes.
fn sanitize(text: &str, max_len: usize) -> String {
    let words = text.split_whitespace().flat_map(|word| [" ", word]).flat_map(str::chars);
    let seen: String = words.skip(1).filter(|c| !is_unprintable(*c)).take(max_len + 1).collect();
    if seen.len() <= max_len {
        return seen;
    }
    let end = max_len.checked_sub(ELLIPSIS.len_utf8()).map(|end| seen.floor_char_boundary(end));
    end.map_or_else(String::new, |end| format!("{}{ELLIPSIS}", &seen[..end]))
}

#[cfg(test)]
mod tests;

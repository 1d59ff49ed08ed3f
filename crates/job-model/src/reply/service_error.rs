//! Extracts the codes, messages and request id from the body of an error. Never fails.

use alloc::{borrow::Cow, format, string::String, vec::Vec};
use core::fmt;

use super::html;
use crate::{
    decode::{Cursor, Document, Text, beginning},
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

/// All of these names.
const ALL_KEYS: [&str; 12] = {
    let lists = [CODE_KEYS, MESSAGE_KEYS, REQUEST_ID_KEYS];
    let (mut all, mut len) = ([""; 12], 0);
    let mut list = 0;
    while list < lists.len() {
        let mut key = 0;
        while key < lists[list].len() {
            all[len] = lists[list][key];
            (len, key) = (len + 1, key + 1);
        }
        list += 1;
    }
    all
};

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
        let document = Document::new(body, &[]).ok();
        let objects = document.as_ref().map(|(document, _)| collect_objects(document));
        let is_html = content_type.is_some_and(|of| of.to_ascii_lowercase().contains("html"));
        let whole = readable_text(&String::from_utf8_lossy(body), is_html, secrets);
        let error = Self::new(status, &objects.unwrap_or_default(), &whole, secrets);
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

    /// Reads the codes and messages of an object. Returns `None` if no field has one.
    pub(crate) fn from_fields(document: &Document<'_>, secrets: &[&str]) -> Option<Self> {
        let error = Self::new(200, &collect_objects(document), "", secrets);
        (!error.codes.is_empty() || !error.messages.is_empty()).then_some(error)
    }

    fn new(status: u16, objects: &[Vec<NamedText<'_>>], whole: &str, secrets: &[&str]) -> Self {
        let status = format!("{status}");
        let texts = |names: &'static [&str]| {
            let texts = objects.iter().flat_map(|fields| find_texts(fields, names, secrets));
            first_distinct(texts.filter(|text| *text != status))
        };
        let mut left = MAX_TOTAL_LEN;
        let mut take = |text: String, max_len: usize| {
            let text = redact(&clean(&text), secrets);
            let text = truncate(text, max_len.min(left));
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

/// A field of an object that has one of the known names.
struct NamedText<'b> {
    /// The index of the name in `ALL_KEYS`.
    key: usize,
    text: Cow<'b, str>,
}

/// The objects and arrays that were found at one level. An array has no fields.
type Level<'b> = Vec<Vec<NamedText<'b>>>;

/// Returns the fields of the first objects in the body, level by level. Reads the body once.
fn collect_objects<'b>(document: &'b Document<'b>) -> Vec<Vec<NamedText<'b>>> {
    let mut levels = Vec::new();
    collect_levels(&mut document.cursor(), 0, &mut levels);
    levels.into_iter().flatten().take(MAX_VALUES).collect()
}

/// Adds the next value and those within it, which are one level down, to the levels.
fn collect_levels<'b>(cursor: &mut Cursor<'b>, depth: usize, levels: &mut Vec<Level<'b>>) {
    if !matches!(cursor.peek(), Some(b'{' | b'['))
        || depth == MAX_VALUES
        || levels.get(depth).is_some_and(|level| level.len() == MAX_VALUES)
    {
        cursor.skip();
        return;
    }
    if levels.len() == depth {
        levels.push(Level::new());
    }
    let index = levels[depth].len();
    levels[depth].push(Vec::new());
    if cursor.enter(b'[') {
        while cursor.next_element() {
            collect_levels(cursor, depth + 1, levels);
        }
        return;
    }
    cursor.enter(b'{');
    let mut count = [0_usize; ALL_KEYS.len()];
    while let Some(Text { text: name, .. }) = cursor.next_name() {
        let key = ALL_KEYS.iter().position(|key| is_spelling_of(&name, key));
        // More texts of one name are not used.
        let text = key.filter(|key| count[*key] < MAX_TEXTS).and_then(|_| scalar_text(cursor));
        match (key, text) {
            (Some(key), Some(text)) => {
                count[key] += 1;
                levels[depth][index].push(NamedText { key, text });
            }
            _ => collect_levels(cursor, depth + 1, levels),
        }
    }
}

/// Returns whether a name is a key in any case, with `_` at any place. The key has no `_`.
pub(crate) fn is_spelling_of(name: &str, key: &str) -> bool {
    let letters = name.bytes().filter(|byte| *byte != b'_');
    letters
        .map(|byte| byte.to_ascii_lowercase())
        .eq(key.bytes().map(|byte| byte.to_ascii_lowercase()))
}

/// Returns the texts of the fields that have one of the `names`, in the order of `names`.
fn find_texts(fields: &[NamedText<'_>], names: &[&str], secrets: &[&str]) -> Vec<String> {
    let named = names
        .iter()
        .flat_map(|name| fields.iter().filter(move |field| ALL_KEYS[field.key] == *name));
    named.take(MAX_TEXTS).map(|field| readable_text(&field.text, false, secrets)).collect()
}

/// Reads the next value if it is a string, or a number as its text.
fn scalar_text<'b>(cursor: &mut Cursor<'b>) -> Option<Cow<'b, str>> {
    match cursor.peek() {
        Some(b'-' | b'0'..=b'9') => Some(cursor.json()),
        _ => cursor.text().map(|text| text.text),
    }
}

/// Returns the beginning of a text without its plain secrets. For an HTML page, this is its title or its
/// text.
fn readable_text(text: &str, is_html: bool, secrets: &[&str]) -> String {
    let text = redact(text, secrets);
    let text = beginning(&text, MAX_SCANNED_LEN);
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
    truncate(redact(&clean(&readable_text(text, false, secrets)), secrets), MAX_ID_LEN)
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

/// Returns the text on one line, without unprintable characters.
fn clean(text: &str) -> String {
    let words = text.split_whitespace().flat_map(|word| [" ", word]).flat_map(str::chars);
    words.skip(1).filter(|c| !is_unprintable(*c)).collect()
}

/// Shortens a text to `max_len` bytes.
fn truncate(mut text: String, max_len: usize) -> String {
    if text.len() <= max_len {
        return text;
    }
    let Some(end) = max_len.checked_sub(ELLIPSIS.len_utf8()) else { return String::new() };
    text.truncate(beginning(&text, end).len());
    text.push(ELLIPSIS);
    text
}

#[cfg(test)]
mod tests;

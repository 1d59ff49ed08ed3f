//! What the service, its gateway or a proxy says in the body of an error. Judges no status, and
//! cannot fail.

use alloc::{format, string::String, vec::Vec};
use core::{fmt, iter};

use serde_json::value::RawValue;

use crate::{json, repair::repair};

/// What is kept of one body, in bytes, all texts together.
const MAX_KEPT: usize = 1024;

/// What of that may be the request's id and a code, in bytes each; the longest seen have 32 and 12.
const MAX_ID: usize = 128;

/// How many different messages are kept, and codes; the most seen are three and two.
const MAX_TEXTS: usize = 4;

/// The names by which bodies have a code, a message, a request's id: in lower case, without `_`.
const CODES: &[&str] = &["errorcode", "code"];
const MESSAGES: &[&str] = &["errormessage", "errormsg", "message", "reason", "title"];
const REQUEST_IDS: &[&str] = &["requestid"];

/// How much of a page or a text is looked at, in bytes.
const MAX_READ: usize = 1 << 16;

/// Stands where a text was cut.
const CUT: char = '…';

/// Where else than at the top a body has them.
const WITHIN: &[&str] = &["error", "details"];

/// What an error's body says, whoever wrote it: the service, the API gateway, the identity
/// service, something in the manner of Kubernetes, or a proxy.
///
/// At most 1 KiB is kept, and no control character or other one that could disturb a terminal.
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

/// An object's members.
type Members<'b> = Vec<(String, &'b RawValue)>;

impl ServiceError {
    /// Reads the body of a reply with this status and `Content-Type`; `None` where it says nothing.
    ///
    /// A code that merely repeats the status is left out. Of a page of HTML the title is kept, or
    /// the text where it has none; of any other text its beginning.
    #[must_use]
    pub fn from_body(status: u16, content_type: Option<&str>, body: &[u8]) -> Option<Self> {
        let (body, _) = repair(body);
        let body = String::from_utf8_lossy(&body);
        let members = json::members(&body).unwrap_or_default();
        let said = Self::from_members(status, members);
        let error = if said.is_empty() { Self::from_text(content_type, &body) } else { said };
        (!error.is_empty()).then_some(error)
    }

    /// Returns the code, such as `CCE.01404001`; the first where the body has two.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.codes.first().map(String::as_str)
    }

    /// Returns the codes, in the body's order: a service's and its gateway's may differ.
    #[must_use]
    pub fn codes(&self) -> &[String] {
        &self.codes
    }

    /// Returns the message; the one most to the point where the body has several.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.messages.first().map(String::as_str)
    }

    /// Returns the messages that differ, the one most to the point first.
    #[must_use]
    pub fn messages(&self) -> &[String] {
        &self.messages
    }

    /// Returns the request's id, where the body repeats it.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    const fn is_empty(&self) -> bool {
        self.codes.is_empty() && self.messages.is_empty() && self.request_id.is_none()
    }

    fn from_members(status: u16, top: Members<'_>) -> Self {
        let nested = top.iter().filter(|(name, _)| WITHIN.contains(&&**name));
        let nested: Vec<_> = nested.flat_map(|(_, json)| objects(json)).collect();
        let mut levels: Vec<_> = iter::once(top).chain(nested).collect();
        for (name, _) in levels.iter_mut().flatten() {
            name.retain(|c| c != '_');
            name.make_ascii_lowercase();
        }
        let status = format!("{status}");
        let texts = |names: &'static [&str]| {
            let named = |level: &Members<'_>| texts(level, names);
            distinct(levels.iter().flat_map(named).filter(|text| *text != status))
        };
        let mut left = MAX_KEPT;
        let mut kept = |text: String, most: usize| {
            let text = clean(&text, most.min(left));
            left -= text.len();
            (!text.is_empty()).then_some(text)
        };
        let mut kept_of = |names, count, most| -> Vec<String> {
            texts(names).into_iter().take(count).filter_map(|text| kept(text, most)).collect()
        };
        Self {
            request_id: kept_of(REQUEST_IDS, 1, MAX_ID).pop(),
            codes: kept_of(CODES, MAX_TEXTS, MAX_ID),
            messages: kept_of(MESSAGES, MAX_TEXTS, MAX_KEPT),
        }
    }

    fn from_text(content_type: Option<&str>, body: &str) -> Self {
        let body = &body[..body.floor_char_boundary(MAX_READ)];
        let is_html = body.trim_start().starts_with('<')
            || content_type.is_some_and(|of| of.to_ascii_lowercase().contains("html"));
        let message =
            if is_html { clean(&html_text(body), MAX_KEPT) } else { clean(body, MAX_KEPT) };
        let messages = match &*message {
            "" | "null" | "{}" | "[]" => Vec::new(),
            _ => [message].into(),
        };
        Self { messages, ..Self::default() }
    }
}

/// Displays the codes and the messages; the request's id is for whoever shows the reply's headers.
impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.codes.is_empty() || self.messages.is_empty() { "" } else { ": " };
        write!(f, "{}{colon}{}", self.codes.join(", "), self.messages.join("; "))
    }
}

/// Returns the texts of the members that have one of these names, in the order of the names.
fn texts(members: &Members<'_>, names: &[&str]) -> Vec<String> {
    let named = |name| members.iter().filter(move |(known, _)| known == name);
    names.iter().flat_map(named).filter_map(|(_, json)| text(json)).take(MAX_TEXTS).collect()
}

/// Returns the members of an object, or of each object of an array.
fn objects(json: &RawValue) -> Vec<Members<'_>> {
    let elements: Vec<&RawValue> =
        serde_json::from_str(json.get()).unwrap_or_else(|_| [json].into());
    elements.into_iter().filter_map(|json| json::members(json.get())).collect()
}

/// Returns a text, or a number as text.
fn text(json: &RawValue) -> Option<String> {
    let is_number = json.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
    if is_number { Some(json.get().into()) } else { serde_json::from_str(json.get()).ok() }
}

/// Returns the title of a page or, where it has none, its text without the tags.
fn html_text(page: &str) -> String {
    // As long as the page, so that places in one are places in the other.
    let lower = page.to_ascii_lowercase();
    let after = |at: usize, what: &str| lower[at..].find(what).map(|found| at + found);
    let title = || {
        let start = after(after(0, "<title")?, ">")? + 1;
        let title = page[start..after(start, "</title")?].trim();
        (!title.is_empty()).then_some(title)
    };
    if let Some(title) = title() {
        return title.into();
    }
    let mut text = String::new();
    for piece in page[after(0, "<body").unwrap_or_default()..].split('<') {
        text.push_str(piece.split_once('>').map_or("", |(_, text)| text));
        text.push(' ');
    }
    text
}

/// Returns the first texts of those that differ.
fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
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

/// Returns the text on one line, at most so many bytes of it, without what cannot be seen.
fn clean(text: &str, most: usize) -> String {
    let words = text.split_whitespace().flat_map(|word| [" ", word]).flat_map(str::chars);
    let seen: String = words.skip(1).filter(|c| !is_unseen(*c)).take(most + 1).collect();
    if seen.len() <= most {
        return seen;
    }
    let end = most.checked_sub(CUT.len_utf8()).map(|end| seen.floor_char_boundary(end));
    end.map_or_else(String::new, |end| format!("{}{CUT}", &seen[..end]))
}

/// Returns whether a character cannot be seen, and may move a cursor or turn a line round.
fn is_unseen(c: char) -> bool {
    let marks = ['\u{61c}', '\u{feff}'];
    let ranges = ['\u{200b}'..='\u{200f}', '\u{202a}'..='\u{202e}', '\u{2060}'..='\u{2069}'];
    c.is_control() || marks.contains(&c) || ranges.iter().any(|range| range.contains(&c))
}

#[cfg(test)]
mod tests;

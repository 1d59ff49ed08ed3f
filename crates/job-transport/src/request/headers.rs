//! What a reply's headers say. Reads no clock.

use std::time::Duration;

use http::{
    HeaderMap, HeaderName,
    header::{DATE, RETRY_AFTER},
};
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};

static PARSER: DateTimeParser = DateTimeParser::new();

/// Returns how long the reply asks to wait (RFC 9110, section 10.2.3; the service documents it for
/// 413 and 429, as seconds or a date).
///
/// A date counts from the reply's own `Date`, so this machine's clock does not matter; without one
/// it says nothing. A date that has passed is no wait, a number that no duration can hold the
/// longest one. What is neither a date nor a number is `None`.
///
/// ```
/// use std::time::Duration;
///
/// use http::{HeaderMap, HeaderValue};
///
/// let mut headers = HeaderMap::new();
/// headers.insert("date", HeaderValue::from_static("Sun, 02 Feb 2020 08:12:40 GMT"));
/// headers.insert("retry-after", HeaderValue::from_static("Sun, 02 Feb 2020 08:13:00 GMT"));
/// assert_eq!(job_transport::retry_after(&headers), Some(Duration::from_secs(20)));
/// ```
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = header_str(headers, &RETRY_AFTER)?;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only a number too large for it can fail.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = PARSER.parse_timestamp(text).ok()?;
    let pause = until.duration_since(date(headers)?);
    // Only a date before the reply's can fail.
    Some(pause.try_into().unwrap_or(Duration::ZERO))
}

/// Returns the reply's own `Date`: the service's time, to whole seconds.
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    PARSER.parse_timestamp(header_str(headers, &DATE)?).ok()
}

/// Returns the service's name for the request (`X-Request-Id`).
pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    header_str(headers, &HeaderName::from_static("x-request-id"))
}

/// Returns a header's text, without the blanks around it.
pub(crate) fn header_str<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

#[cfg(test)]
mod tests;

//! Parses the headers of a response. Reads no clock.

use std::time::Duration;

use http::{
    HeaderMap, HeaderName,
    header::{DATE, RETRY_AFTER},
};
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};

/// The longest delay that a response can request. It is far more than a wait honors (5 min), and
/// can be added to any time and printed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

static PARSER: DateTimeParser = DateTimeParser::new();

/// Returns the delay that a response requests with `Retry-After`.
///
/// The header contains seconds or a date (RFC 9110, section 10.2.3). The service documents it for
/// 413 and 429.
///
/// - A date counts from the response's own `Date` header, so this machine's clock does not matter.
///   Without `Date` the result is `None`.
/// - A date in the past is a delay of zero.
/// - A longer delay than a day is a day.
/// - Any other text is `None`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use http::{HeaderMap, HeaderValue};
///
/// let mut headers = HeaderMap::new();
/// headers.insert("date", HeaderValue::from_static("Sun, 02 Feb 2020 08:12:40 GMT"));
/// headers.insert("retry-after", HeaderValue::from_static("Sun, 02 Feb 2020 08:13:00 GMT"));
/// assert_eq!(job_transport::request::retry_after(&headers), Some(Duration::from_secs(20)));
/// ```
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = header_str(headers, &RETRY_AFTER)?;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Parsing digits fails only if the number is too large.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let until = PARSER.parse_timestamp(text).ok()?;
    let pause = until.duration_since(date(headers)?);
    // The conversion fails only if the date is before the response's `Date`.
    Some(pause.try_into().map_or(Duration::ZERO, |pause: Duration| pause.min(MAX_RETRY_AFTER)))
}

/// Returns the response's `Date` header: the service's time, in whole seconds.
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    PARSER.parse_timestamp(header_str(headers, &DATE)?).ok()
}

/// The header with the request id that the service assigned.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Returns the request id that the service assigned (`X-Request-Id`).
pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    header_str(headers, &X_REQUEST_ID)
}

/// Returns the text of a header, without surrounding spaces.
pub(crate) fn header_str<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

#[cfg(test)]
mod tests;

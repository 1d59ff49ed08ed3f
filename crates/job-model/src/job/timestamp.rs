//! Parses the service's timestamps and keeps their text. Reads no clock.

use alloc::{format, string::String, vec::Vec};
use core::fmt;

use jiff::{
    civil::DateTime,
    fmt::temporal::DateTimeParser,
    tz::{Offset, TimeZoneDatabase},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::decode::{DeviationKind, StringField};

static PARSER: DateTimeParser = DateTimeParser::new();

// Jiff's global time zone database is never used, because it reads files if another crate enables
// the jiff features for that.
static NO_ZONES: TimeZoneDatabase = TimeZoneDatabase::none();

/// A timestamp in the service's format: Go's `time.Time.String()` or RFC 3339.
///
/// Jobs have been seen with Go's format only. Other objects of the same service use RFC 3339.
///
/// Parsing never fails. A text that is not recognized is kept, and has no instant.
///
/// ```
/// use job_model::Timestamp;
///
/// let created = Timestamp::from("2020-02-02 08:12:40.672772389 +0000 UTC");
/// assert_eq!(created.instant(), "2020-02-02T08:12:40.672772389Z".parse().ok());
/// assert_eq!(Timestamp::from("yesterday").instant(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Timestamp {
    text: String,
    parsed: Parsed,
}

/// The meaning of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Parsed {
    Instant(jiff::Timestamp),
    /// Go's zero time.
    Zero,
    /// The text is not a timestamp in a known format.
    Unrecognized,
}

impl Parsed {
    fn from_text(text: &str) -> Self {
        let instant = parse_utc(text).or_else(|| parse(text.trim()));
        match instant.map(|instant| (instant, instant.as_second() - GO_ZERO)) {
            Some((_, -59..=59)) => Self::Zero,
            // No job is older than the year 1, and Go formats earlier years differently.
            Some((_, ..0)) | None => Self::Unrecognized,
            Some((instant, _)) => Self::Instant(instant),
        }
    }
}

impl Timestamp {
    /// Returns the text as the service sent it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the instant, or `None` if the text is not recognized or means "unset".
    #[must_use]
    pub const fn instant(&self) -> Option<jiff::Timestamp> {
        match self.parsed {
            Parsed::Instant(instant) => Some(instant),
            Parsed::Zero | Parsed::Unrecognized => None,
        }
    }

    /// Returns the instant of a text, as [`Timestamp::instant`] does, without an allocation.
    pub(crate) fn parse_instant(text: &str) -> Option<jiff::Timestamp> {
        match Parsed::from_text(text) {
            Parsed::Instant(instant) => Some(instant),
            Parsed::Zero | Parsed::Unrecognized => None,
        }
    }

    /// Returns `true` if the time was never set.
    ///
    /// The service writes such a time as Go's zero time, the start of the year 1. Texts within one
    /// minute of it count as well, because of the historical offsets of time zones.
    #[must_use]
    pub const fn is_unset(&self) -> bool {
        matches!(self.parsed, Parsed::Zero)
    }

    /// Returns the instant as a [`SystemTime`](std::time::SystemTime).
    ///
    /// Returns `None` if there is no instant, or if the platform cannot represent it.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn system_time(&self) -> Option<std::time::SystemTime> {
        let since = self.instant()?.as_duration();
        let epoch = std::time::SystemTime::UNIX_EPOCH;
        if since.is_negative() {
            epoch.checked_sub(since.unsigned_abs())
        } else {
            epoch.checked_add(since.unsigned_abs())
        }
    }
}

impl From<String> for Timestamp {
    fn from(text: String) -> Self {
        let parsed = Parsed::from_text(&text);
        Self { text, parsed }
    }
}

impl From<&str> for Timestamp {
    fn from(text: &str) -> Self {
        Self::from(String::from(text))
    }
}

/// Formats the instant in Go's format, in UTC.
///
/// An instant earlier than one minute after Go's zero time is not preserved: [`Timestamp::instant`]
/// returns `None` for it.
impl From<jiff::Timestamp> for Timestamp {
    fn from(instant: jiff::Timestamp) -> Self {
        Self::from(format!("{}", instant.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC")))
    }
}

impl StringField for Timestamp {
    fn read(text: &str) -> (Option<Self>, Option<DeviationKind>) {
        let timestamp = Self::from(text);
        let odd = timestamp.parsed == Parsed::Unrecognized;
        (Some(timestamp), odd.then_some(DeviationKind::UnrecognizedTimestamp))
    }

    fn as_text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// Parses Go's format in UTC, which is what nearly every text has.
fn parse_utc(text: &str) -> Option<jiff::Timestamp> {
    Offset::UTC.to_timestamp(parse_civil(text.strip_suffix(" +0000 UTC")?)?).ok()
}

/// Parses Go's format `date time ±hhmm zone`, with or without a monotonic reading (` m=±seconds`),
/// or RFC 3339. The zone name is ignored, because the offset beside it is exact and a name is not.
fn parse(text: &str) -> Option<jiff::Timestamp> {
    let words: Vec<&str> = text.split(' ').collect();
    let (date, time, offset) = match words[..] {
        [date, time, offset, _zone] => (date, time, offset),
        [date, time, offset, _zone, monotonic] if is_monotonic(monotonic) => (date, time, offset),
        _ => return PARSER.parse_timestamp(text).ok(),
    };
    let civil = parse_civil(&text[..date.len() + 1 + time.len()])?;
    // The parser also accepts shorter and longer offsets, and names of zones.
    let offset = Some(offset).filter(|offset| offset.len() == 5)?;
    let zone = PARSER.parse_time_zone_with(&NO_ZONES, offset).ok()?;
    zone.to_fixed_offset().ok()?.to_timestamp(civil).ok()
}

/// Parses `2006-01-02 15:04:05` with or without a fraction. The shape is checked first, because the
/// parser also accepts other formats and a trailing offset or zone, which Go never writes and which
/// might be a different instant.
fn parse_civil(text: &str) -> Option<DateTime> {
    let (whole, fraction) = text.as_bytes().split_at_checked(19)?;
    let is_gos = whole[10] == b' ' && whole[13] == b':' && whole[16] == b':';
    let is_fraction = fraction.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    if is_gos && is_fraction { PARSER.parse_datetime(text).ok() } else { None }
}

/// Returns whether a word is Go's monotonic reading, such as `m=+12.345`.
fn is_monotonic(word: &str) -> bool {
    let seconds = word.strip_prefix("m=").and_then(|seconds| seconds.strip_prefix(['+', '-']));
    seconds.is_some_and(|seconds| {
        !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    })
}

/// `0001-01-01 00:00:00 +0000 UTC` as Unix time in seconds. Go prints it for a time that was never
/// set.
///
/// In other zones the text is up to a minute off, because Go omits the seconds of an offset, and
/// some offsets of that year have seconds: `0001-01-01 08:05:43 +0805 LMT`.
const GO_ZERO: i64 = -62_135_596_800;

#[cfg(test)]
mod tests;

//! The service's times: the text as sent and, when understood, the instant. Reads no clock.

use alloc::{format, string::String};
use core::fmt;

use jiff::{civil::DateTime, fmt::temporal::DateTimeParser, tz::TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

static PARSER: DateTimeParser = DateTimeParser::new();

// Never jiff's global database: with features of jiff that another crate may switch on, that one
// reads files.
static NO_ZONES: TimeZoneDatabase = TimeZoneDatabase::none();

/// A time as the service writes it: Go's `time.Time.String()` (seen in every job), or RFC 3339
/// (seen in other objects of the same service).
///
/// Reading never fails: a text that cannot be understood is kept and has no instant.
///
/// ```
/// use job_model::Timestamp;
///
/// let created = Timestamp::from("2020-02-02 08:12:40.672772389 +0000 UTC");
/// assert_eq!(created.instant(), "2020-02-02T08:12:40.672772389Z".parse().ok());
/// assert_eq!(Timestamp::from("yesterday").instant(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    text: String,
    instant: Option<jiff::Timestamp>,
}

impl Timestamp {
    /// Returns the text as the service sent it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the instant, or `None` where the text is not understood or says "unset".
    #[must_use]
    pub const fn instant(&self) -> Option<jiff::Timestamp> {
        self.instant
    }
}

impl From<String> for Timestamp {
    fn from(text: String) -> Self {
        let read = text.trim();
        let instant = read_go(read).or_else(|| PARSER.parse_timestamp(read).ok());
        // Go prints its zero time for "never set".
        let instant = instant.filter(|instant| instant.as_second() != GO_ZERO_SECOND);
        Self { text, instant }
    }
}

impl From<&str> for Timestamp {
    fn from(text: &str) -> Self {
        Self::from(String::from(text))
    }
}

/// Writes the instant in Go's form, in UTC.
impl From<jiff::Timestamp> for Timestamp {
    fn from(instant: jiff::Timestamp) -> Self {
        Self {
            text: format!("{}", instant.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC")),
            instant: Some(instant),
        }
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

/// Reads `date time ±hhmm zone`, with an optional ` m=±seconds` (Go's monotonic reading). The zone
/// name is not looked at: the offset beside it is exact, the name is not.
fn read_go(text: &str) -> Option<jiff::Timestamp> {
    let mut spaces = text.match_indices(' ').map(|(at, _)| at);
    let time_end = spaces.nth(1)?;
    let offset_end = spaces.next()?;
    let civil: DateTime = PARSER.parse_datetime(&text[..time_end]).ok()?;
    let offset = PARSER
        .parse_time_zone_with(&NO_ZONES, &text[time_end + 1..offset_end])
        .ok()?
        .to_fixed_offset()
        .ok()?;
    offset.to_timestamp(civil).ok()
}

/// `0001-01-01 00:00:00 +0000 UTC`, in seconds of Unix time.
const GO_ZERO_SECOND: i64 = -62_135_596_800;

#[cfg(test)]
mod tests;

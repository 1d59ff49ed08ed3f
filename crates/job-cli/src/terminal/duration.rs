//! Durations as people write and read them. Reads no clock.

use std::{fmt, str::FromStr, time::Duration};

use anyhow::anyhow;
use jiff::{
    SignedDuration,
    fmt::friendly::{Spacing, SpanPrinter},
};

/// A span as it is written on the command line, such as `90s`, `45m` or `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DurationArg(pub(crate) Duration);

impl FromStr for DurationArg {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let span = text.parse().ok().and_then(|span: SignedDuration| span.try_into().ok());
        if let Some(span) = span {
            return Ok(Self(span));
        }
        let bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        Err(if bare {
            anyhow!("a time needs its unit: {text}s or {text}m?")
        } else {
            anyhow!("expected a time, such as 90s, 45m or 1h30m")
        })
    }
}

/// Writes it so that it is read again as it is.
impl fmt::Display for DurationArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX);
        static PRINTER: SpanPrinter = SpanPrinter::new().spacing(Spacing::None);
        f.write_str(&PRINTER.duration_to_string(&span))
    }
}

/// How long to wait: `none`, `0` for one attempt, or a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeoutArg(pub(crate) Option<Duration>);

impl FromStr for TimeoutArg {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "none" => Ok(Self(None)),
            "0" => Ok(Self(Some(Duration::ZERO))),
            text => text.parse().map(|DurationArg(span)| Self(Some(span))),
        }
    }
}

/// Formats a duration to be read by people: to a tenth of a second below a minute, to the second above.
pub(crate) fn format_duration(duration: Duration) -> String {
    if duration < Duration::from_secs(60) {
        // Cut, not rounded: no `60.0s`.
        return format!("{}.{}s", duration.as_secs(), duration.subsec_millis() / 100);
    }
    let whole = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    SpanPrinter::new().duration_to_string(&SignedDuration::from_secs(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_and_round_trip() {
        let rows = [
            ("90s", Ok("1m30s")),
            ("1h30m", Ok("1h30m")),
            ("1h 30m", Ok("1h30m")),
            ("1.5h", Ok("1h30m")),
            ("250ms", Ok("250ms")),
            ("0s", Ok("0s")),
            ("10", Err("a time needs its unit: 10s or 10m?")),
            ("-5s", Err("expected a time, such as 90s, 45m or 1h30m")),
            ("", Err("expected a time, such as 90s, 45m or 1h30m")),
            ("soon", Err("expected a time, such as 90s, 45m or 1h30m")),
        ];
        for (text, expected) in rows {
            let span = text.parse::<DurationArg>();
            let shown = span.as_ref().map(DurationArg::to_string).map_err(ToString::to_string);
            assert_eq!(shown.as_deref().map_err(|error| &**error), expected, "{text:?}");
            if let Ok(span) = span {
                assert_eq!(span.to_string().parse::<DurationArg>().unwrap(), span, "{text:?}");
            }
        }
    }

    #[test]
    fn timeouts_accept_none_zero_and_durations() {
        let rows = [("none", None), ("0", Some(0)), ("0s", Some(0)), ("45m", Some(45 * 60))];
        for (text, seconds) in rows {
            let expected = TimeoutArg(seconds.map(Duration::from_secs));
            assert_eq!(text.parse::<TimeoutArg>().unwrap(), expected, "{text}");
        }
        assert!("60".parse::<TimeoutArg>().is_err());
    }

    #[test]
    fn durations_are_formatted_for_humans() {
        let rows = [
            (0, "0.0s"),
            (4_650, "4.6s"),
            (59_999, "59.9s"),
            (60_000, "1m"),
            (83_400, "1m 23s"),
            (3_723_900, "1h 2m 3s"),
            (90_000_000, "25h"),
        ];
        for (milliseconds, expected) in rows {
            assert_eq!(format_duration(Duration::from_millis(milliseconds)), expected);
        }
        assert_eq!(
            format_duration(Duration::MAX),
            format_duration(Duration::from_secs(i64::MAX as u64))
        );
    }
}

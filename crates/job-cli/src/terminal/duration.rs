//! Parses and formats durations, such as `90s` and `1h 30m`.

use std::{fmt, str::FromStr, time::Duration};

use anyhow::{anyhow, bail};
use jiff::{
    SignedDuration, Span, SpanRelativeTo,
    fmt::friendly::{Spacing, SpanPrinter},
};
use job_model::HumanDuration;

/// A duration on the command line, such as `90s`, `45m`, `1h30m` or `2d`. A day has 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DurationArg(pub(crate) Duration);

impl FromStr for DurationArg {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let expected = || anyhow!("expected a duration such as 90s, 45m, 1h30m or 2d");
        // Only a span has days.
        let span: Option<Span> = text.parse().ok();
        let duration = match span {
            None => text.parse().ok(),
            Some(span) => match span.to_duration(SpanRelativeTo::days_are_24_hours()) {
                Ok(duration) => Some(duration),
                Err(_) => bail!("months and years differ in length; use days, for example 30d"),
            },
        };
        if let Some(duration) = duration.and_then(|one: SignedDuration| one.try_into().ok()) {
            return Ok(Self(duration));
        }
        let bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        Err(if bare { anyhow!("add a unit, for example {text}s or {text}m") } else { expected() })
    }
}

/// Formats the duration so that parsing gives the same duration.
impl fmt::Display for DurationArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX);
        static PRINTER: SpanPrinter = SpanPrinter::new().spacing(Spacing::None);
        f.write_str(&PRINTER.duration_to_string(&span))
    }
}

/// A timeout: `none` for no limit, `0` for one attempt, or a duration.
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

/// Formats the timeout so that parsing gives the same timeout.
impl fmt::Display for TimeoutArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(timeout) => DurationArg(timeout).fmt(f),
            None => f.write_str("none"),
        }
    }
}

/// Formats a duration for people, as [`HumanDuration`] does.
pub(crate) fn format_duration(duration: Duration) -> String {
    HumanDuration(duration).to_string()
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
            ("1d", Ok("24h")),
            ("1d 2h", Ok("26h")),
            ("2 days", Ok("48h")),
            ("1w", Ok("168h")),
            ("P1DT1H", Ok("25h")),
            ("200000000h", Ok("200000000h")),
            ("1mo", Err("months and years differ in length; use days, for example 30d")),
            ("1y", Err("months and years differ in length; use days, for example 30d")),
            ("-1d", Err("expected a duration such as 90s, 45m, 1h30m or 2d")),
            ("1.5d", Err("expected a duration such as 90s, 45m, 1h30m or 2d")),
            ("10", Err("add a unit, for example 10s or 10m")),
            ("-5s", Err("expected a duration such as 90s, 45m, 1h30m or 2d")),
            ("", Err("expected a duration such as 90s, 45m, 1h30m or 2d")),
            ("soon", Err("expected a duration such as 90s, 45m, 1h30m or 2d")),
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
        let rows = [
            ("none", None),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("45m", Some(45 * 60)),
            ("1d", Some(86_400)),
        ];
        for (text, seconds) in rows {
            let expected = TimeoutArg(seconds.map(Duration::from_secs));
            assert_eq!(text.parse::<TimeoutArg>().unwrap(), expected, "{text}");
        }
        assert!("60".parse::<TimeoutArg>().is_err());
    }
}

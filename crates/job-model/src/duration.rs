//! Displays durations for people.

use alloc::string::String;
use core::{fmt, time::Duration};

use jiff::{SignedDuration, fmt::friendly::SpanPrinter};

use crate::printable::pad;

/// Displays a duration for people, such as `13.9s` or `12m 40s`.
///
/// - Below a tenth of a second: whole milliseconds.
/// - Below a minute: seconds with one decimal, which is omitted if it is zero.
/// - Otherwise: hours, minutes and whole seconds.
///
/// The rest is cut off, so a displayed duration is never longer than the real one. All messages of
/// the workspace use this format.
///
/// ```
/// use core::time::Duration;
/// use job_model::HumanDuration;
///
/// let shown = [13_960, 30_000, 760_400].map(|millis| {
///     HumanDuration(Duration::from_millis(millis)).to_string()
/// });
/// assert_eq!(shown, ["13.9s", "30s", "12m 40s"]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "it only wraps a duration")]
pub struct HumanDuration(pub Duration);

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, milliseconds) = (self.0.as_secs(), self.0.subsec_millis());
        match (seconds, milliseconds / 100) {
            (0, 0) if milliseconds > 0 => pad(f, format_args!("{milliseconds}ms")),
            (0..60, 0) => pad(f, format_args!("{seconds}s")),
            (0..60, tenths) => pad(f, format_args!("{seconds}.{tenths}s")),
            _ => pad(f, format_args!("{}", long(seconds))),
        }
    }
}

/// Formats a duration of a minute or more.
fn long(seconds: u64) -> String {
    let whole = i64::try_from(seconds).unwrap_or(i64::MAX);
    SpanPrinter::new().duration_to_string(&SignedDuration::from_secs(whole))
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use super::*;

    #[test]
    fn durations_have_one_format() {
        for (micros, expected) in [
            (0, "0s"),
            (999, "0s"),
            (1_000, "1ms"),
            (99_999, "99ms"),
            (100_000, "0.1s"),
            (999_999, "0.9s"),
            (1_000_000, "1s"),
            (1_050_000, "1s"),
            (4_650_000, "4.6s"),
            (30_000_000, "30s"),
            (59_999_999, "59.9s"),
            (60_000_000, "1m"),
            (83_400_000, "1m 23s"),
            (3_723_900_000, "1h 2m 3s"),
            (90_000_000_000, "25h"),
        ] {
            assert_eq!(HumanDuration(Duration::from_micros(micros)).to_string(), expected);
        }
        let longest = HumanDuration(Duration::MAX).to_string();
        assert_eq!(longest, HumanDuration(Duration::from_secs(i64::MAX as u64)).to_string());
    }

    #[test]
    fn the_width_applies_to_each_form() {
        for (seconds, expected) in [(1, "    1s|"), (60, "    1m|"), (3_661, "1h 1m 1s|")] {
            assert_eq!(format!("{:>6}|", HumanDuration(Duration::from_secs(seconds))), expected);
        }
    }
}

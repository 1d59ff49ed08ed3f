//! Tests the conversion between texts and instants, in both directions.

use alloc::format;

use proptest::prelude::*;

use super::*;

#[test]
fn go_and_rfc3339_texts_parse_to_instants() {
    let rows = [
        ("2020-02-02 08:12:40.672772389 +0000 UTC", Some("2020-02-02T08:12:40.672772389Z")),
        ("2020-02-02 08:12:40 +0000 UTC", Some("2020-02-02T08:12:40Z")),
        ("2020-02-02 08:12:40. +0000 UTC", None),
        ("2020-02-02 08:12:40.6 +0530 IST", Some("2020-02-02T02:42:40.6Z")),
        ("2020-02-02 08:12:40 -0330 -0330", Some("2020-02-02T11:42:40Z")),
        ("2020-02-02 08:12:40.6 +0200 CEST m=+12.345", Some("2020-02-02T06:12:40.6Z")),
        (" 2020-02-02 08:12:40 +0000 UTC ", Some("2020-02-02T08:12:40Z")),
        ("2020-02-02T08:12:40.5Z", Some("2020-02-02T08:12:40.5Z")),
        (" 2020-02-02T08:12:40+02:00", Some("2020-02-02T06:12:40Z")),
        ("0001-01-01 00:00:00 +0000 UTC", None),
        ("0001-01-01T00:00:00Z", None),
        ("2020-02-02 08:12:40", None),
        ("2020-02-02 08:12:40 UTC +0000", None),
        ("2020-02-30 08:12:40 +0000 UTC", None),
        ("2020-02-02 08:12:40 +9900 UTC", None),
        ("0001-01-01 00:00:00 +0001 X", None),
        ("-000044-03-15T12:00:00Z", None),
        ("9999-12-30 22:00:00 +0000 UTC", Some("9999-12-30T22:00:00Z")),
        ("2020-02-02 +0000 UTC", None),
        ("2020-02-02 08 +0000 UTC", None),
        ("20200202 081240 +0000 UTC", None),
        ("2020-02-02T08:12:40 +0000 UTC", None),
        ("2020-02-02 081240.123 +0000 UTC", None),
        ("2020-02-02 08:12:40+05:00 +0000 UTC", None),
        ("2020-02-02 08:12:40[Europe/Berlin] +0000 UTC", None),
        ("2020-02-02 08:12:40 +05:30:15 X", None),
        ("2020-02-02 08:12:40 +05 X", None),
        ("2020-02-02 08:12:40 +0000 complete nonsense", None),
        ("2020-02-02 08:12:40 +0000 UTC m=nonsense", None),
        ("2020-02-02 08:12:40 +0000 UTC m=+", None),
        ("2020-02-02 08:12:40 +0000 UTC m=-0.5", Some("2020-02-02T08:12:40Z")),
        ("now", None),
        ("", None),
    ];
    for (text, expected) in rows {
        let timestamp = Timestamp::from(text);
        assert_eq!(format!("{timestamp} {}", timestamp.as_str()), format!("{text} {text}"));
        let expected = expected.map(|instant| instant.parse::<jiff::Timestamp>().unwrap());
        assert_eq!(timestamp.instant(), expected, "{text:?}");
    }
}

#[test]
fn zero_times_in_any_zone_are_unset() {
    let rows = [
        ("0001-01-01 00:00:00 +0000 UTC", true),
        (" 0001-01-01T00:00:00Z", true),
        ("0001-01-01 08:05:43 +0805 LMT", true),
        ("0001-01-01 00:53:28 +0053 LMT", true),
        ("0000-12-31 19:03:58 -0456 LMT", true),
        ("0001-01-01 00:01:00 +0000 UTC", false),
        ("", false),
    ];
    for (text, unset) in rows {
        let (timestamp, odd) = Timestamp::read(text);
        assert_eq!(timestamp.unwrap().is_unset(), unset, "{text:?}");
        assert_eq!(odd.is_some(), text.is_empty(), "{text:?}");
    }
}

#[cfg(feature = "std")]
#[test]
fn instants_convert_to_system_time() {
    use std::time::{Duration, SystemTime};

    let rows = [
        ("1970-01-01 00:00:01.5 +0000 UTC", Some(1_500)),
        ("1969-12-31 23:59:58.5 +0000 UTC", Some(-1_500)),
        ("0001-01-01 00:00:00 +0000 UTC", None),
        ("now", None),
    ];
    for (text, millis) in rows {
        let expected = millis.map(|millis: i64| {
            let span = Duration::from_millis(millis.unsigned_abs());
            let epoch = SystemTime::UNIX_EPOCH;
            if millis < 0 { epoch - span } else { epoch + span }
        });
        assert_eq!(Timestamp::from(text).system_time(), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn any_instant_parses_at_any_precision_and_offset(
        second in GO_ZERO + 86_400..253_402_207_200_i64,
        nanosecond in 0..1_000_000_000_i32,
        digits in 0..=9_usize,
        minutes in -1_559..=1_559_i32,
        form in 0..4,
    ) {
        let unit = 10_i32.pow(9 - u32::try_from(digits).unwrap());
        let instant = jiff::Timestamp::new(second, nanosecond / unit * unit).unwrap();
        let local = Offset::from_seconds(minutes * 60).unwrap().to_datetime(instant);
        let fraction = format!("{:09}", local.subsec_nanosecond());
        let fraction = if digits == 0 { String::new() } else { format!(".{}", &fraction[..digits]) };
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
        let (date, time) = (local.date(), local.strftime("%H:%M:%S"));
        let text = match form {
            0 => format!("{date} {time}{fraction} {sign}{hours:02}{minutes:02} ZONE"),
            1 => format!("{date} {time}{fraction} {sign}{hours:02}{minutes:02} AB m=+0.5"),
            2 => format!("\t{date} {time}{fraction} {sign}{hours:02}{minutes:02} {sign}{hours:02} "),
            _ => format!(" {date}T{time}{fraction}{sign}{hours:02}:{minutes:02}"),
        };
        let read = Timestamp::from(&*text);
        prop_assert_eq!(read.instant(), Some(instant), "{}", text);
        prop_assert_eq!(read.as_str(), text);
    }

    #[test]
    fn timestamps_from_instants_round_trip(
        second in GO_ZERO + 60..253_402_207_200_i64,
        nanosecond in 0..1_000_000_000_i32,
        digits in 0..=9_u32,
    ) {
        let unit = 10_i32.pow(9 - digits);
        let instant = jiff::Timestamp::new(second, nanosecond / unit * unit).unwrap();
        let written = Timestamp::from(instant);
        prop_assert!(written.as_str().ends_with(" +0000 UTC"));
        prop_assert_eq!(Timestamp::from(written.as_str()), written);
    }

    #[test]
    fn only_instants_after_the_zero_time_are_preserved(second: i64, nanosecond in 0..1_000_000_000_i32) {
        if let Ok(instant) = jiff::Timestamp::new(second % 400_000_000_000, nanosecond) {
            let written = Timestamp::from(instant);
            let after_zero = instant.as_second() - GO_ZERO >= 60;
            prop_assert_eq!(written.instant(), after_zero.then_some(instant));
        }
    }

    #[test]
    fn never_panics_on_any_text(text in "\\PC*|[0-9 :.+TZ-]{0,40}") {
        let _ = Timestamp::from(text);
    }
}

//! Time texts and their instants, both ways.

use alloc::format;

use proptest::prelude::*;

use super::*;

#[test]
fn texts() {
    let rows = [
        ("2020-02-02 08:12:40.672772389 +0000 UTC", Some("2020-02-02T08:12:40.672772389Z")),
        ("2020-02-02 08:12:40 +0000 UTC", Some("2020-02-02T08:12:40Z")),
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

proptest! {
    #[test]
    fn written_from_an_instant_it_reads_back(
        second in GO_ZERO_SECOND + 1..253_402_207_200_i64,
        nanosecond in 0..1_000_000_000_i32,
        digits in 0..=9_u32,
    ) {
        let unit = 10_i32.pow(9 - digits);
        let instant = jiff::Timestamp::new(second, nanosecond / unit * unit).unwrap();
        let written = Timestamp::from(instant);
        prop_assert_eq!(Timestamp::from(written.as_str()), written);
    }

    #[test]
    fn an_offset_is_taken_off(second in 0..4_000_000_000_i64, minutes in -839..=839_i32) {
        let instant = jiff::Timestamp::from_second(second).unwrap();
        let local = jiff::tz::Offset::from_seconds(minutes * 60).unwrap().to_datetime(instant);
        let (sign, hours, minutes) =
            (if minutes < 0 { '-' } else { '+' }, minutes.abs() / 60, minutes.abs() % 60);
        let text = format!(
            "{} {sign}{hours:02}{minutes:02} ZONE",
            local.strftime("%Y-%m-%d %H:%M:%S"),
        );
        prop_assert_eq!(Timestamp::from(text).instant(), Some(instant));
    }

    #[test]
    fn never_panics_on_any_text(text in "\\PC*|[0-9 :.+TZ-]{0,40}") {
        let _ = Timestamp::from(text);
    }
}

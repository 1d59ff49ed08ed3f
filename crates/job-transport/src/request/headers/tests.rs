//! Tests valid and invalid values of `Retry-After`.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const DAY: &str = "Sun, 02 Feb 2020 08:12:40 GMT";

fn read(retry_after_text: &str, date_text: Option<&str>) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after_text).unwrap());
    if let Some(text) = date_text {
        headers.insert(DATE, HeaderValue::from_str(text).unwrap());
    }
    retry_after(&headers)
}

#[test]
fn retry_after_parses_seconds_and_dates() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let rows = [
        ("0", None, seconds(0)),
        ("120", None, seconds(120)),
        (" 7 ", None, seconds(7)),
        ("007", None, seconds(7)),
        ("86400", None, seconds(86_400)),
        ("86401", None, seconds(86_400)),
        ("18446744073709551615", None, seconds(86_400)),
        ("99999999999999999999999", None, seconds(86_400)),
        ("Fri, 02 Feb 2120 08:12:40 GMT", Some(DAY), seconds(86_400)),
        ("-1", None, None),
        ("+1", None, None),
        ("1.5", None, None),
        ("1e3", None, None),
        ("", None, None),
        ("soon", Some(DAY), None),
        (DAY, Some(DAY), seconds(0)),
        ("Sun, 02 Feb 2020 08:13:40 GMT", Some(DAY), seconds(60)),
        ("Sun, 02 Feb 2020 08:11:40 GMT", Some(DAY), seconds(0)),
        ("Mon, 02 Feb 2120 08:12:40 GMT", None, None),
        ("Mon, 02 Feb 2120 08:12:40 GMT", Some("today"), None),
        ("Sun, 02 Feb 2020 25:13:40 GMT", Some(DAY), None),
        ("2020-02-02T08:13:40Z", Some(DAY), None),
    ];
    for (text, date, expected) in rows {
        assert_eq!(read(text, date), expected, "{text:?} {date:?}");
    }
}

#[test]
fn a_missing_or_non_text_retry_after_is_ignored() {
    let mut headers = HeaderMap::new();
    assert_eq!(retry_after(&headers), None);
    headers.insert(RETRY_AFTER, HeaderValue::from_bytes(b"1\xff").unwrap());
    assert_eq!(retry_after(&headers), None);
}

proptest! {
    #[test]
    fn never_panics(text in "[ -~]{0,40}", date in "[ -~]{0,40}") {
        let _ = read(&text, Some(&date));
    }

    #[test]
    fn retry_after_dates_are_relative_to_the_date_header(from in 0..4_000_000_000_i64, wait in 0..86_400_u32) {
        let show = |second| {
            let time = Timestamp::from_second(second).unwrap();
            time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
        };
        let read = read(&show(from + i64::from(wait)), Some(&show(from)));
        prop_assert_eq!(read, Some(Duration::from_secs(wait.into())));
    }
}

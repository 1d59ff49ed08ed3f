//! Tests that secrets are found in every encoding, and nothing else.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::*;

fn hide(secret: &str, text: &str) -> Option<String> {
    let hidden = Secrets::new([secret]).hide(text.as_bytes())?;
    Some(String::from_utf8(hidden.to_vec()).unwrap())
}

#[test]
fn secrets_are_hidden_in_every_encoding() {
    let secret = "tok/en+=\"1";
    let rows = [
        ("a tok/en+=\"1 b", "a (hidden) b"),
        ("tok/en+=\"1tok/en+=\"1", "(hidden)(hidden)"),
        // Characters that are not printed, and white space.
        ("tok/\u{200b}en+=\"\u{feff}1.", "(hidden)."),
        ("tok/ en\n+=\"1.", "(hidden)."),
        // JSON, with the slash escaped or not.
        (r#""tok\/en+=\"1.""#, r#""(hidden).""#),
        (r#""\u0074ok/en\u002B=\u0022\u200b1""#, r#""(hidden)""#),
        (r#""{\"a\": \"tok/en+=\\\"1\"}""#, r#""{\"a\": \"(hidden)\"}""#),
        // URLs.
        ("?t=tok%2Fen%2B%3D%221&u", "?t=(hidden)&u"),
        ("?t=%74ok%2fen+=%221&u", "?t=(hidden)&u"),
        (r#""?t=tok%2Fen\u002B=%221""#, r#""?t=(hidden)""#),
        (r#""tok\u00252Fen\u002b=\u00221""#, r#""(hidden)""#),
        // HTML.
        ("<p>tok&#47;en+&#x3d;&quot;1</p>", "<p>(hidden)</p>"),
        ("<p>tok/<b>en</b>+=\"1</p>", "<p>(hidden)</p>"),
        ("<p>tok/<!-- a > b -->en+=\"1</p>", "<p>(hidden)</p>"),
        ("<p>tok/<SCRIPT>a > b </a></Script>en+=\"1</p>", "<p>(hidden)</p>"),
        (&format!("<p>tok/<i {}>en+=\"1</p>", "a".repeat(500)), "<p>(hidden)</p>"),
        ("<title>a <b tok/en+=&quot;1</title>", "<title>a <b (hidden)</title>"),
        // HTML inside JSON.
        (r#""<p>tok\u0026#47;en\u003cb>+=\"1""#, r#""<p>(hidden)""#),
        (r#""<title>a <b tok\/en+=\u0026quot;1""#, r#""<title>a <b (hidden)""#),
    ];
    for (text, expected) in rows {
        assert_eq!(hide(secret, text).as_deref(), Some(expected), "{text}");
    }
    for text in ["", "tok/en+=\"", "ok/en+=\"1", "tok%2Fen", r"\u00", "%", "&#;", "<tok/en+=\"1"] {
        let expected = text.contains(secret).then(|| text.replace(secret, REDACTED));
        assert_eq!(hide(secret, text), expected, "{text}");
    }
    assert_eq!(hide("pass word", "p=pass+word").as_deref(), Some("p=(hidden)"));
    assert_eq!(hide("p\u{e4}ss", "p=p%C3%A4ss").as_deref(), Some("p=(hidden)"));
    assert_eq!(hide("p\u{1f511}s", r#""p\ud83d\udd11s""#).as_deref(), Some("\"(hidden)\""));
    assert_eq!(hide(" \u{200b}", "a \u{200b}b"), None);
    assert_eq!(hide("aab", "aaab").as_deref(), Some("a(hidden)"));
}

#[test]
fn short_secrets_are_not_hidden_in_a_success() {
    let body = br#"{"status": {"phase": "Running"}}"#;
    assert_eq!(Secrets::new(["Running"]).hide_in_success(body), None);
    let hidden = Secrets::new(["\"Running\""]).hide_in_success(body).unwrap();
    assert_eq!(&hidden[..], br#"{"status": {"phase": (hidden)}}"#);
}

#[test]
fn work_is_linear_in_the_size_of_a_hostile_body() {
    // Naive search compares each of these bytes with the whole secret.
    let secret = "a".repeat(16_383) + "b";
    let body = "a".repeat(MAX_DECODED_LEN - 3) + "\\%&";
    assert_eq!(Secrets::new([&*secret]).hide(body.as_bytes()), None);
    // Unfinished sequences are read again only for a bounded length.
    for unfinished in ["<&%\\u", "<a", "<!--", "<script></", "&amp", "<!\\u003c"] {
        let body = unfinished.repeat(MAX_DECODED_LEN / 4 / unfinished.len());
        assert_eq!(Secrets::new([&*secret]).hide(body.as_bytes()), None);
    }
}

proptest! {
    #[test]
    fn encoded_secrets_leave_no_trace(
        secret in "[!-~]{8,40}",
        before in "[a-z :\",]{0,20}",
        after in "[a-z :\",]{0,20}",
    ) {
        let json = serde_json::to_string(&secret).unwrap();
        let json = &json[1..json.len() - 1];
        let url = utf8_percent_encode(&secret, NON_ALPHANUMERIC).to_string();
        for form in [&*secret, json, &url] {
            let text = format!("{before}{form}{after}");
            let hidden = hide(&secret, &text).unwrap_or(text);
            prop_assert!(!hidden.contains(form), "{}", hidden);
        }
    }

    #[test]
    fn never_panics_on_any_bytes(secret in "\\PC{0,5}", text in any::<Vec<u8>>()) {
        let _ = Secrets::new([&*secret]).hide(&text);
    }
}

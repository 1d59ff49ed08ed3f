//! Tests what is read from the bodies of errors. Shapes that have been seen are fixtures.

use alloc::string::ToString;

use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::*;
use crate::testing::UNPRINTABLE_CHARS;

fn read(status: u16, content_type: &str, body: &str) -> String {
    let error = ServiceError::from_body(status, Some(content_type), body.as_bytes());
    let Some(error) = error else {
        return "nothing".into();
    };
    error.request_id().map_or_else(|| error.to_string(), |id| format!("{error} (request id {id})"))
}

#[test]
fn error_bodies_yield_codes_and_messages() {
    let html = "text/html; charset=UTF-8";
    let rows = [
        (404, "application/json", ""),
        (404, "application/json", " \n"),
        (404, "application/json", "{}"),
        (404, "application/json", "null"),
        (400, "application/json", r#"{"errorCode": "CCE.01400001", "errorMessage": null}"#),
        (400, "application/json", r#"{"code": 400, "message": "bad"}"#),
        (400, "application/json", r#"{"code": 4001, "message": "bad"}"#),
        (400, "application/json", r#"{"Error_Code": "X.1", "requestId": "r"}"#),
        (400, "application/json", r#"{"request_id": "r"}"#),
        (400, "application/json", r#"{"unknown": "shape"}"#),
        (400, "application/json", r#"{"error_msg": "one", "message": "one", "reason": "two"}"#),
        (400, "application/json", r#"{"code": "A", "details": [{"code": "B", "message": "m"}]}"#),
        (400, "application/json", r#"{"message": "a\u0007\u202eb\n\tc\ud800"}"#),
        (400, "application/json", r#"{"message": "cut"#),
        (400, "application/json", r#"["a", 1]"#),
        (502, html, "<html><head><TITLE class=x> 502\n Bad Gateway </TITLE></head></html>"),
        (502, html, "<html><title></title><style>p{}</style><body class='x'><p>Try<br>later</p>"),
        (502, html, "<title>never closed"),
        (502, "", " <p>no type"),
        (502, html, "Service Unavailable"),
        (502, html, "upstream request timeout<br>"),
        (502, html, r#"{"detail": "x"}"#),
        (502, html, "<script>if (a < b) {}</script><!-- <title>no</title> --><p>502 &amp; Bad"),
        (400, "application/json", r#"{"error_code": "X", "unknown": "the detail"}"#),
        (400, "application/json", r#"{"code": "X", "error": "Forbidden because"}"#),
        (400, "application/json", r#"{"message": {"text": "inner"}, "code": "C"}"#),
        (400, "application/json", r#"{"errors": [{"code": "E", "message": "m"}]}"#),
        (400, "application/json", r#"{"Error": {"Code": "A", "details": [{"Message": "B"}]}}"#),
        (400, "application/json", r#"{"errorMessage": "<html><title>502</title></html>"}"#),
        (503, "text/plain", "upstream connect error\u{1b}[31m"),
        (200, "text/plain", "a < b"),
    ];
    let table = rows.map(|(status, content_type, body)| {
        format!("{status} {}\n    {}\n", body.escape_debug(), read(status, content_type, body))
    });
    insta::assert_snapshot!(table.concat());
}

#[test]
fn invalid_utf8_in_a_body_is_replaced() {
    let error = ServiceError::from_body(502, None, b"bad \xff gateway").unwrap();
    assert_eq!(error.message(), Some("bad \u{fffd} gateway"));
}

#[test]
fn echoed_secrets_are_redacted() {
    let secret = "MIIF/+=&%".repeat(200);
    let escaped = secret.replace('/', "\\/").replace('+', "\\u002b");
    let html = secret.replace('&', "&amp;");
    let rows = [
        format!(
            r#"{{"error_code": "{secret}", "error_msg": "{secret}", "request_id": "{secret}"}}"#
        ),
        format!(r#"{{"error_msg": "a|x-security-token:{escaped}|b"}}"#),
        format!(r#"{{"details": [{{"message": "twice {secret} {secret}"}}]}}"#),
        // Characters that are removed before the text is shown.
        format!("token {}", secret.replace("MIIF", "MI\u{200b}IF")),
        format!(r#"{{"error_msg": "token {}"}}"#, escaped.replace("MIIF", "M\\u200bI\\u0000IF")),
        format!("<p>token {}</p>", html.replace("MIIF", "M<!-- > -->IIF")),
        format!("<title>{secret}</title>"),
        format!("<p>token {html} is wrong</p>"),
        format!("{}{secret}", "a".repeat(1_000)),
        secret.clone(),
    ];
    for body in rows {
        let error =
            ServiceError::from_body_redacting(401, None, body.as_bytes(), &[&secret, ""]).unwrap();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("MI"), "{shown}");
        assert!(shown.contains("(hidden") || shown.contains('…'), "{shown}");
    }
}

#[test]
fn long_messages_are_truncated_with_an_ellipsis() {
    let long = "ä".repeat(2_000);
    let body = json!({"code": long, "message": long, "reason": "r", "request_id": long});
    for body in [body.to_string(), long.clone(), format!("<title>{long}</title>")] {
        let error = ServiceError::from_body(500, None, body.as_bytes()).unwrap();
        assert!(error.message().unwrap().ends_with("ä…"), "{error}");
    }
}

#[test]
fn unprintable_characters_are_removed() {
    let text: String = UNPRINTABLE_CHARS.iter().filter_map(|c| char::from_u32(*c)).collect();
    let error = ServiceError::from_body(500, None, format!("a{text}b").as_bytes()).unwrap();
    let shown = error.to_string();
    // Some of them are whitespace and become one space.
    assert_eq!(shown.replace(' ', ""), "ab", "{shown:?}");
}

fn total_len(error: &ServiceError) -> usize {
    let texts = error.codes.iter().chain(&error.messages).chain(&error.request_id);
    texts.map(String::len).sum()
}

proptest! {
    #[test]
    fn never_panics_on_any_bytes(status: u16, body in vec(any::<u8>(), 0..300)) {
        let _ = ServiceError::from_body(status, None, &body);
    }

    #[test]
    fn keeps_at_most_1_kib_and_no_unprintable_characters(
        texts in vec("\\PC{0,40}|[a-z]{300,600}|[\u{0}-\u{1f}\u{200b}-\u{2069}\u{ad}\u{e0041}]{0,9}", 5),
        html: bool,
    ) {
        let body = json!({
            "error_code": texts[0], "error_msg": texts[1],
            "error": {"code": texts[2], "message": texts[3]}, "request_id": texts[4],
        });
        let body = if html { format!("<p>{}", texts.concat()) } else { body.to_string() };
        if let Some(error) = ServiceError::from_body(500, None, body.as_bytes()) {
            prop_assert!(total_len(&error) <= MAX_TOTAL_LEN);
            let unseen = error.to_string().chars().find(|c| UNPRINTABLE_CHARS.contains(&u32::from(*c)));
            prop_assert_eq!(unseen, None);
        }
    }
}

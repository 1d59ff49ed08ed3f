//! Bodies, and the jobs or errors they are read as.

use alloc::{format, string::ToString};

use insta::{assert_debug_snapshot, assert_snapshot};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::Phase;

const REFERENCE_EXAMPLE: &[u8] = include_bytes!("../../../../fixtures/jobs/reference-example.json");

#[test]
fn reference_example_is_read_as_printed() {
    assert_debug_snapshot!(Decoded::from_slice(REFERENCE_EXAMPLE).unwrap());
}

#[test]
fn encoding_the_reference_example_gives_it_back_but_for_the_comma() {
    let job = Job::from_slice(REFERENCE_EXAMPLE).unwrap();
    let printed = core::str::from_utf8(REFERENCE_EXAMPLE).unwrap();
    let blanks_out = |text: &str| text.split_whitespace().collect::<alloc::string::String>();
    let encoded = serde_json::to_string_pretty(&job).unwrap();
    assert_eq!(blanks_out(&encoded), blanks_out(printed).replace("],}", "]}"));
}

/// What a body is read as: its phase and deviations, or the error.
fn read(body: &str) -> alloc::string::String {
    match Decoded::from_slice(body.as_bytes()) {
        Ok(Decoded { job, deviations }) => {
            let phase = job.phase().map_or_else(|| "no phase".into(), ToString::to_string);
            deviations.iter().fold(phase, |line, deviation| format!("{line}; {deviation}"))
        }
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn bodies() {
    let rows = [
        "{}",
        "null",
        "",
        "   ",
        "[]",
        "\"Success\"",
        r#"{"status": null}"#,
        r#"{"status": {}}"#,
        r#"{"status": {"phase": null}}"#,
        r#"{"status": {"phase": ""}}"#,
        r#"{"status": {"phase": "sUCCESS"}}"#,
        r#"{"status": {"phase": "Upgrading"}}"#,
        r#"{"status": {"phase": " Success"}}"#,
        r#"{"status": ["Success"]}"#,
        r#"[null, null, null, null, {"phase": "Success"}]"#,
        r#"{"status": {"phase": "Success", "phase": "Failed"}}"#,
        r#"{"status": {"phase": null}, "status": {"phase": "Success"}}"#,
        r#"{"status": {"phase": "Success"}, "new": {"status": [1, 2.50, {}]}}"#,
        r#"{"status": {"phase": 1}}"#,
        r#"{"status": {"phase": "Running"}"#,
        r#"{"status": {"phase": "Running",},}"#,
        "\u{feff}{\"status\": {\"phase\": \"Running\"}}",
        r#"{"spec": {"subJobs": [{}, {"metadata": {"uid": "a",}},]}}"#,
        r#"{"spec": {"subJobs": [{},,]}}"#,
        r#"{"spec": {"subJobs": [,]}}"#,
        r#"{"status": {"reason": "a,}"}}"#,
        r#"{"spec": {"extendParam": {"a": null, "b": ""}}}"#,
        "<html><body>502 Bad Gateway</body></html>",
        "{\n  \"status\": secret\n}",
        "{} {}",
    ];
    let table = rows.map(|body| format!("{}\n    {}", body.escape_debug(), read(body)));
    assert_snapshot!(table.join("\n"));
}

#[test]
fn an_error_shows_nothing_of_the_body() {
    for body in [r#"{"kind": {"secret": 1}}"#, r#"{"spec": "secret"}"#, r#"{"kind": "secret"#] {
        let error = Decoded::from_slice(body.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{body}");
    }
}

#[test]
fn an_error_tells_where() {
    let error = Decoded::from_slice(b"{\n  \"status\": no\n}").unwrap_err();
    assert_eq!((error.kind(), error.line(), error.column()), (DecodeErrorKind::Syntax, 2, 14));
}

/// Pieces of JSON that meet often enough to form bodies, and near misses of bodies.
fn pieces() -> impl Strategy<Value = alloc::string::String> {
    let piece = prop::sample::select(
        &[
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            " ",
            "1",
            "null",
            "\"status\"",
            "\"phase\"",
            "\"Success\"",
            "\"spec\"",
            "\"subJobs\"",
            "\u{feff}",
        ][..],
    );
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn never_panics_on_any_bytes(body in vec(any::<u8>(), 0..200)) {
        let _ = Decoded::from_slice(&body);
    }

    #[test]
    fn never_panics_on_any_pieces(body in pieces()) {
        let _ = Decoded::from_slice(body.as_bytes());
    }

    #[test]
    fn is_terminal_only_if_the_phase_says_so(text in "(?i)success|failed|\\PC{0,8}") {
        let body = serde_json::json!({"status": {"phase": text}}).to_string();
        let job = Job::from_slice(body.as_bytes()).unwrap();
        let says_so = ["success", "failed"].contains(&&*text.to_ascii_lowercase());
        prop_assert_eq!(job.phase().is_some_and(Phase::is_terminal), says_so);
    }
}

//! Tests which job or error a body is decoded to.

use alloc::{
    format,
    string::{String, ToString},
};

use insta::assert_snapshot;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    decode::{DecodeErrorKind, DeviationKind},
    job::Phase,
};

/// Decodes a body, and returns its phase and deviations, or the error.
fn read(body: &str) -> String {
    match Decoded::from_slice(body.as_bytes()) {
        Ok(Decoded { job, deviations }) => {
            let phase = job.phase().map_or_else(|| "no phase".into(), ToString::to_string);
            deviations.iter().fold(phase, |line, deviation| format!("{line}; {deviation}"))
        }
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn bodies_decode_to_a_phase_and_deviations_or_an_error() {
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
        r#"{"status": {"phase": {"phase": "Success"}}}"#,
        r#"{"status": "Success"}"#,
        r#"{"status": {"phase": "\ud800"}}"#,
        r#"{"status": {"phase": "Success", "reason": "\udead"}}"#,
        r#"{"status": {"phase": "Success", "reason": "\ud83d\ude00 \ud83d\n\ude00"}}"#,
        r#"{"status": {"phase": "Success", "unknown": "\udead"}}"#,
        r#"{"status": {"phase": "success", "unknown": "\udead"}}"#,
        r#"{"status": {"phase": "Success", "\udead": 1}, "kind": 1}"#,
        r#"{"status": {"\u0070hase": "Success"}}"#,
        r#"{"metadata": {"uid": "a", "uid": "a"}}"#,
        r#"{"spec": {"subJobs": [{"spec": {"secret": 1, "type": null, "type": 2}}]}}"#,
        r#"{"spec": {"subJobs": {"status": {"phase": "fail"}}}}"#,
        r#"{"spec": {"subJobs": [{}, null, 7]}}"#,
        r#"{"spec": {"subJobs": "none"}}"#,
        r#"{"status": {"phase": "Running"}"#,
        r#"{"status": {"phase": "Running",},}"#,
        "\u{feff}{\"status\": {\"phase\": \"Running\"}}",
        r#"{"spec": {"subJobs": [{}, {"metadata": {"uid": "a",}},]}}"#,
        r#"{"spec": {"subJobs": [{},,]}}"#,
        r#"{"spec": {"subJobs": [,]}}"#,
        r#"{"status": {"reason": "a,}"}}"#,
        r#"{"spec": {"extendParam": {"a": null, "b": ""}}}"#,
        r#"{"spec": {"extendParam": {"a": 1.10, "b": [true], "b": "x"}}}"#,
        r#"{"spec": {"extendParam": {"a": "x", "a": null}}}"#,
        r#"{"spec": {"extendParam": {"a": "\ud800", "\ud800": "a"}}}"#,
        r#"{"spec": {"extendParam": null}}"#,
        r#"{"spec": {"extendParam": ["a"]}}"#,
        "{\"status\": {\"phase\": \"Failed\", \"reason\": \"a\nb\tc\u{0}\"}}",
        "{\"status\": {\"phase\": \"Success\n\"}}",
        "{\"status\": {\"phase\": \"Failed\", \"rea\nson\": [\"a\r\\n\", {\"b\": \"\n\"}]}}",
        "{\"status\": {\"phase\": \"Failed\", \"reason\": \"a\\\nb\"}}",
        "{\"status\": {\"phase\": \"Failed\", \"reason\": \"a\n",
        r#"{"apiVersion": "v2", "status": {"status": "Failed"}}"#,
        r#"{"status": {"status": "success", "completionTime": "soon"}}"#,
        r#"{"status": {"status": ""}}"#,
        r#"{"status": {"status": 7}}"#,
        r#"{"status": {"phase": null, "status": "Success"}}"#,
        r#"{"status": {"phase": "Success", "status": null}}"#,
        r#"{"status": {"phase": "Running", "status": "Success"}}"#,
        r#"{"status": {"status": "Success", "phase": "Running"}}"#,
        r#"{"status": {"status": "Success", "phase": ""}}"#,
        r#"{"status": {"status": "success", "phase": 7}}"#,
        r#"{"status": {"status": "Success", "status": "Success"}}"#,
        r#"{"status": {"phase": 1, "status": 2, "phase": 3}}"#,
        r#"{"spec": {"subjobs": [{"status": {"status": "Odd"}}, 7]}}"#,
        r#"{"spec": {"subjobs": [{"kind": 7}], "subJobs": []}}"#,
        r#"{"spec": {"extendparam": {"a": 1}, "clusteruid": 2}}"#,
        "<html><body>502 Bad Gateway</body></html>",
        "{\n  \"status\": secret\n}",
        "{} {}",
    ];
    let table = rows.map(|body| format!("{}\n    {}", body.escape_debug(), read(body)));
    assert_snapshot!(table.join("\n"));
}

#[test]
fn decode_errors_do_not_reveal_the_body() {
    let bodies = [
        r#"{"kind": "secret"#,
        r#"{"secret": {"kind": [1, {"secret": secret"#,
        r#"{"metadata": {"secret": "secret", "uid": "secret", "uid": "secret"}}"#,
        r#""secret""#,
        "{\"secret\": \"secret\u{0}\", secret}",
    ];
    for body in bodies {
        let error = Decoded::from_slice(body.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{body}");
    }
}

#[test]
fn decode_errors_report_path_line_and_column() {
    use DecodeErrorKind::{DuplicateField, NotAnObject, NotUtf8, Syntax, Truncated};

    let rows: [(&[u8], _, _, _); 13] = [
        (b"{\n  \"status\": no\n}", Syntax, "status", (2, 14)),
        (
            b"{\"spec\": {\"subJobs\": [{}, {\"status\": }]}}",
            Syntax,
            "spec.subJobs[1].status",
            (1, 38),
        ),
        (b"{\"a\": {\"kind\": [0,\n\n1", Truncated, "….kind[1]", (3, 1)),
        (b"{\"status\": {\"phase\": \"Succ", Truncated, "status.phase", (1, 26)),
        (b"", Truncated, "", (1, 0)),
        (b"{\n\"status\": {\"reason\": \xff}}", NotUtf8, "status.reason", (2, 22)),
        // A line break in a string is repaired, and still counts as one.
        (b"{\"status\": {\"reason\": \"a\nb\", \"phase\": no}}", Syntax, "status.phase", (2, 15)),
        (b"{\"kind\": \"a\nb\",\n \"kind\": 2}", DuplicateField, "kind", (3, 10)),
        (b"{\"status\": {\"reason\": \"a\nbc", Truncated, "status.reason", (2, 2)),
        (b"{\"kind\": \"\xff\n\", \xff", NotUtf8, "", (2, 4)),
        (b"\n [1, 2]", NotAnObject, "", (2, 2)),
        (b"{\"kind\": 1,\n \"kind\": 2}", DuplicateField, "kind", (2, 10)),
        (b"<html>", Syntax, "", (1, 1)),
    ];
    for (body, kind, path, place) in rows {
        let error = Decoded::from_slice(body).unwrap_err();
        let found = (error.kind(), error.path(), (error.line(), error.column()));
        assert_eq!(found, (kind, path, place), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn invalid_utf8_in_a_string_is_replaced() {
    let rows: [(&[u8], &str); 4] = [
        (b"\"a\xffb\"", "a\u{fffd}b"),
        // Three bytes of a character with four, then two bytes that start none.
        (b"\"\xf0\x9f\x98 \x80\x80 \\u00e4\"", "\u{fffd} \u{fffd}\u{fffd} \u{e4}"),
        (b"\"\xe4\xb8\"", "\u{fffd}"),
        (b"\"\xe4\xb8\xad\xff\n\"", "\u{4e2d}\u{fffd}\n"),
    ];
    for (reason, expected) in rows {
        let body = [br#"{"status": {"phase": "Failed", "reason": "#, reason, b"}}"].concat();
        let Decoded { job, deviations } = Decoded::from_slice(&body).unwrap();
        assert_eq!((job.phase(), job.reason()), (Some(&Phase::Failed), Some(expected)));
        assert!(deviations.iter().any(|deviation| {
            deviation.path == "status.reason" && deviation.kind == DeviationKind::InvalidUtf8
        }));
    }
}

proptest! {
    /// An unknown field is kept as JSON, which must stay valid.
    #[test]
    fn strings_of_any_bytes_are_encoded_as_they_are_read(bytes in vec(
        prop::sample::select(b"\xff\xe4\xb8\xad\xf0\x9f\0\n\t\x1f\x7f a".to_vec()),
        0..12,
    )) {
        let body = [b"{\"status\": {}, \"x\": [\"", &bytes[..], b"\",]}"].concat();
        let encoded = serde_json::to_string(&Job::from_slice(&body).unwrap()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&encoded).unwrap();
        prop_assert_eq!(value["x"][0].as_str(), Some(&*String::from_utf8_lossy(&bytes)));
    }
}

/// Returns a job with `levels` levels of sub-jobs below it, one sub-job in each.
fn nested(levels: usize) -> String {
    let open = r#"{"spec": {"subJobs": ["#.repeat(levels);
    format!("{open}{{}}{}", "]}}".repeat(levels))
}

/// Returns a job with `sub_jobs` sub-jobs in total. The last direct sub-job has two of its own.
fn wide(sub_jobs: usize) -> String {
    let most = "{},".repeat(sub_jobs - 3);
    format!(r#"{{"spec": {{"subJobs": [{most}{{"spec": {{"subJobs": [{{}}, {{}}]}}}}]}}}}"#)
}

#[test]
fn depth_and_sub_job_limits_are_enforced() {
    use DecodeErrorKind::{TooDeep, TooManySubJobs};

    let limits = Limits::default();
    let rows = [
        (nested(31), limits, None),
        (nested(32), limits, Some(TooDeep)),
        (nested(0), limits.max_depth(0), None),
        (nested(1), limits.max_depth(0), Some(TooDeep)),
        (nested(39), limits.max_depth(u32::MAX), None),
        (nested(40), limits.max_depth(u32::MAX), Some(TooDeep)),
        (nested(20_000), limits, Some(TooDeep)),
        (wide(10_000), limits, None),
        (wide(10_001), limits, Some(TooManySubJobs)),
        (wide(3), limits.max_sub_jobs(3), None),
        (wide(3), limits.max_sub_jobs(2), Some(TooManySubJobs)),
        (nested(0), limits.max_sub_jobs(0), None),
        (
            String::from(r#"{"spec": {"subJobs": {}}}"#),
            limits.max_sub_jobs(0),
            Some(TooManySubJobs),
        ),
    ];
    for (body, limits, expected) in rows {
        // The second body is read by the lenient pass, which must give the same result.
        for body in [body.clone(), body.replacen('{', r#"{"kind": 1, "#, 1)] {
            let body = body.replace(r#"1, }"#, "1}");
            let error = Decoded::from_slice_with_limits(body.as_bytes(), limits).err();
            let kind = error.map(|error| error.kind());
            assert_eq!(kind, expected, "{limits:?} {} bytes", body.len());
        }
    }
}

#[test]
fn limit_errors_report_path_line_and_column() {
    let body = r#"{"spec": {"subJobs": [{}, {"spec": {"subJobs": [{}]}}]}}"#;
    let show =
        |limits| Decoded::from_slice_with_limits(body.as_bytes(), limits).unwrap_err().to_string();
    assert_eq!(
        show(Limits::new().max_depth(2)),
        "sub-jobs are nested too deeply at spec.subJobs[1].spec.subJobs[0] (line 1, column 49)",
    );
    assert_eq!(
        show(Limits::new().max_sub_jobs(1)),
        "too many sub-jobs at spec.subJobs[1] (line 1, column 27)",
    );
}

#[test]
fn deviations_are_truncated_after_one_thousand() {
    let parameters = (0..5_000).map(|n| format!(r#""{n}": {n}"#)).collect::<Vec<_>>().join(",");
    let body = format!(r#"{{"spec": {{"extendParam": {{{parameters}}}}}}}"#);
    let decoded = Decoded::from_slice(body.as_bytes()).unwrap();
    assert_eq!(decoded.deviations.len(), 1_001);
    assert_eq!(decoded.deviations[1_000].kind, DeviationKind::Truncated);
    let parameters = decoded.job.spec.unwrap().extend_param.unwrap();
    assert_eq!(parameters.iter().count(), 5_000);
}

#[test]
fn syntax_is_repaired_in_every_sub_job() {
    let sub_job = r#"{"status": {"phase": "Success", "reason": "\ud83d",}},"#;
    let body = format!(r#"{{"spec": {{"subJobs": [{}]}}}}"#, sub_job.repeat(2_000));
    let decoded = Decoded::from_slice(body.as_bytes()).unwrap();
    assert_eq!(decoded.job.progress().success, 2_000);
}

#[test]
fn edited_jobs_serialize_with_their_edits() {
    let body = r#"{"kind":7,"spec":{"subJobs":[{"metadata":{"uid":"a"}},7,null]},"status":{"phase":"SUCCESS"}}"#;
    let mut job = Job::from_slice(body.as_bytes()).unwrap();
    assert_eq!(serde_json::to_string(&job).unwrap(), body);

    job.kind = Some("Job".into());
    job.status.as_mut().unwrap().phase = Some(Phase::Failed);
    let sub_jobs = job.spec.as_mut().unwrap().sub_jobs.as_mut().unwrap();
    sub_jobs.reverse();
    sub_jobs[1].kind = Some("Job".into());
    let edited = r#"{"kind":"Job","spec":{"subJobs":[null,{"kind":"Job"},{"metadata":{"uid":"a"}}]},"status":{"phase":"Failed"}}"#;
    assert_eq!(serde_json::to_string(&job).unwrap(), edited);

    job.kind = None;
    job.raw_fields.remove("kind");
    job.status.as_mut().unwrap().phase = None;
    job.spec = None;
    assert_eq!(serde_json::to_string(&job).unwrap(), r#"{"status":{}}"#);
}

#[test]
fn jobs_deserialize_inside_another_document() {
    let document = r#"{"jobs": [{"kind": "Job", "status": {"phase": "SUCCESS"}, "new": 1.10}]}"#;
    let jobs: alloc::collections::BTreeMap<String, Vec<Job>> =
        serde_json::from_str(document).unwrap();
    assert_eq!(jobs["jobs"][0].phase(), Some(&Phase::Success));
    assert_eq!(
        serde_json::to_string(&jobs).unwrap(),
        document.replace(": ", ":").replace(", ", ",")
    );
    assert!(serde_json::from_str::<Vec<Job>>(r#"[{"status": {}, "status": {}}]"#).is_err());
}

/// Generates pieces of JSON that often form a body, or nearly one.
fn pieces() -> impl Strategy<Value = String> {
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
            "\"extendParam\"",
            "\"metadata\"",
            "\\ud800",
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
    fn never_panics_on_json_fragments(body in pieces()) {
        let _ = Decoded::from_slice(body.as_bytes());
    }

    #[test]
    fn only_success_and_failed_are_terminal(text in "(?i)success|failed|\\PC{0,8}") {
        let body = serde_json::json!({"status": {"phase": text}}).to_string();
        let job = Job::from_slice(body.as_bytes()).unwrap();
        let expected = ["success", "failed"].contains(&&*text.to_ascii_lowercase());
        prop_assert_eq!(job.phase().is_some_and(Phase::is_terminal), expected);
    }
}

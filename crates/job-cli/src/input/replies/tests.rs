//! Tests which ids are read from the output of API calls, and how other output is described.

use proptest::prelude::*;

use super::*;

/// Returns the ids, or the error with its hint.
fn read(input: &[u8]) -> String {
    match read_submitted(input) {
        Ok(jobs) => jobs.iter().map(|job| job.id.as_str()).collect::<Vec<_>>().join(" "),
        Err(Problem { error, hint }) => {
            let hint = hint.map(|hint| format!("\n        {}", hint.replace('\n', "\n        ")));
            format!("error: {error:#}{}", hint.unwrap_or_default())
        }
    }
}

#[test]
fn outputs_of_api_calls_yield_ids_or_an_explanation() {
    let headers = "HTTP/2 202 \r\ncontent-type: application/json\r\nx-request-id: 1\r\n\r\n";
    let of_proxy = "HTTP/1.1 200 Connection established\r\n\r\n";
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("one reply", br#"{"status": {"jobID": "job-00001"}}"#.into()),
        ("two replies", b"{\"jobid\": \"job-00001\"}\n{\"job_id\": \"job-00002\"}".into()),
        ("a failed call after one that worked", b"{\"jobid\": \"job-00001\"}\n202\n503\n".into()),
        (
            "headers of a failed call after one that worked",
            b"HTTP/1.1 202 Accepted\r\n\r\n{\"jobid\": \"job-00001\"}\nHTTP/1.1 500 Error\r\n\r\n".into(),
        ),
        (
            "a failed call between two that worked",
            b"{\"jobid\": \"job-00001\"}\n202\n503\n{\"jobid\": \"job-00002\"}\n202\n".into(),
        ),
        (
            "a call without a reply, and one that worked",
            b"000\n{\"jobid\": \"job-00002\"}\n202\n".into(),
        ),
        (
            "a login in two steps",
            b"HTTP/1.1 401 Unauthorized\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n{\"jobid\": \"job-00001\"}\n".into(),
        ),
        ("two replies on one line", br#"{"jobid": "job-00001"}{"job_id": "job-00002"}"#.into()),
        (
            "JSON text sequence",
            b"\x1e{\"jobid\": \"job-00001\"}\n\x1e{\"jobid\": \"job-00002\"}\n".into(),
        ),
        ("array of replies", br#"[{"jobid": "job-00001"}, {"jobID": "job-00002"},]"#.into()),
        ("array of ids", br#"["job-00001", "job-00002"]"#.into()),
        ("brackets in texts", br#"{"a": "}]\"{", "jobid": "job-00001"} ["job-00002"]"#.into()),
        (
            "a job itself",
            br#"{"kind": "Job", "metadata": {"uid": "job-00001"}, "status": {}}"#.into(),
        ),
        ("bare id", b"354331b2c-229a-11e8-9c75-0255ac100ceb\n".into()),
        ("two bare ids", b"job-00001 job-00002\r\n".into()),
        ("quoted id", b"\"job-00001\"\n".into()),
        ("id in single quotation marks", b"'job-00001'".into()),
        ("comments", b"# cluster a\njob-00001\n # b\n{\"jobid\": \"job-00002\"}".into()),
        ("byte order mark", b"\xEF\xBB\xBF{\"jobid\": \"job-00001\"}\r\n".into()),
        ("UTF-16", b"\xFF\xFEj\0o\0b\0-\x000\x000\x000\x000\x001\0\r\0\n\0".into()),
        ("headers", format!("{headers}{{\"jobid\": \"job-00001\"}}").into()),
        ("headers of a proxy", format!("{of_proxy}{headers}{{\"jobid\": \"job-00001\"}}\n").into()),
        (
            "two with headers",
            format!("{headers}{{\"jobid\": \"job-00001\"}}{headers}{{\"jobid\": \"job-00002\"}}")
                .into(),
        ),
        ("trailing status", b"{\"jobid\": \"job-00001\"}202".into()),
        (
            "trailing status lines",
            b"{\"jobid\": \"job-00001\"}\n202\n{\"jobid\": \"job-00002\"}\n202\n".into(),
        ),
        ("invalid UTF-8 in a text", b"{\"a\": \"\xFF\", \"jobid\": \"job-00001\"}".into()),
        ("empty", b"".into()),
        ("white space", b" \r\n\n".into()),
        ("only a mark", b"\xEF\xBB\xBF".into()),
        ("only a comment", b"# none\n".into()),
        ("headers without a body", headers.into()),
        (
            "failed headers without a body",
            b"HTTP/1.1 401 Unauthorized\nx-subject-token: s3cret\n\n".into(),
        ),
        ("only a status", b"204".into()),
        ("curl without a reply", b"000".into()),
        (
            "prepaid order",
            br#"{"kind": "Node", "order_id": "CS1", "status": {"jobID": ""}}"#.into(),
        ),
        ("error", br#"{"error_code": "CCE.01400001", "error_msg": "Invalid request."}"#.into()),
        ("error with a status", b"{\"message\": \"no such cluster\"}\n404".into()),
        (
            "status of each reply",
            b"{\"jobid\": \"job-00001\"}\n202\n{\"message\": \"no such cluster\"}\n404".into(),
        ),
        (
            "error with headers",
            b"HTTP/1.1 409 Conflict\r\n\r\n{\"errorCode\": \"CCE.1\", \"errorMessage\": \"busy\"}"
                .into(),
        ),
        (
            "error after a reply",
            b"{\"jobid\": \"job-00001\"}\n{\"errorCode\": \"CCE.1\", \"errorMessage\": \"busy\"}"
                .into(),
        ),
        ("page", b"<html><head><title>502 Bad Gateway</title></head></html>".into()),
        ("page with headers", b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>busy</html>".into()),
        ("XML", b"<?xml version=\"1.0\"?><a>b</a>".into()),
        (
            "another object",
            br#"{"kind": "Cluster", "metadata": {"uid": "a"}, "status": {"phase": "Available"}}"#
                .into(),
        ),
        ("empty object", b"{}".into()),
        ("two ids", br#"{"jobid": "job-00001", "jobID": "job-00002"}"#.into()),
        ("cut short", br#"{"status": {"jobID": "job-0"#.into()),
        ("array cut short", br#"[{"jobid": "job-00001"}"#.into()),
        ("empty array", b"[]".into()),
        ("bad element", br#"["job-00001", 7]"#.into()),
        ("null in an array", br#"["job-00001", null]"#.into()),
        ("nested array", br#"[["job-00001"]]"#.into()),
        ("null", b"null\n".into()),
        ("the text null", br#"{"jobid": "null"}"#.into()),
        ("quoted twice", br#"{"jobid": "\"job-00001\""}"#.into()),
        ("ids with a comma", b"\"job-00001, job-00002\"".into()),
        ("ids with a space", b"\"job-00001 job-00002\"".into()),
        ("commas between ids", b"job-00001, job-00002,job-00003\n".into()),
        ("semicolons between ids", b"job-00001;job-00002".into()),
        ("number", b"7".into()),
        ("YAML", b"kind: Cluster\nstatus:\n  jobID: job-00001\n".into()),
        ("table", b"+-------+\n| jobid | job-00001 |\n".into()),
        ("message", b"Unauthorized s3cret\n".into()),
        ("text after a reply", b"{\"jobid\": \"job-00001\"}\ntime: 0.3\n".into()),
        ("curl -v", b"* Host cce.example:443 was resolved.\n> X-Auth-Token: s3cret\n{}".into()),
        ("progress of curl", b"  % Total    % Received % Xferd\n".into()),
        ("error of curl", b"curl: (6) Could not resolve host: cce.example\n".into()),
        ("gzip", b"\x1F\x8B\x08\0\0\0\0\0".into()),
        ("binary", b"\x7FELF\x02\x01\x01\0\0".into()),
        ("unfinished quotation", b"\"job-00001".into()),
    ];
    let mut table = String::new();
    for (name, input) in rows {
        let read = read(&input);
        assert!(!read.contains("s3cret"), "{name}: {read}");
        table += &format!("{name}\n    {read}\n");
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_huge_input_is_read_in_linear_time() {
    for piece in
        ["{\"jobid\": \"job-00001\"}", "[", "{", "\"", "HTTP/1.1 200\n\n", "# a\n", "job-00001\n"]
    {
        let input = piece.repeat((8 << 20) / piece.len());
        let _ = read_submitted(input.as_bytes());
    }
}

proptest! {
    #[test]
    fn no_input_makes_it_panic_or_reveals_a_word(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", "\"", "'", "\\", ",", "null", "200", "HTTP/1.1 200 OK\r\n", "\r\n", " ", "#",
            "<", "s3cret word", "s3cret: x", "\u{feff}", "jobid", ":", "\u{e9}",
        ]), 0..12)
    ) {
        let shown = read(pieces.concat().as_bytes());
        prop_assert!(!shown.contains("s3cret") || shown.contains("is an HTML page"), "{}", shown);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        read(&bytes);
    }
}

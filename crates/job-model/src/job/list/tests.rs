//! Tests which rows a list has, and that its rows are what each of them decodes to alone.

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::Value;

use super::*;
use crate::{
    decode::DeviationKind,
    job::{Decoded, Job},
};

/// Decodes a list, and returns its rows and deviations, or the error.
fn read(body: &[u8]) -> String {
    match JobList::from_slice(body) {
        Ok(list) => {
            assert_rows_agree_with_jobs(&list);
            let rows = list.rows().map(|row| format!("{row:?}"));
            let deviations = list.deviations().iter().map(ToString::to_string);
            rows.chain(deviations).map(|line| format!("\n    {line}")).collect()
        }
        Err(error) => format!("\n    error: {error}"),
    }
}

/// Checks that the fields that are read without decoding are those of the decoded job.
fn assert_rows_agree_with_jobs(list: &JobList) {
    for row in list.rows() {
        let job = row.decode().unwrap().job;
        let spec = job.spec.as_ref();
        let text = |field: Option<&Option<String>>| field.cloned().flatten();
        assert_eq!(row.uid(), job.uid());
        assert_eq!(row.job_type(), job.job_type());
        assert_eq!(row.phase().as_ref(), job.phase());
        assert_eq!(row.cluster_uid(), text(spec.map(|spec| &spec.cluster_uid)).as_deref());
        assert_eq!(row.resource_id(), text(spec.map(|spec| &spec.resource_id)).as_deref());
        assert_eq!(row.resource_name(), text(spec.map(|spec| &spec.resource_name)).as_deref());
        let times = [row.created_at(), row.updated_at(), row.completed_at()];
        assert_eq!(times, [job.created_at(), job.updated_at(), job.completed_at()]);
    }
}

#[test]
fn lists_have_rows_and_deviations_or_are_an_error() {
    let rows: [&[u8]; 40] = [
        b"[]",
        b" [ ] ",
        b"null",
        b"\xef\xbb\xbfnull",
        b"[{}]",
        b"[null, {}, 7, [], \"a\", true, {}]",
        br#"[{"metadata": {"uid": "a"}, "status": {"status": "Failed"}}]"#,
        br#"[{"metadata": {"uid": "a"}, "spec": {"type": "CreateNode"}, "status": {"phase": "SUCCESS"}}]"#,
        br#"[{"metadata": {"uid": "a\u0062\n"}, "status": {"status": "Odd \"one\""}}]"#,
        br#"[{"metadata": {"uid": "\ud800"}, "status": {"status": ""}}]"#,
        br#"[{"metadata": {"uid": 7}, "status": "Success"}]"#,
        br#"[{"metadata": ["a", "b", "c"], "spec": null}]"#,
        br#"[["Job", "v2", {"uid": "a"}]]"#,
        br#"[{"metadata": {"uid": "a", "uid": "a"}}, {"metadata": {"uid": "b"}}]"#,
        br#"[{"metadata": {"uid": null, "uid": null}}]"#,
        br#"[{"kind": 1, "kind": 2}, {"spec": {"ownerJob": 1, "ownerJob": 2}}]"#,
        br#"[{"spec": {"secret": 1, "subjobs": [{"status": {"status": 1, "status": 2}}]}}]"#,
        br#"[{"spec": {"subjobs": [{}, 7], "subJobs": 7}}]"#,
        br#"[{"spec": {"clusteruid": "a", "clusterUID": "b", "resourceid": "c", "resourceID": null}}]"#,
        br#"[{"spec": {"extendparam": {"a": 1, "a": 2}, "resourcename": "n"}}]"#,
        br#"[{"x": 1, "x": [1.10, {"kind": 1, "kind": 2}]}]"#,
        br#"[{"metadata": {"uid": "a"}},]"#,
        br#"[{"metadata": {"uid": "a",}}, {"status": {"status": "Running",},},]"#,
        b"[{\"metadata\": {\"uid\": \"a\nb\"}, \"status\": {\"status\": \"Failed\", \"reason\": \"\xff\"}}]",
        b"\xef\xbb\xbf[{\"metadata\": {\"uid\": \"a\"}}]\n",
        b"[{\"kind\": \"a\n\", \"kind\": \"b\"}, {\"metadata\": {\"uid\": \"a\"},}]",
        b"",
        b"[",
        b"[{\"metadata\": {\"uid\": \"a\"}}, {\"metadata\": {\"ui",
        b"[{}, {\"status\": {\"secret\": no}}]",
        b"[{}] {}",
        b"[{}]]",
        b"[{} {}]",
        b"[{},,{}]",
        b"[,]",
        b"{}",
        b" {\"jobs\": []}",
        b"\"Success\"",
        b"<html>",
        b"[{}, \xff]",
    ];
    let table = rows.map(|body| format!("{}{}", body.escape_ascii(), read(body)));
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn sizes_are_limited() {
    let error = |body: &[u8]| {
        let error = JobList::from_slice(body).unwrap_err();
        (error.kind(), error.line(), error.column())
    };
    let list =
        |rows: usize, row: &str| format!("[\n{}{row}]", format!("{row},\n").repeat(rows - 1));
    assert_eq!(
        JobList::from_slice(list(JobList::MAX_ROWS, "{}").as_bytes()).unwrap().len(),
        100_000
    );
    let rows = list(JobList::MAX_ROWS + 1, "{}");
    assert_eq!(error(rows.as_bytes()), (DecodeErrorKind::TooManyRows, 100_002, 1));
    // Broken rows count, too, and after repair.
    let rows = list(JobList::MAX_ROWS, "7");
    let broken = JobList::from_slice(rows.as_bytes()).unwrap();
    assert_eq!((broken.len(), broken.broken_rows()), (0, JobList::MAX_ROWS));
    assert_eq!(broken.deviations().len(), 1_001);
    let rows = list(JobList::MAX_ROWS + 1, "7");
    assert_eq!(error(rows.as_bytes()), (DecodeErrorKind::TooManyRows, 100_002, 1));

    let blanks = " ".repeat(JobList::MAX_BYTES - 2);
    assert!(JobList::from_slice(format!("[]{blanks}").as_bytes()).unwrap().is_empty());
    let too_large = error(format!("[] {blanks}").as_bytes());
    assert_eq!(too_large, (DecodeErrorKind::TooLarge, 1, JobList::MAX_BYTES + 1));

    let row = |len: usize| format!(r#"{{"kind":"{}"}}"#, "a".repeat(len - 11));
    let rows = [row(JobList::MAX_ROW_BYTES), row(JobList::MAX_ROW_BYTES + 1), "{}".into()];
    let body = format!("[{}]", rows.join(","));
    for body in [body.clone(), format!("\u{feff}{body}")] {
        let list = JobList::from_slice(body.as_bytes()).unwrap();
        assert_eq!(list.rows().map(JobRow::index).collect::<Vec<_>>(), [0, 2]);
        let deviation = Deviation::new("[1]", DeviationKind::RowTooLarge);
        assert_eq!(list.deviations().last(), Some(&deviation));
    }
}

#[test]
fn rows_with_large_trees_are_broken() {
    let nested = |levels: usize| {
        let open = r#"{"spec":{"subjobs":["#.repeat(levels - 1);
        format!("{open}{{}}{}", "]}}".repeat(levels - 1))
    };
    let wide =
        |count: usize| format!(r#"{{"spec":{{"subjobs":[{}{{}}]}}}}"#, "{},".repeat(count - 1));
    let deep_unknown = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let rows = [
        nested(32),
        nested(33),
        nested(60),
        nested(2000),
        wide(10_000),
        wide(10_001),
        deep_unknown,
    ];
    let list = JobList::from_slice(format!("[{}]", rows.join(",")).as_bytes()).unwrap();
    assert_eq!(list.rows().map(JobRow::index).collect::<Vec<_>>(), [0, 4, 6]);
    let kinds: Vec<_> = list.deviations().iter().map(|deviation| deviation.kind).collect();
    use DeviationKind::{RowTooDeep, RowTooManySubJobs};
    assert_eq!(kinds, [RowTooDeep, RowTooDeep, RowTooDeep, RowTooManySubJobs]);
}

#[test]
fn a_list_takes_little_more_memory_than_its_body() {
    let row = include_str!("../../../fixtures/job-lists/reference-example.json");
    let row = row.trim().trim_matches(['[', ']']);
    let body = format!("[{}]", vec![row; 10_000].join(","));
    let list = JobList::from_slice(body.as_bytes()).unwrap();
    assert_eq!(list.len(), 10_000);
    assert!(list.text.capacity() <= body.len());
    assert!(size_of::<Row>() <= 100);
    // Bytes that are not UTF-8 are replaced by three bytes, and control characters escaped.
    let odd = [b"[{\"kind\":\"".to_vec(), b"\xff\x01".repeat(10_000), b"\"}]".to_vec()].concat();
    assert!(JobList::from_slice(&odd).unwrap().text.len() <= 6 * odd.len());
}

/// Generates rows: jobs, jobs with deviations, broken rows, and any JSON.
fn rows() -> impl Strategy<Value = String> {
    let name = select(vec![
        "uid",
        "creationTimestamp",
        "type",
        "clusterUID",
        "clusteruid",
        "resourceid",
        "subjobs",
        "subJobs",
        "phase",
        "status",
        "completionTime",
        "kind",
        "metadata",
        "spec",
        "x",
    ]);
    let leaf = prop_oneof![
        select(vec![
            "null",
            "7",
            "\"\"",
            "\"a\"",
            "\"\\u0061\\ud83d\\ude00\"",
            "\"\\ud800\"",
            "\"success\"",
            "\"Running\"",
            "\"2025-09-02 10:23:38.987955 +0000 UTC\"",
            "{}",
            "[]",
            "1.10",
        ])
        .prop_map(String::from),
        "[a-z]{0,3}".prop_map(|text| Value::from(text).to_string()),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        let member = (name.clone(), inner.clone());
        prop_oneof![
            6 => vec(member, 0..5).prop_map(|members| {
                let members = members.iter().map(|(name, value)| format!("\"{name}\": {value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
            }),
            1 => vec(inner, 0..3).prop_map(|elements| format!("[{}]", elements.join(","))),
        ]
    })
}

/// Returns the index, the job and its deviations of each row.
fn decoded_rows(list: &JobList) -> Vec<(usize, Decoded)> {
    list.rows().map(|row| (row.index(), row.decode().unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn rows_are_what_each_decodes_to_alone(rows in vec(rows(), 0..6), blanks in any::<bool>()) {
        let separator = if blanks { "\n ,\t" } else { "," };
        let body = format!("[{}]", rows.join(separator));
        let list = JobList::from_slice(body.as_bytes()).unwrap();
        assert_rows_agree_with_jobs(&list);
        let alone = rows.iter().map(|row| Decoded::from_slice(row.as_bytes())).enumerate();
        let (good, broken): (Vec<_>, Vec<_>) = alone.partition(|(_, row)| row.is_ok());
        let good: Vec<_> = good.into_iter().map(|(index, row)| (index, row.unwrap())).collect();
        prop_assert_eq!(decoded_rows(&list), good);
        let broken: Vec<_> = broken.into_iter().map(|(index, row)| {
            let error = row.unwrap_err();
            let dot = if error.path().is_empty() { "" } else { "." };
            format!("[{index}]{dot}{}", error.path())
        }).collect();
        let deviations: Vec<_> = list.deviations().iter().map(|of| of.path.clone()).collect();
        prop_assert_eq!(deviations, broken);
        for row in list.rows() {
            prop_assert_eq!(row.as_str(), &rows[row.index()]);
        }
    }

    /// A byte order mark makes the fast pass fail.
    #[test]
    fn repaired_lists_have_the_same_rows(rows in vec(rows(), 1..6)) {
        let plain = JobList::from_slice(format!("[{}]", rows.join(",")).as_bytes()).unwrap();
        for body in [
            format!("\u{feff}[{}]", rows.join(",")),
            format!("[{},]", rows.join(",")),
        ] {
            let repaired = JobList::from_slice(body.as_bytes()).unwrap();
            prop_assert_eq!(decoded_rows(&repaired), decoded_rows(&plain));
            prop_assert_eq!(&repaired.deviations()[1..], plain.deviations());
        }
    }

    #[test]
    fn lists_are_encoded_without_loss(rows in vec(rows(), 0..6)) {
        let list = JobList::from_slice(format!("[{}]", rows.join(",")).as_bytes()).unwrap();
        let jobs: Vec<Job> = decoded_rows(&list).into_iter().map(|(_, row)| row.job).collect();
        let encoded = serde_json::to_string(&jobs).unwrap();
        let again = JobList::from_slice(encoded.as_bytes()).unwrap();
        let again: Vec<Job> = decoded_rows(&again).into_iter().map(|(_, row)| row.job).collect();
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), encoded);
    }

    #[test]
    fn no_body_makes_the_decoder_panic(
        body in prop_oneof![
            vec(any::<u8>(), 0..64),
            "\u{feff}?[\\[\\]{},:\" a\n1]{0,24}".prop_map(String::into_bytes),
            (vec(rows(), 0..4), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(rows, at, byte)| {
                let mut body = format!("[{}]", rows.join(",")).into_bytes();
                let at = at.index(body.len());
                body[at] = byte;
                body
            }),
        ],
    ) {
        if let Ok(list) = JobList::from_slice(&body) {
            assert_rows_agree_with_jobs(&list);
        }
    }
}

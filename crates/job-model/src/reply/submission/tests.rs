//! Tests which job id is read from the reply of a call that created a job.

use alloc::{
    format,
    string::{String, ToString},
};
use core::error::Error;

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn submission_replies_yield_a_job_id_or_an_error() {
    let long = json!({"jobid": "a".repeat(200)}).to_string();
    let rows = [
        r#"{"kind": "Cluster", "metadata": {"uid": "c"}, "status": {"jobID": "a"}}"#,
        r#"{"jobid": "a"}"#,
        r#"{"jobID": "a"}"#,
        r#"{"kind": "NodePool", "status": {"phase": "", "jobId": "a"}}"#,
        r#"{"metadata": {"annotations": {"jobid": "a", "resourceJobId": "b"}}}"#,
        r#"{"metadata": {"annotations": {"jobid": "a"}}, "status": {"jobID": "a"}}"#,
        r#"{"jobID": "b", "status": {"jobID": "a"}}"#,
        r#"{"jobid": "a", "jobid": "b"}"#,
        r#"{"jobid": "a", "jobid": "a"}"#,
        r#"{"status": {"jobID": ""}, "jobid": null, "jobID": "a"}"#,
        r#"{"status": {"jobID": ""}}"#,
        r#"{"status": null, "metadata": [], "JobID": "a", "uid": "b"}"#,
        r#"{"job_id": "a"}"#,
        r#"{"Status": {"JobId": "a"}, "job_id": ""}"#,
        r#"{"job_id": "a", "jobID": "b"}"#,
        r#"{"job_id": 7}"#,
        r#"{"kind": "Job", "metadata": {"uid": "a"}, "status": {"phase": "Running"}}"#,
        r#"{"kind": "Job", "metadata": {"uid": "a/b"}}"#,
        r#"{"kind": "Job", "metadata": {"uid": ""}}"#,
        r#"{"kind": "Node", "metadata": {"uid": "a"}}"#,
        r#"{"kind": "Node", "metadata": {"uid": "n"}, "order_id": "CS1", "status": {"jobID": ""}}"#,
        r#"{"status": {"orderID": "CS1"}}"#,
        r#"{"order_id": "CS1", "jobid": "a"}"#,
        r#"{"order_id": null}"#,
        r#"{"jobid": 7}"#,
        r#"{"Status": {"job_ID": 7}}"#,
        r#"{"metadata": {"annotations": {"jobid": "a/b"}}}"#,
        r#"{"jobid": "../clusters"}"#,
        &long,
        r#"{"status": {"jobID": "a"}, "jobid": 7}"#,
        r#"{"status": {"jobID": []}, "jobid": "x/y", "jobID": "a"}"#,
        r#"{"jobid": "a"#,
        r#"{"jobid": "\ud800"}"#,
        r#"{"jobid": "a",}"#,
        "\u{feff}{\"jobid\": \"a\"}",
        r#"["a"]"#,
        r#""a""#,
        "",
        "<html></html>",
    ];
    let read = |reply: &str| match JobId::from_submission(reply.as_bytes()) {
        Ok(id) => format!("job {id}"),
        Err(error) => match error.source() {
            Some(source) => format!("error: {error}: {source}"),
            None => format!("error: {error}"),
        },
    };
    let shown = |reply: &str| reply.chars().take(80).collect::<String>();
    let table = rows.map(|reply| format!("{}\n    {}\n", shown(reply), read(reply)));
    insta::assert_snapshot!(table.concat());
}

proptest! {
    #[test]
    fn never_panics_or_reveals_the_reply(reply in r#"\{("(status|jobid|jobID)":("s3cret/"|\{|null),?){0,4}\}{0,2}"#) {
        if let Err(error) = JobId::from_submission(reply.as_bytes()) {
            prop_assert!(!error.to_string().contains("s3cret"));
        }
    }

    #[test]
    fn every_id_field_spelling_is_read(id in "[a-z0-9-]{1,40}") {
        for path in PATHS.into_iter().take(JOB_ID_PATH_COUNT) {
            let reply = path.rsplit('.').fold(json!(id), |value, name| json!({ name: value }));
            let read = JobId::from_submission(reply.to_string().as_bytes());
            prop_assert_eq!(read.map(|read| read.to_string()), Ok(id.clone()), "{}", path);
        }
    }
}

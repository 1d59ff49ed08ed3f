//! A notification: its id, and its body of a limited size. Performs no I/O.

use std::{cmp::Reverse, collections::BTreeMap};

use job_model::{JobId, ProjectId};
use serde_json::value::{RawValue, to_raw_value};

/// A message that reports how a wait has ended.
///
/// # Examples
///
/// ```
/// use job_notify::Notification;
///
/// let (project, job) = ("10d0b3a1".parse()?, "354331b2c".parse()?);
/// let notification = Notification::new(&project, &job, "succeeded", 7, r#"{"v":1}"#);
/// assert_eq!(notification.id(), "10d0b3a1:354331b2c:succeeded:7");
/// assert_eq!(notification.body(), r#"{"v":1}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    id: String,
    outcome: String,
    body: String,
}

impl Notification {
    /// The maximum size of a body, in bytes: 256 KiB.
    pub const MAX_BODY_LEN: usize = 256 << 10;

    /// Creates a notification.
    ///
    /// `outcome` is how the wait ended, in one word, such as `succeeded` or `deadline_exceeded`.
    /// `wait_number` is a number that no other wait for the same job has. `body` is a JSON object,
    /// usually a `job_poller::Report`.
    ///
    /// If the body is longer than [`MAX_BODY_LEN`](Self::MAX_BODY_LEN), its field `document` is
    /// replaced by null, and then the largest other fields, until the body fits. The field `omitted`
    /// lists their names. A longer body that is not a JSON object is replaced by
    /// `{"omitted":["body"]}`.
    #[must_use]
    pub fn new(
        project: &ProjectId,
        job: &JobId,
        outcome: &str,
        wait_number: u64,
        body: impl Into<String>,
    ) -> Self {
        Self {
            id: format!("{}:{}:{outcome}:{wait_number}", project.as_str(), job.as_str()),
            outcome: outcome.into(),
            body: shorten(body.into()),
        }
    }

    /// Returns the idempotency key of the notification, `PROJECT:JOB:OUTCOME:NUMBER`.
    ///
    /// It is the same in each delivery of the notification. A crash between a delivery and its
    /// record repeats the delivery. A receiver can ignore an id that it has seen before. Two waits
    /// for one job have different ids.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns how the wait ended, in one word.
    #[must_use]
    pub fn outcome(&self) -> &str {
        &self.outcome
    }

    /// Returns the body, a JSON object of at most 256 KiB.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }
}

/// The field with the job as last read, which is by far the largest one of a report.
const DOCUMENT_FIELD: &str = "document";

/// The field with the names of the fields that were replaced by null.
const OMITTED_FIELD: &str = "omitted";

/// The replacement of a body that is too long and not a JSON object.
const OMITTED_BODY: &str = r#"{"omitted":["body"]}"#;

/// Replaces fields of a body by null, until it fits into the limit.
fn shorten(body: String) -> String {
    if body.len() <= Notification::MAX_BODY_LEN {
        return body;
    }
    short_object(&body)
        .filter(|short| short.len() <= Notification::MAX_BODY_LEN)
        .unwrap_or_else(|| OMITTED_BODY.into())
}

/// Returns the body without its largest fields, or `None` if it is not a JSON object.
fn short_object(body: &str) -> Option<String> {
    let mut fields: BTreeMap<String, &RawValue> = serde_json::from_str(body).ok()?;
    let mut sizes: Vec<(String, usize)> =
        fields.iter().map(|(name, value)| (name.clone(), value.get().len())).collect();
    sizes.sort_by_key(|(name, size)| (name != DOCUMENT_FIELD, Reverse(*size)));
    let mut len = body.len() + OMITTED_FIELD.len() + r#","":[]"#.len();
    let mut omitted = Vec::new();
    for (name, size) in sizes {
        if len <= Notification::MAX_BODY_LEN {
            break;
        }
        // Null takes the place of the value, and the list has the name, in which each character may
        // be escaped.
        len += "null".len() + name.len() * 6 + r#""","#.len();
        len = len.saturating_sub(size);
        fields.insert(name.clone(), RawValue::NULL);
        omitted.push(name);
    }
    let omitted = to_raw_value(&omitted).ok()?;
    fields.insert(OMITTED_FIELD.into(), &omitted);
    serde_json::to_string(&fields).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn notification(outcome: &str, wait_number: u64, body: &str) -> Notification {
        let (project, job) = ("p1".parse().unwrap(), "354331b2c-229a".parse().unwrap());
        Notification::new(&project, &job, outcome, wait_number, body)
    }

    #[test]
    fn two_waits_for_one_job_have_two_ids() {
        let rows = [
            ("succeeded", 7, "p1:354331b2c-229a:succeeded:7"),
            ("deadline_exceeded", 7, "p1:354331b2c-229a:deadline_exceeded:7"),
            ("deadline_exceeded", 8, "p1:354331b2c-229a:deadline_exceeded:8"),
        ];
        for (outcome, wait_number, expected) in rows {
            assert_eq!(notification(outcome, wait_number, "{}").id(), expected);
        }
    }

    #[test]
    fn a_body_above_256_kib_is_sent_without_its_largest_fields() {
        let text = |len: usize| "x".repeat(len);
        // The body, and the fields that are left out.
        let rows: [(Value, &[&str]); 6] = [
            (json!({"v": 1, "outcome": "failed", "document": text(200_000)}), &[]),
            (json!({"v": 1, "outcome": "failed", "document": text(7 << 20)}), &["document"]),
            // The document is left out first, even if another field is larger.
            (json!({"v": 1, "document": text(100_000), "objects": [text(200_000)]}), &["document"]),
            (
                json!({"v": 1, "document": text(9), "objects": [text(300_000)], "error": text(90)}),
                &["document", "objects"],
            ),
            (json!({"a": text(200_000), "b": text(190_000), "c": text(150_000)}), &["a", "b"]),
            (json!({"v": 1, "a\n\"": text(300_000)}), &["a\n\""]),
        ];
        for (body, omitted) in rows {
            let sent = notification("failed", 7, &body.to_string());
            assert!(sent.body().len() <= Notification::MAX_BODY_LEN);
            let sent: Value = serde_json::from_str(sent.body()).unwrap();
            let mut expected = body;
            for name in omitted {
                expected[name] = Value::Null;
            }
            if !omitted.is_empty() {
                expected["omitted"] = json!(omitted);
            }
            assert_eq!(sent, expected);
        }
    }

    #[test]
    fn the_limit_is_exact_and_short_bodies_are_unchanged() {
        let body = |len: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(len - 8));
        let longest = body(Notification::MAX_BODY_LEN);
        assert_eq!(notification("failed", 7, &longest).body(), longest);
        let longer = body(Notification::MAX_BODY_LEN + 1);
        assert_eq!(notification("failed", 7, &longer).body(), r#"{"a":null,"omitted":["a"]}"#);
        assert_eq!(notification("failed", 7, "no JSON").body(), "no JSON");
    }

    #[test]
    fn a_long_body_without_fields_that_can_be_left_out_is_replaced() {
        let many: Vec<String> = (0..60_000).map(|number| format!(r#""{number}":1"#)).collect();
        let rows = ["x".repeat(300_000), format!("{{{}}}", many.join(","))];
        for body in rows {
            assert_eq!(notification("failed", 7, &body).body(), OMITTED_BODY);
        }
    }
}

//! `--print-id`: prints the ids before any request, so that they are known even if the command is
//! killed.

use jiff::Timestamp;
use job_model::{JobId, object::ObjectId};
use serde::Serialize;

use super::jobs::Start;
use crate::terminal::{
    json::{line_time, to_single_line},
    printer,
};

/// The line of a wait.
#[derive(Serialize)]
struct Waiting<'a> {
    v: u8,
    event: &'static str,
    time: String,
    /// `None` if the wait is for a cluster or a node.
    job: Option<&'a JobId>,
    /// The id of the cluster or node that the job makes or deletes, or that is waited for.
    resource_id: Option<String>,
}

/// Prints one line for each wait. `now` is the wall-clock time. Call it before the printing thread is
/// started, so that the lines are written when this returns.
pub(crate) fn print(starts: &[Start], now: Timestamp) {
    let lines = starts.iter().map(|start| line(start, now) + "\n");
    printer::print_stdout(lines.collect::<String>().into_bytes());
}

fn line(start: &Start, now: Timestamp) -> String {
    let (job, resource_id) = match start {
        Start::New(job, resource_id) => (Some(job), resource_id.clone()),
        Start::Object(object) => (None, Some(object_id(object))),
        Start::Resumed(checkpoint) => {
            let machine = checkpoint.machine();
            let object = machine.objects().next().map(|object| object_id(&object.id));
            match machine.has_no_job() {
                true => (None, object),
                false => {
                    let spec = checkpoint.job().and_then(|job| job.spec);
                    let named = spec.and_then(|spec| spec.resource_id.or(spec.cluster_uid));
                    (Some(checkpoint.job_id()), object.or(named))
                }
            }
        }
    };
    let line = Waiting { v: 1, event: "waiting", time: line_time(now), job, resource_id };
    // Serialization fails only for maps with keys that are not strings, and there are none.
    to_single_line(&serde_json::to_string(&line).unwrap_or_default())
}

fn object_id(id: &ObjectId) -> String {
    id.node().map_or_else(|| id.cluster().to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use job_poller::{Checkpoint, WaitPolicy, machine::Machine};
    use job_transport::JobSnapshot;

    use super::*;

    #[test]
    fn each_wait_has_a_line_with_its_ids() {
        let job = |id: &str| -> JobId { id.parse().unwrap() };
        let (cluster, node) = ("c".parse().unwrap(), "n".parse().unwrap());
        let node = ObjectId::Node { cluster, node };
        let resumed = |machine, job: Option<&str>| {
            let snapshot = job.map(|job| JobSnapshot::from_slice(job.as_bytes()).unwrap());
            let checkpoint = Checkpoint::new(machine, Duration::ZERO).with_snapshot(snapshot);
            Start::Resumed(Box::new(checkpoint))
        };
        let machine = || Machine::new(job("j"), WaitPolicy::new());
        let named = r#"{"spec": {"clusterUID": "c"}}"#;
        for (start, job, resource) in [
            (Start::New(job("j"), None), r#""j""#, "null"),
            (Start::New(job("j"), Some("c".into())), r#""j""#, r#""c""#),
            (Start::Object(node.clone()), "null", r#""n""#),
            (resumed(machine(), None), r#""j""#, "null"),
            (resumed(machine(), Some(named)), r#""j""#, r#""c""#),
            (resumed(Machine::for_object(node, WaitPolicy::new()), None), "null", r#""n""#),
        ] {
            let ids = format!(r#""job":{job},"resource_id":{resource}"#);
            let time = r#""time":"1970-01-01T00:00:00.000Z""#;
            let expected = format!(r#"{{"v":1,"event":"waiting",{time},{ids}}}"#);
            assert_eq!(line(&start, Timestamp::UNIX_EPOCH), expected);
        }
    }
}

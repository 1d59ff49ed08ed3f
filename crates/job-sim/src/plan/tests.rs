//! The simulated job's course, and its likeness to the reference page's example.

use std::collections::BTreeSet;

use job_model::Decoded;
use serde_json::Value;

use super::*;

const REFERENCE_EXAMPLE: &[u8] = include_bytes!("../../../../fixtures/jobs/reference-example.json");

/// One line a moment: the job's phase, then each sub-job's with its reason.
fn course(plan: &Plan) -> String {
    let moments = (0..=11).map(|half| Duration::from_millis(500 * half));
    let line = |moment: Duration| {
        let job = plan.job_at(moment);
        let nodes = job.walk().map(|node| {
            let phase = node.job.phase().expect("the simulator gives a phase");
            let reason = node.job.reason().map_or(String::new(), |reason| format!(" ({reason})"));
            format!("{} {phase}{reason}", node.job.label())
        });
        format!("{:>4} ms: {}\n", moment.as_millis(), nodes.collect::<Vec<_>>().join(", "))
    };
    moments.map(line).collect()
}

#[test]
fn a_cluster_is_created() {
    insta::assert_snapshot!(course(&Plan::create_cluster()));
}

#[test]
fn a_cluster_fails() {
    insta::assert_snapshot!(course(&Plan::create_cluster().failing("no such flavor")));
}

#[test]
fn body_while_the_last_step_runs() {
    let job = Plan::create_cluster().job_at(Duration::from_secs(3));
    insta::assert_snapshot!(serde_json::to_string_pretty(&job).unwrap());
}

/// Every path of a body with its value's JSON type, and the value itself where it is no id or time.
fn shape(path: &str, value: &Value, lines: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                shape(&format!("{path}.{name}"), value, lines);
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                shape(&format!("{path}[{index}]"), value, lines);
            }
        }
        Value::String(text) if path.contains("metadata") => {
            lines.insert(format!("{path}: text of {} bytes", text.len()));
        }
        other => {
            lines.insert(format!("{path}: {other}"));
        }
    }
}

#[test]
fn running_body_is_the_reference_examples_shape() {
    let shape_of = |job: &Job| {
        let mut lines = BTreeSet::new();
        shape("", &serde_json::to_value(job).unwrap(), &mut lines);
        lines
    };
    // After the last step, before the job's own end: there the reference page's example stands.
    let simulated = Plan::create_cluster().job_at(Duration::from_millis(4600));
    let Decoded { job: printed, .. } = Decoded::from_slice(REFERENCE_EXAMPLE).unwrap();
    assert_eq!(shape_of(&simulated), shape_of(&printed));
}

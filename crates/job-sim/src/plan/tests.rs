//! Tests the plans, and compares a simulated job with the reference page's example.

use std::collections::BTreeSet;

use job_model::Decoded;
use serde_json::Value;

use super::*;

const REFERENCE_EXAMPLE: &[u8] = include_bytes!("../../fixtures/jobs/reference-example.json");

/// Returns one line for each moment: the job's phase, then each sub-job's with its reason.
fn timeline(plan: &Plan) -> String {
    let moments = (0..=11).map(|half| Duration::from_millis(500 * half));
    let line = |moment: Duration| {
        let job = plan.job_at(moment);
        let nodes = job.walk().map(|node| {
            let phase = node.job.phase().expect("the simulator sets a phase");
            let reason = node.job.reason().map_or(String::new(), |reason| format!(" ({reason})"));
            format!("{} {phase}{reason}", node.job.label())
        });
        format!("{:>4} ms: {}\n", moment.as_millis(), nodes.collect::<Vec<_>>().join(", "))
    };
    moments.map(line).collect()
}

#[test]
fn a_cluster_is_created() {
    insta::assert_snapshot!(timeline(&Plan::create_cluster()));
}

#[test]
fn a_cluster_fails() {
    insta::assert_snapshot!(timeline(&Plan::create_cluster().with_failure("no such flavor")));
}

/// Shows a plan of three levels completely, and with one visible level.
#[test]
fn nodes_are_added() {
    let plan = Plan::scale_up_cluster(2);
    let shallow = plan.clone().visible_depth(1);
    insta::assert_snapshot!(format!("{}\none level\n{}", timeline(&plan), timeline(&shallow)));
}

#[test]
fn the_list_shows_a_row_with_the_names_of_api_v2() {
    let plan = Plan::create_cluster().with_failure("no such flavor");
    let node = Plan::delete_node().with_failure("the node is in use").with_duration(SEVEN_MINUTES);
    let rows = [(&plan, 0), (&plan, 3), (&plan, 9), (&node, 500)].map(|(plan, seconds)| {
        let row = plan.list_row_at(EXAMPLE_CREATION_TIME, Duration::from_secs(seconds));
        serde_json::to_string_pretty(&row).unwrap()
    });
    insta::assert_snapshot!(rows.join("\n"));
}

const SEVEN_MINUTES: Duration = Duration::from_secs(420);

#[test]
fn plans_take_the_given_duration() {
    for plan in [Plan::create_cluster(), Plan::scale_up_cluster(3), Plan::delete_cluster()] {
        for millis in [0, 1, 1_234, 420_000, 86_400_000] {
            let duration = Duration::from_millis(millis);
            let scaled = plan.clone().with_duration(duration).duration();
            let difference = scaled.abs_diff(duration);
            assert!(difference < Duration::from_micros(1), "{duration:?}: {scaled:?}");
        }
        let forever = plan.with_duration(Duration::MAX);
        assert!(forever.duration() > Duration::from_secs(1 << 50));
    }
}

#[test]
fn a_nested_node_sub_job_fails() {
    insta::assert_snapshot!(timeline(&Plan::scale_up_cluster(2).with_failure("no such image")));
}

#[test]
fn a_cluster_and_a_node_are_deleted() {
    let courses = [Plan::delete_cluster(), Plan::delete_node()];
    insta::assert_snapshot!(courses.map(|plan| timeline(&plan)).join("\n"));
}

#[test]
fn no_step_starts_after_a_failed_step() {
    let mut plan = Plan::create_cluster();
    plan.root.steps[0].fail("no key".into());
    insta::assert_snapshot!(timeline(&plan));
}

#[test]
fn ids_are_unique() {
    let plans = (0..3).flat_map(|number| {
        [Plan::create_cluster(), Plan::scale_up_cluster(3)].map(|plan| plan.number(number))
    });
    for plan in plans {
        let ids: BTreeSet<String> = plan.ids().collect();
        assert_eq!(ids.len(), plan.root.count() as usize);
        let seen = plan.job_at(Duration::from_secs(9));
        assert!(seen.walk().all(|node| ids.contains(node.job.uid().unwrap())));
    }
}

#[test]
fn random_durations_are_spread_around_the_planned_ones() {
    let took = |seed| Plan::create_cluster().with_random_durations(seed).duration();
    assert_eq!(took(7), took(7));
    let mut took: Vec<Duration> = (0..1_000).map(took).collect();
    took.sort_unstable();
    let (middle, usual) = (took[500], took[160]..took[840]);
    assert!((4.5..5.7).contains(&middle.as_secs_f64()), "{middle:?}");
    assert!(usual.start > Duration::from_millis(3_500), "{usual:?}");
    assert!(usual.end < Duration::from_millis(7_500), "{usual:?}");
}

#[test]
fn extreme_durations_do_not_overflow() {
    let plan = Plan::create_cluster()
        .slower(u32::MAX)
        .slower(u32::MAX)
        .slower(u32::MAX)
        .with_random_durations(1);
    assert_eq!(plan.job_at(Duration::MAX).phase(), Some(&Phase::Success));
    assert_eq!(Plan::delete_node().faster(0).duration(), Duration::from_millis(600));
}

#[test]
fn body_while_the_last_step_runs() {
    let job = Plan::create_cluster().job_at(Duration::from_secs(3));
    insta::assert_snapshot!(serde_json::to_string_pretty(&job).unwrap());
}

/// Collects the paths of a body with their values. Ids and timestamps are replaced by their
/// lengths.
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
            lines.insert(format!("{path}: string of {} bytes", text.len()));
        }
        other => {
            lines.insert(format!("{path}: {other}"));
        }
    }
}

#[test]
fn running_body_has_the_shape_of_the_reference_example() {
    let shape_of = |job: &Job| {
        let mut lines = BTreeSet::new();
        shape("", &serde_json::to_value(job).unwrap(), &mut lines);
        lines
    };
    // The reference page's example shows the moment after the last step and before the job's end.
    let simulated = Plan::create_cluster().job_at(Duration::from_millis(4600));
    let Decoded { job: printed, .. } = Decoded::from_slice(REFERENCE_EXAMPLE).unwrap();
    assert_eq!(shape_of(&simulated), shape_of(&printed));
}

//! Tests of the events for pairs of readings.

use job_transport::JobDigest;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Parses the `uid:phase` of a job, followed by those of its sub-jobs. An empty uid is left out.
fn job(line: &str) -> Job {
    let mut jobs = line.split(' ').map(|job| {
        let (uid, phase) = job.split_once(':').expect("uid:phase");
        let metadata = if uid.is_empty() { json!({}) } else { json!({"uid": uid}) };
        json!({"metadata": metadata, "status": {"phase": phase}})
    });
    let mut root = jobs.next().unwrap();
    root["spec"] = json!({"subJobs": jobs.collect::<Value>()});
    Job::from_slice(root.to_string().as_bytes()).unwrap()
}

#[test]
fn each_change_emits_one_event() {
    let rows = [
        ("the first reading", None, "j:Running a:Running"),
        ("nothing", Some("j:Running a:Running"), "j:Running a:Running"),
        ("the job", Some("j:Initializing"), "j:Running"),
        ("back", Some("j:Running"), "j:Initializing"),
        ("unknown", Some("j:Running"), "j:Upgrading"),
        ("known again", Some("j:Upgrading"), "j:Initializing"),
        ("a sub-job", Some("j:Running a:Running b:Running"), "j:Running a:Running b:Success"),
        (
            "a new sub-job before the old one",
            Some("j:Running a:Running"),
            "j:Running b:Running a:Running",
        ),
        ("a sub-job disappears", Some("j:Running a:Running b:Failed"), "j:Running b:Failed"),
        ("phases become absent", Some("j:Running a:Running"), "j: a:"),
        ("only the job's uid", Some("j:Running"), "k:Running"),
        ("a sub-job with the job's uid", Some("j:Running j:Success"), "j:Running j:Success"),
        (
            "two sub-jobs with one uid",
            Some("j:Running a:Running a:Success"),
            "j:Running a:Success a:Success",
        ),
        ("no uids", Some(":Running :Running :Success"), ":Running :Success :Success"),
    ];
    let lines = rows.map(|(name, before, now)| {
        let before = before.map(job);
        let events = changes(before.as_ref(), &job(now)).into_iter().map(|event| match event {
            Event::Phase { label, from, to, change, .. } => {
                format!("    {label} {from:?} -> {to:?}, {change:?}\n")
            }
            Event::SubJob { path, label, from, to, .. } => {
                format!("    {path} {label} {from:?} -> {to:?}\n")
            }
            Event::Progress(progress) => {
                format!("    {} of {} done\n", progress.success, progress.total)
            }
            other => panic!("{other:?}"),
        });
        format!("{name}\n{}", events.collect::<String>())
    });
    insta::assert_snapshot!(lines.concat());
}

#[test]
fn events_have_the_names_of_resources_or_short_uids() {
    let named = json!({"metadata": {"uid": "2f4b5d6e-229a"}, "spec": {"type": "CreateNode"}});
    let mut pool = named.clone();
    pool["spec"]["resourceName"] = json!("pool-7");
    let mut root = named.clone();
    root["spec"]["subJobs"] = json!([pool, named, {"metadata": {"uid": "3f4b5d6e-229a"}}]);
    let shown = |root: &Value| {
        let job = Job::from_slice(root.to_string().as_bytes()).unwrap();
        changes(None, &job).iter().map(|event| format!("{event}\n")).collect::<String>()
    };
    let steps = "  CreateNode pool-7: no phase
  CreateNode 2f4b5d6e: no phase
  3f4b5d6e-229a: no phase
0 of 3 steps done, 0 running
";
    let unknown = "no phase (not a known phase; still waiting)";
    assert_eq!(shown(&root), format!("CreateNode: {unknown}\n{steps}"));
    root["spec"]["resourceName"] = json!("prod");
    assert_eq!(shown(&root), format!("CreateNode prod: {unknown}\n{steps}"));
}

/// Returns lines for [`job`] with few ids and phases, so that equal trees are frequent.
fn any_line() -> impl Strategy<Value = String> {
    let node =
        (prop::sample::select(vec!["", "a", "b"]), prop::sample::select(vec!["", "Running"]));
    let nodes = prop::collection::vec(node, 1..4);
    nodes.prop_map(|nodes| {
        let nodes = nodes.iter().map(|(uid, phase)| format!("{uid}:{phase}"));
        nodes.collect::<Vec<_>>().join(" ")
    })
}

proptest! {
    /// The machine compares two jobs only if their trees differ.
    #[test]
    fn jobs_with_the_same_tree_have_no_changes(before in any_line(), now in any_line()) {
        let (before, now) = (job(&before), job(&now));
        if JobDigest::new(&before).has_same_tree(&JobDigest::new(&now)) {
            prop_assert_eq!(changes(Some(&before), &now), []);
        }
    }
}

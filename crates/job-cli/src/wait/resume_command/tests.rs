//! Tests of the command lines that continue waits.

use std::time::Duration;

use clap::CommandFactory;
use job_poller::{WaitPolicy, machine::Machine};

use super::*;
use crate::arguments::Arguments;

/// Returns the command line that continues `waits` after `line` was run.
fn next_command_for(line: &str, waits: &NextWaits<'_>, limit: NextLimit) -> String {
    let mut command = Arguments::command();
    let words = shell_words::split(line).unwrap();
    let matches = command.try_get_matches_from_mut(words).unwrap();
    let (name, matches) = matches.subcommand().unwrap();
    let flags = Flags::from_matches(command.find_subcommand(name).unwrap(), matches);
    let line = flags.next_command(waits, limit);
    // The printed command line can be run.
    let words = shell_words::split(&line).unwrap();
    Arguments::command().try_get_matches_from(words).unwrap();
    line
}

fn jobs(ids: &[&str]) -> NextWaits<'static> {
    let jobs = ids.iter().map(|id| id.parse().unwrap()).collect();
    NextWaits { jobs, ..NextWaits::default() }
}

#[test]
fn the_next_command_keeps_the_relevant_flags() {
    let minute = NextLimit::Timeout(Some(Duration::from_secs(60)));
    let deadline = NextLimit::Deadline("2027-01-15T08:00:00Z".parse().unwrap());
    let with_state = |waits| NextWaits { state: Some("c3RhdGU".into()), ..waits };
    let node =
        |node: &str| ObjectId::Node { cluster: "c".parse().unwrap(), node: node.parse().unwrap() };
    let objects = |objects| NextWaits { objects, ..NextWaits::default() };
    let file = NextWaits { file: Some(Path::new("my file")), ..jobs(&["a"]) };
    let rows = [
        ("cce-job wait a b", jobs(&["b"]), NextLimit::Default, "cce-job wait b"),
        (
            "cce-job -vv wait --region eu-de --cloud otc --from r.json --fail-fast --timeout 1m -o jsonl",
            jobs(&["c"]),
            minute,
            "cce-job wait --fail-fast --region eu-de --cloud otc --output jsonl --verbose --verbose \
             --timeout 1m c",
        ),
        (
            "cce-job wait --any --checkpoint 'my file' --ca-file 'a b.pem' a --color=never",
            file,
            NextLimit::Timeout(None),
            "cce-job wait --any --ca-file 'a b.pem' --color never --timeout none --checkpoint 'my file'",
        ),
        ("cce-job wait -- -a b", jobs(&["-a", "b"]), NextLimit::Default, "cce-job wait -- -a b"),
        (
            "cce-job wait --at-most 9m --print-id --timeout 2h --until ready --from r.json",
            with_state(jobs(&["a", "b"])),
            deadline,
            "cce-job wait --until ready --at-most 9m --deadline 2027-01-15T08:00:00Z --state c3RhdGU a b",
        ),
        (
            "cce-job wait --at-most 9m --deadline 2027-01-15T08:00:00Z --state x --cluster c --node m \
             --node n",
            with_state(objects(vec![node("n")])),
            deadline,
            "cce-job wait --at-most 9m --deadline 2027-01-15T08:00:00Z --state c3RhdGU --cluster c \
             --node n",
        ),
        (
            "cce-job wait --cluster c --until gone",
            objects(vec![ObjectId::Cluster("c".parse().unwrap())]),
            NextLimit::Default,
            "cce-job wait --until gone --cluster c",
        ),
    ];
    for (line, waits, limit, expected) in rows {
        assert_eq!(next_command_for(line, &waits, limit), expected, "{line}");
    }
}

#[test]
fn waits_for_objects_are_selected_by_flags() {
    let policy = WaitPolicy::new().until_ready();
    let checkpoints = [
        Machine::new("a".parse().unwrap(), policy),
        Machine::for_object(ObjectId::Cluster("c".parse().unwrap()), policy),
    ];
    let checkpoints = checkpoints.map(|machine| Checkpoint::new(machine, Duration::ZERO));
    let waits = NextWaits::from_checkpoints(&checkpoints, None);
    assert_eq!(waits.jobs, ["a".parse().unwrap()]);
    assert_eq!(waits.objects, [ObjectId::Cluster("c".parse().unwrap())]);
}

//! Tests of the command lines that resume a wait.

use std::time::Duration;

use clap::CommandFactory;

use super::*;
use crate::arguments::Arguments;

/// Returns the command line that resumes `jobs` after `line` was run.
fn resume_command_for(
    line: &str,
    jobs: &[&str],
    timeout: Option<TimeoutArg>,
    checkpoint: Option<&str>,
) -> Option<String> {
    let mut command = Arguments::command();
    let words = shell_words::split(line).unwrap();
    let matches = command.try_get_matches_from_mut(words).unwrap();
    let (name, matches) = matches.subcommand().unwrap();
    let flags = Flags::from_matches(command.find_subcommand(name).unwrap(), matches);
    let jobs: Vec<JobId> = jobs.iter().map(|id| id.parse().unwrap()).collect();
    let line = flags.resume_command(&jobs, timeout, checkpoint.map(Path::new))?;
    // The printed command line can be run.
    let words = shell_words::split(&line).unwrap();
    Arguments::command().try_get_matches_from(words).unwrap();
    Some(line)
}

#[test]
fn resume_lines_keep_the_relevant_flags() {
    let minute = Some(TimeoutArg(Some(Duration::from_secs(60))));
    let rows = [
        ("cce-job wait a b", &["b"][..], None, None, "cce-job wait b"),
        (
            "cce-job -vv wait --region eu-de --cloud otc --from r.json --fail-fast --timeout 1m -o jsonl",
            &["c"],
            minute,
            None,
            "cce-job wait --fail-fast --region eu-de --cloud otc --output jsonl --verbose --verbose \
             --timeout 1m c",
        ),
        (
            "cce-job wait --any --checkpoint 'my file' --ca-file 'a b.pem' a --color=never",
            &["a"],
            Some(TimeoutArg(None)),
            Some("my file"),
            "cce-job wait --any --ca-file 'a b.pem' --color never --timeout none --checkpoint 'my file'",
        ),
        ("cce-job wait -- -a b", &["-a", "b"], None, None, "cce-job wait -- -a b"),
    ];
    for (line, jobs, timeout, checkpoint, expected) in rows {
        assert_eq!(
            resume_command_for(line, jobs, timeout, checkpoint).as_deref(),
            Some(expected),
            "{line}"
        );
    }
}

#[test]
fn resume_line_is_omitted_above_20_jobs_without_checkpoint() {
    let many = ["a"; 21];
    assert!(resume_command_for("cce-job wait -", &many[..20], None, None).is_some());
    assert_eq!(resume_command_for("cce-job wait -", &many, None, None), None);
    assert!(resume_command_for("cce-job wait -", &many, None, Some("f")).is_some());
}

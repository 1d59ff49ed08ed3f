//! Which crate may depend on which, and what a crate's tree must not hold.

use std::collections::BTreeSet;

use super::Tree;
use crate::cargo::cargo;

/// Each crate, and those of the workspace that it may depend on. Tests may use any.
const ARROWS: &[(&str, &[&str])] = &[
    ("job-model", &[]),
    ("job-transport", &["job-model"]),
    ("job-poller", &["job-model", "job-transport"]),
    ("job-sim", &["job-model", "job-transport"]),
    (
        "job-cli",
        &["job-model", "job-transport", "job-poller", "job-sim"],
    ),
];

/// Without its default features, each crate's tree holds none of these, however far down.
const ABSENT: &[(&str, &[&str])] = &[
    (
        "job-model",
        &[
            "http",
            "bytes",
            "hyper",
            "tokio",
            "mio",
            "futures-core",
            "rustls",
            "thiserror",
        ],
    ),
    (
        "job-transport",
        &[
            "hyper",
            "hyper-util",
            "h2",
            "tokio",
            "mio",
            "rustls",
            "ring",
            "aws-lc-rs",
        ],
    ),
    (
        "job-poller",
        &[
            "hyper",
            "hyper-util",
            "h2",
            "tokio",
            "mio",
            "rustls",
            "job-sim",
        ],
    ),
];

/// What job-model depends on, and no more: whoever embeds it takes these.
const MODEL: &[&str] = &["jiff", "serde", "serde_json"];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let members: BTreeSet<&str> = tree.crates().collect();
    let mut complaints = Vec::new();
    for member in &members {
        let direct = dependencies(member, &["--depth", "1", "--all-features"]);
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| name == member) else {
            complaints.push(format!(
                "{member} has no place among the crates; give it one here"
            ));
            continue;
        };
        complaints.extend(beyond(member, &direct, &members, allowed));
        if *member == "job-model" {
            complaints.extend(beyond(
                member,
                &direct,
                &direct.iter().map(|n| &**n).collect(),
                MODEL,
            ));
        }
    }
    for (member, absent) in ABSENT {
        let all = dependencies(member, &["--no-default-features"]);
        let present = absent.iter().filter(|name| all.contains(**name));
        complaints.extend(present.map(|name| format!("{member} depends on {name}")));
    }
    complaints
}

/// Returns a complaint for each dependency that is one of `judged` and not allowed.
fn beyond(
    member: &str,
    dependencies: &BTreeSet<String>,
    judged: &BTreeSet<&str>,
    allowed: &[&str],
) -> Vec<String> {
    let wrong = |name: &&String| judged.contains(&***name) && !allowed.contains(&&***name);
    let wrong = dependencies.iter().filter(wrong);
    wrong
        .map(|name| format!("{member} must not depend on {name}"))
        .collect()
}

/// Returns what a crate depends on when it is built, as `cargo tree` has it.
fn dependencies(member: &str, how: &[&str]) -> BTreeSet<String> {
    let tree = [
        "tree",
        "--locked",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "-p",
        member,
    ];
    let output = cargo(&tree).args(how).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    names(&text.unwrap_or_default())
}

/// Reads the names out of lines such as `serde v1.0.229 (*)`, but for the first, the crate itself.
fn names(tree: &str) -> BTreeSet<String> {
    let lines = tree.lines().skip(1);
    lines
        .filter_map(|line| line.split_whitespace().next())
        .map(String::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_without_the_crate_itself() {
        let names = names("job-model v0.1.0 (/x)\njiff v1.0.1\nserde v1.0.229 (*)\njiff v1.0.1\n");
        assert_eq!(names, ["jiff", "serde"].map(String::from).into());
    }

    #[test]
    fn a_forbidden_arrow_is_complained_of() {
        let dependencies = ["serde", "job-poller"].map(String::from).into();
        let members = ["job-model", "job-poller"].into();
        assert_eq!(
            beyond("job-model", &dependencies, &members, &[]),
            ["job-model must not depend on job-poller"]
        );
        assert!(beyond("job-cli", &dependencies, &members, &["job-poller"]).is_empty());
    }

    #[test]
    fn cargo_is_asked_and_answers() {
        assert!(dependencies("job-poller", &[]).contains("job-model"));
    }
}

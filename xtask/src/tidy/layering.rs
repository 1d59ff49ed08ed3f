//! Which crate may depend on which, and what a crate's tree must not hold.

use std::collections::BTreeSet;

use super::Tree;
use crate::cargo::cargo;

/// Each crate, and those of the workspace that it may depend on. Tests may use any.
const ARROWS: &[(&str, &str)] = &[
    ("job-model", ""),
    ("job-transport", "job-model"),
    ("job-poller", "job-model job-transport"),
    ("job-sim", "job-model job-transport"),
    ("job-restate", "job-model job-transport job-poller"),
    ("job-cli", "job-model job-transport job-poller job-restate job-sim"),
];

/// All that job-model's tree may hold, whatever the features and the platform: serde, serde_json,
/// jiff and what they need. Whoever embeds the crate takes these, so each is let in by hand.
const MODEL: &str = "\
    itoa jiff jiff-core jiff-static memchr portable-atomic portable-atomic-util proc-macro2 quote \
    serde serde_core serde_derive serde_json syn unicode-ident zmij";

/// What the trees of job-transport and job-poller may hold beside, without their default features:
/// the types that the HTTP libraries share, what a signature needs, a lock for any runtime, spans for
/// whoever traces, and no library of HTTP or TLS and no runtime.
const PURE: &str = "\
    async-lock base16ct block-buffer bytes cfg-if cmov concurrent-queue cpufeatures crossbeam-utils \
    crypto-common ctutils digest event-listener event-listener-strategy futures-core hmac http \
    hybrid-array job-model job-transport libc once_cell parking percent-encoding pin-project-lite \
    secrecy sha2 thiserror thiserror-impl tracing tracing-core typenum zeroize";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let members: BTreeSet<&str> = tree.crates().collect();
    complaints(&members, dependencies).unwrap_or_else(|error| vec![error])
}

/// Judges the members by what `of` says each depends on, asked so.
fn complaints(
    members: &BTreeSet<&str>,
    of: impl Fn(&str, &[&str]) -> Result<BTreeSet<String>, String>,
) -> Result<Vec<String>, String> {
    let mut complaints = Vec::new();
    for member in members {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| name == member) else {
            complaints.push(format!("{member} has no place among the crates; give it one here"));
            continue;
        };
        for name in of(member, &["--depth", "1", "--all-features"])? {
            if members.contains(&*name) && !has(allowed, &name) {
                complaints.push(format!("{member} must not depend on {name}"));
            }
        }
    }
    for (member, features, beside) in [
        ("job-model", "--all-features", ""),
        ("job-transport", "--no-default-features", PURE),
        ("job-poller", "--no-default-features", PURE),
    ] {
        for name in of(member, &[features])? {
            if !has(MODEL, &name) && !has(beside, &name) {
                complaints.push(format!("{member} with {features} must not hold {name}"));
            }
        }
    }
    Ok(complaints)
}

fn has(names: &str, name: &str) -> bool {
    names.split_whitespace().any(|one| one == name)
}

/// Returns what a crate depends on when it is built, as `cargo tree` has it.
fn dependencies(member: &str, how: &[&str]) -> Result<BTreeSet<String>, String> {
    let tree = ["tree", "--locked", "--target", "all", "--edges", "normal,build"];
    match cargo(&tree).args(["--prefix", "none", "-p", member]).args(how).output() {
        Ok(output) if output.status.success() => {
            Ok(names(&String::from_utf8_lossy(&output.stdout)))
        }
        Ok(output) => Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("cargo tree: {error}")),
    }
}

/// Reads the names out of lines such as `serde v1.0.229 (*)`, but for the first, the crate itself.
fn names(tree: &str) -> BTreeSet<String> {
    let lines = tree.lines().skip(1);
    lines.filter_map(|line| line.split_whitespace().next()).map(String::from).collect()
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
    fn arrows() {
        let rows = [
            ("job-model", "serde", 0),
            ("job-model", "itoa", 0),
            ("job-model", "bytes", 1),
            ("job-model", "ureq", 1),
            ("job-transport", "job-model", 0),
            ("job-transport", "job-poller", 2),
            ("job-transport", "http", 0),
            ("job-transport", "tokio", 1),
            ("job-poller", "job-transport", 0),
            ("job-poller", "job-sim", 2),
            ("job-cli", "job-sim", 0),
            ("job-new", "serde", 1),
        ];
        for (member, name, wrong) in rows {
            let members = ["job-model", "job-sim", "job-poller", "job-transport", member].into();
            let of = |asked: &str, _: &[&str]| {
                Ok((asked == member).then(|| name.to_owned()).into_iter().collect())
            };
            let complaints = complaints(&members, of).unwrap();
            assert_eq!(complaints.len(), wrong, "{member} {name}: {complaints:?}");
        }
    }

    #[test]
    fn cargo_is_asked_and_answers() {
        assert!(dependencies("job-poller", &[]).unwrap().contains("job-model"));
        assert!(dependencies("no-such-crate", &[]).is_err());
    }
}

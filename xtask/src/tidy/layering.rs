//! Checks the dependencies of each crate: on crates of the workspace, and in its whole dependency
//! tree.

use std::collections::BTreeSet;

use super::Tree;
use crate::cargo::cargo;

/// Each crate, and the workspace crates that it may depend on. Tests may depend on any crate.
const ALLOWED: &[(&str, &str)] = &[
    ("job-model", ""),
    ("job-transport", "job-model"),
    ("job-poller", "job-model job-transport"),
    ("job-sim", "job-model job-transport"),
    ("job-report", "job-model"),
    ("job-notify", "job-model job-transport"),
    ("job-restate", "job-model job-transport job-poller job-notify"),
    ("job-store", "job-model job-transport job-poller job-notify"),
    ("job-server", "job-model job-transport job-poller job-notify job-report job-sim job-store"),
    ("job-cli", "job-model job-transport job-poller job-report job-restate job-sim"),
];

/// The complete dependency tree of job-model, with any features and on any platform: serde,
/// serde_json, jiff and their dependencies. Every user of the crate compiles them, so adding one
/// needs a decision.
const MODEL_DEPS: &str = "\
    itoa jiff jiff-core jiff-static memchr portable-atomic portable-atomic-util proc-macro2 quote \
    serde serde_core serde_derive serde_json syn unicode-ident zmij";

/// What the trees of job-transport and job-poller may also contain without default features: the
/// types that the HTTP libraries share, hashes for signatures, a lock that works with any runtime,
/// and tracing spans. They contain no HTTP client, no TLS and no async runtime.
const CORE_DEPS: &str = "\
    async-lock base16ct block-buffer bytes cfg-if cmov concurrent-queue cpufeatures crossbeam-utils \
    crypto-common ctutils digest event-listener event-listener-strategy futures-core hmac http \
    hybrid-array job-model job-transport libc once_cell parking percent-encoding pin-project-lite \
    secrecy sha2 thiserror thiserror-impl tracing tracing-core typenum zeroize";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let members: BTreeSet<&str> = tree.crates().collect();
    violations(&members, dependencies).unwrap_or_else(|error| vec![error])
}

/// Checks the members. `dependencies` returns the dependencies of a member for some `cargo tree`
/// options.
fn violations(
    members: &BTreeSet<&str>,
    dependencies: impl Fn(&str, &[&str]) -> Result<BTreeSet<String>, String>,
) -> Result<Vec<String>, String> {
    let mut violations = Vec::new();
    for member in members {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| name == member) else {
            violations.push(format!("{member} is not in tidy::layering's table of crates; add it"));
            continue;
        };
        for name in dependencies(member, &["--depth", "1", "--all-features"])? {
            if members.contains(&*name) && !has(allowed, &name) {
                violations.push(format!("{member} must not depend on {name}"));
            }
        }
    }
    for (member, features, extra) in [
        ("job-model", "--all-features", ""),
        ("job-transport", "--no-default-features", CORE_DEPS),
        ("job-poller", "--no-default-features", CORE_DEPS),
    ] {
        for name in dependencies(member, &[features])? {
            if !has(MODEL_DEPS, &name) && !has(extra, &name) {
                violations.push(format!(
                    "{member} with {features} must not depend on {name}, even indirectly"
                ));
            }
        }
    }
    Ok(violations)
}

fn has(names: &str, name: &str) -> bool {
    names.split_whitespace().any(|one| one == name)
}

/// Returns the normal and build dependencies of a crate, as printed by `cargo tree` with `options`.
fn dependencies(member: &str, options: &[&str]) -> Result<BTreeSet<String>, String> {
    let tree = ["tree", "--locked", "--target", "all", "--edges", "normal,build"];
    match cargo(&tree).args(["--prefix", "none", "-p", member]).args(options).output() {
        Ok(output) if output.status.success() => {
            Ok(parse_tree(&String::from_utf8_lossy(&output.stdout)))
        }
        Ok(output) => Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("cargo tree: {error}")),
    }
}

/// Reads the names from lines such as `serde v1.0.229 (*)`, except the first, the crate itself.
fn parse_tree(tree: &str) -> BTreeSet<String> {
    let lines = tree.lines().skip(1);
    lines.filter_map(|line| line.split_whitespace().next()).map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_is_parsed_without_the_crate_itself() {
        let names =
            parse_tree("job-model v0.1.0 (/x)\njiff v1.0.1\nserde v1.0.229 (*)\njiff v1.0.1\n");
        assert_eq!(names, ["jiff", "serde"].map(String::from).into());
    }

    #[test]
    fn forbidden_dependencies_are_violations() {
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
        for (member, name, expected) in rows {
            let members = ["job-model", "job-sim", "job-poller", "job-transport", member].into();
            let dependencies = |of: &str, _: &[&str]| {
                Ok((of == member).then(|| name.to_owned()).into_iter().collect())
            };
            let violations = violations(&members, dependencies).unwrap();
            assert_eq!(violations.len(), expected, "{member} {name}: {violations:?}");
        }
    }

    #[test]
    fn cargo_tree_lists_dependencies() {
        assert!(dependencies("job-poller", &[]).unwrap().contains("job-model"));
        assert!(dependencies("no-such-crate", &[]).is_err());
    }
}

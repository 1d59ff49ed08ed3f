//! Checks that each crate is named after its folder and inherits lints and versions from the
//! workspace, and that only tests enable a feature that is for tests.

use super::Tree;

/// The only dependency that is not inherited from the workspace. job-sim depends on job-transport,
/// and the tests of job-transport depend on job-sim. This second dependency has a path and no
/// version, because cargo then leaves it out of the published manifest, which would otherwise have
/// a cycle.
const PATH_DEPENDENCY: &str = "job-sim.path = \"../job-sim\"";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let manifests = tree.files("crates/", "/Cargo.toml").chain(tree.files("xtask/", "/Cargo.toml"));
    // The fuzz crate is a workspace of its own.
    let members = manifests.filter(|(path, _)| !path.ends_with("/fuzz/Cargo.toml"));
    members.flat_map(|(path, text)| check_manifest(path, text)).collect()
}

fn check_manifest(path: &str, text: &str) -> Vec<String> {
    let mut violations = Vec::new();
    let folder = path.rsplit('/').nth(1).unwrap_or_default();
    for line in [&*format!("name = \"{folder}\""), "[lints]\nworkspace = true"] {
        if !text.contains(line) {
            violations.push(format!("{path} lacks `{}`", line.escape_debug()));
        }
    }
    let mut section = "";
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            section = line;
        }
        // In a table such as `[dependencies.serde]` the version is on a line of its own.
        let is_dependency = section.ends_with("dependencies]") && line.contains(" = ");
        let is_wrong =
            is_dependency && !line.contains("workspace = true") && line != PATH_DEPENDENCY;
        if is_wrong || (line == section && line.contains("dependencies.")) {
            let number = number + 1;
            violations.push(format!(
                "{path}:{number}: use `workspace = true`; the root Cargo.toml has the version"
            ));
        }
        if enables_test_util(section, line) {
            let number = number + 1;
            violations.push(format!(
                "{path}:{number}: only a dependency of tests may enable `test-util`"
            ));
        }
    }
    violations
}

/// Returns whether a line of a manifest enables `test-util` of a crate for normal builds.
fn enables_test_util(section: &str, line: &str) -> bool {
    let is_normal = match section {
        "[features]" => !line.starts_with("test-util ="),
        _ => section.ends_with("dependencies]") && !section.ends_with("dev-dependencies]"),
    };
    is_normal && (line.contains("\"test-util\"") || line.contains("/test-util\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_test_util(section: &str) -> String {
        format!("{section}\njob-y = {{ workspace = true, features = [\"test-util\"] }}")
    }

    #[test]
    fn manifests_inherit_from_the_workspace() {
        let good =
            "name = \"job-x\"\n[lints]\nworkspace = true\n[dependencies]\nserde.workspace = true";
        let rows = [
            (good.to_owned(), 0),
            (good.replace("job-x", "job-y"), 1),
            (good.replace("[lints]\n", ""), 1),
            (format!("{good}\nhttp = {{ workspace = true, optional = true }}"), 0),
            (format!("{good}\nhttp = {{ version = \"1\" }}"), 1),
            (format!("{good}\nhttp = \"1\""), 1),
            (format!("{good}\nhttp = {{ git = \"x\" }}"), 1),
            (format!("{good}\n[target.'cfg(unix)'.dev-dependencies]\nhttp = \"1\""), 1),
            (format!("{good}\n[dependencies.http]\nversion = \"1\""), 1),
            (format!("{good}\n[dev-dependencies]\n{PATH_DEPENDENCY}"), 0),
            (format!("{good}\n{}", with_test_util("[dev-dependencies]")), 0),
            (format!("{good}\n{}", with_test_util("[dependencies]")), 1),
            (format!("{good}\n{}", with_test_util("[build-dependencies]")), 1),
            (format!("{good}\n{}", with_test_util("[target.'cfg(unix)'.dependencies]")), 1),
            (format!("{good}\n[features]\ntest-util = [\"tokio/test-util\"]"), 0),
            (format!("{good}\n[features]\ndefault = [\"test-util\"]"), 1),
            (format!("{good}\n[features]\nfull = [\"job-y/test-util\"]"), 1),
        ];
        for (manifest, expected) in rows {
            let violations = check(&Tree::new(&[("crates/job-x/Cargo.toml", &manifest)]));
            assert_eq!(violations.len(), expected, "{violations:?}");
        }
    }
}

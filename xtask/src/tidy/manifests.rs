//! Each crate's manifest: its folder's name, the shared lints, the shared versions.

use super::Tree;

/// The one dependency that is not the workspace's to state: job-sim depends on job-transport, whose
/// tests depend on it by path alone, so that no published manifest goes round.
const BY_PATH: &str = "job-sim.path = \"../job-sim\"";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let manifests = tree.files("crates/", "/Cargo.toml").chain(tree.files("xtask/", "/Cargo.toml"));
    // A fuzz crate is a workspace of its own.
    let members = manifests.filter(|(path, _)| !path.ends_with("/fuzz/Cargo.toml"));
    members.flat_map(|(path, text)| complaints(path, text)).collect()
}

fn complaints(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let folder = path.rsplit('/').nth(1).unwrap_or_default();
    for line in [&*format!("name = \"{folder}\""), "[lints]\nworkspace = true"] {
        if !text.contains(line) {
            complaints.push(format!("{path} lacks `{}`", line.escape_debug()));
        }
    }
    let mut section = "";
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            section = line;
        }
        // `[dependencies.serde]` would hide the version from the line's name.
        let is_dependency = section.ends_with("dependencies]") && line.contains(" = ");
        let is_wrong = is_dependency && !line.contains("workspace = true") && line != BY_PATH;
        if is_wrong || (line == section && line.contains("dependencies.")) {
            let number = number + 1;
            complaints.push(format!("{path}:{number}: versions are the workspace's to state"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests() {
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
            (format!("{good}\n[dev-dependencies]\n{BY_PATH}"), 0),
        ];
        for (manifest, wrong) in rows {
            let complaints = check(&Tree::of(&[("crates/job-x/Cargo.toml", &manifest)]));
            assert_eq!(complaints.len(), wrong, "{complaints:?}");
        }
    }
}

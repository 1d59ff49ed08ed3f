//! Each crate's manifest: its folder's name, the shared lints and versions.

use super::Tree;

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    let manifests = tree.files("crates/", "/Cargo.toml").chain(tree.files("xtask/", "/Cargo.toml"));
    for (path, text) in manifests {
        let folder = path.rsplit('/').nth(1).unwrap_or_default();
        for line in [&*format!("name = \"{folder}\""), "[lints]\nworkspace = true"] {
            if !text.contains(line) {
                complaints.push(format!("{path} lacks `{}`", line.escape_debug()));
            }
        }
        for (number, line) in text.lines().enumerate() {
            if line.contains("version = \"") {
                let number = number + 1;
                complaints.push(format!("{path}:{number}: versions are the workspace's to state"));
            }
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
            (format!("{good}\nhttp = {{ version = \"1\" }}"), 1),
        ];
        for (manifest, wrong) in rows {
            let complaints = check(&Tree::of(&[("crates/job-x/Cargo.toml", &manifest)]));
            assert_eq!(complaints.len(), wrong, "{complaints:?}");
        }
    }
}

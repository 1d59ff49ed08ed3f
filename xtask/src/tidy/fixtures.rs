//! Checks that the index of the fixtures lists exactly the files that exist.

use std::collections::BTreeSet;

use super::Tree;

const INDEX: &str = "fixtures/README.md";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let files = tree.files("fixtures/", "").map(|(path, _)| path).filter(|path| *path != INDEX);
    let files = files.filter_map(|path| path.strip_prefix("fixtures/"));
    // File names in a fuzz corpus are generated, so the index lists the folder: `fuzz/x/*`.
    let listed_as = |path: &str| match path.rsplit_once('/') {
        Some((folder, _)) if folder.starts_with("fuzz/") => format!("{folder}/*"),
        _ => path.to_owned(),
    };
    let files: BTreeSet<String> = files.map(listed_as).collect();
    let files: BTreeSet<&str> = files.iter().map(String::as_str).collect();
    let index = tree.file(INDEX).unwrap_or_default();
    // A row of the table: | `jobs/x.json` | origin | what is unusual about it |
    let rows = index.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let (complete, incomplete): (Vec<_>, Vec<_>) = rows
        .partition(|(_, rest)| rest.split('|').filter(|cell| !cell.trim().is_empty()).count() == 2);
    let listed: BTreeSet<&str> =
        complete.iter().chain(&incomplete).map(|(file, _)| *file).collect();
    let missing = files.difference(&listed).map(|file| format!("{INDEX} does not list {file}"));
    let stale =
        listed.difference(&files).map(|file| format!("{INDEX} lists {file}, which does not exist"));
    let incomplete = incomplete
        .iter()
        .map(|(file, _)| format!("{INDEX} lacks the origin or the description of {file}"));
    missing.chain(stale).chain(incomplete).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_must_match_the_files() {
        let rows = [
            ("| `jobs/a.json` | made up | a comma |", vec!["jobs/a.json"], 0),
            ("| `jobs/a.json` | made up | |", vec!["jobs/a.json"], 1),
            ("", vec!["jobs/a.json"], 1),
            ("| `jobs/a.json` | made up | a comma |", vec![], 1),
            ("| `jobs/a.json` | made up | a comma |", vec!["jobs/b.json"], 2),
            ("| `fuzz/a/*` | made up | any bytes |", vec!["fuzz/a/0", "fuzz/a/1"], 0),
            ("| `fuzz/a/*` | made up | any bytes |", vec!["fuzz/b/0"], 2),
        ];
        for (index, files, expected) in rows {
            let paths: Vec<_> = files.iter().map(|file| format!("fixtures/{file}")).collect();
            let mut tree = vec![(INDEX, index)];
            tree.extend(paths.iter().map(|path| (&**path, "{}")));
            assert_eq!(check(&Tree::new(&tree)).len(), expected, "{index} {files:?}");
        }
    }
}

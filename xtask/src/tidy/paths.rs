//! Checks that no file of a crate names a path outside the crate's folder, because a package contains
//! only that folder.

use super::Tree;

/// The paths in a statement after this name start at the crate's folder.
const FOLDER_OF_CRATE: &str = "CARGO_MANIFEST_DIR";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let files = tree.files("crates/", ".rs").chain(tree.files("crates/", ".md"));
    files.flat_map(|(path, text)| check_file(path, text)).collect()
}

fn check_file(path: &str, text: &str) -> Vec<String> {
    // crates/job-x/src/a/b.rs: the folder src/a has two components.
    let depth = path.split('/').count().saturating_sub("crates/job-x/b.rs".split('/').count());
    let mut violations = Vec::new();
    // The text of a symbolic link is its target, without quotation marks.
    let mut start = text.find('"').map_or(text.len(), |at| at + 1);
    // A text between two quotation marks is a string, in code, in a comment or in a doc test. The
    // text between two strings is not a path, because it has a space or no component `..`.
    for literal in text[start..].split('"') {
        let before = &text[..start];
        start += literal.len() + 1;
        if literal.contains(char::is_whitespace) || !literal.split('/').any(|part| part == "..") {
            continue;
        }
        let statement = before.rsplit(';').next().unwrap_or_default();
        let is_from_crate = literal.starts_with('/') || statement.contains(FOLDER_OF_CRATE);
        if is_outside(literal, if is_from_crate { 0 } else { depth }) {
            let line = before.matches('\n').count() + 1;
            violations.push(format!(
                "{path}:{line}: {literal:?} leaves the folder of the crate, and a package contains \
                 only that folder; add a symbolic link to it"
            ));
        }
    }
    violations
}

/// Whether a path leaves the crate. It starts `depth` folders below the crate's folder.
fn is_outside(path: &str, mut depth: usize) -> bool {
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_crate() {
        let rows = [
            ("src/lib.rs", r#"#[doc = include_str!("../README.md")]"#, 0),
            ("src/lib.rs", r#"#[doc = include_str!("../../../README.md")]"#, 1),
            ("src/a/tests.rs", r#"include_str!("../../fixtures/a.json")"#, 0),
            ("src/a/tests.rs", r#"include_bytes!("../../../fixtures/a.json")"#, 1),
            ("src/a/tests.rs", "include_str!(\n    \"../../../fixtures/a.json\",\n)", 1),
            ("src/a/tests.rs", r#"include!("b/../../../../c.rs")"#, 1),
            ("src/a/tests.rs", r#"include!("b/../../../c.rs")"#, 0),
            ("src/a/tests.rs", r#"include!("./../../../c.rs")"#, 1),
            ("src/lib.rs", "/// let a = include_str!(\"../../a\");", 1),
            ("README.md", "```rust\nlet a = include_str!(\"../a\");\n```", 1),
            ("README.md", "[the fixtures](../../fixtures)", 0),
            ("RELIABILITY.md", "../../RELIABILITY.md", 0),
            ("tests/a.rs", r#"read("../../docs/a.md")"#, 1),
            ("tests/a.rs", r#"glob!("../fixtures/jobs", "*.*")"#, 0),
            ("benches/a/main.rs", r#"#[path = "../common/b.rs"]"#, 0),
            ("benches/a/main.rs", r#"#[path = "../../../job-y/benches/b.rs"]"#, 1),
            ("tests/a.rs", r#"concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/a")"#, 0),
            ("src/a/b/c.rs", r#"concat!(env!("CARGO_MANIFEST_DIR"), "/../a")"#, 1),
            ("src/a/b/c.rs", r#"Path::new(env!("CARGO_MANIFEST_DIR")).join("../a")"#, 1),
            ("src/a/b/c.rs", r#"Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join("a")"#, 1),
            ("src/a/b/c.rs", r#"Path::new(env!("CARGO_MANIFEST_DIR")).join("a/../b")"#, 0),
            ("src/a/b/c.rs", r#"f(env!("CARGO_MANIFEST_DIR")); include_str!("../d")"#, 0),
            ("src/id.rs", r#"parse("../jobs")"#, 0),
            ("src/lib.rs", r#"println!("...", "..=", "a..b")"#, 0),
        ];
        for (path, text, expected) in rows {
            let path = format!("crates/job-x/{path}");
            let violations = check(&Tree::new(&[(&path, text)]));
            assert_eq!(violations.len(), expected, "{path} {text}: {violations:?}");
            let xtask = Tree::new(&[("xtask/src/a.rs", text)]);
            assert!(check(&xtask).is_empty(), "xtask is not published");
        }
    }
}

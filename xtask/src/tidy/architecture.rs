//! Checks that each invariant in ARCHITECTURE.md and each promise in RELIABILITY.md names a check that
//! exists.

use super::{CHECKS, Tree};

/// The documents, and the section of each whose table is checked. The last column names the checks.
const TABLES: [(&str, &str); 2] =
    [("ARCHITECTURE.md", "Invariants"), ("RELIABILITY.md", "Promises")];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    TABLES.iter().flat_map(|(file, section)| check_table(tree, file, section)).collect()
}

fn check_table(tree: &Tree, file: &str, section: &str) -> Vec<String> {
    let text = tree.file(file).unwrap_or_default();
    let text = text.split(&format!("\n## {section}\n")).nth(1).unwrap_or_default();
    let text = text.split("\n## ").next().unwrap_or_default();
    // The rows of the table without its head: | what holds | `check`, `check` |
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    if rows.is_empty() {
        return vec![format!("{file} has no table in the section {section}")];
    }
    let violations = rows.into_iter().flat_map(|row| check_row(tree, row));
    violations.map(|violation| format!("{file}: {violation}")).collect()
}

fn check_row(tree: &Tree, row: &str) -> Vec<String> {
    let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
    let checks = cells.last().map(|cell| cell.split('`').skip(1).step_by(2)).into_iter().flatten();
    let checks: Vec<&str> = checks.collect();
    if cells.len() < 2 || checks.is_empty() {
        return vec![format!("this row names no check: {row}")];
    }
    let missing = checks.into_iter().filter(|check| !exists(tree, check));
    missing.map(|check| format!("no such check: `{check}`")).collect()
}

/// Whether a check of this name exists: `tidy::name`, a task such as `xtask::fuzz`, an enabled lint such
/// as `clippy::name`, or a test as `path/to/file.rs::name`.
fn exists(tree: &Tree, check: &str) -> bool {
    match check.rsplit_once("::") {
        Some(("tidy", name)) => CHECKS.iter().any(|(tidy, _)| *tidy == name),
        Some(("xtask", task)) => tree.file(&format!("xtask/src/{task}.rs")).is_some(),
        Some((tool @ ("clippy" | "rust"), lint)) => is_enabled(tree, tool, lint),
        Some((file, name)) => tree.file(file).is_some_and(|text| has_test(text, name)),
        None => false,
    }
}

fn is_enabled(tree: &Tree, tool: &str, lint: &str) -> bool {
    let manifest = tree.file("Cargo.toml").unwrap_or_default();
    let lints = manifest.split(&format!("[workspace.lints.{tool}]\n")).nth(1).unwrap_or_default();
    let mut lines = lints.lines().take_while(|line| !line.starts_with('['));
    lines.any(|line| {
        line.split_once(" = ").is_some_and(|(key, level)| key == lint && level != "\"allow\"")
    })
}

/// Whether the text has a test of this name: the line before the function must be its test attribute.
fn has_test(text: &str, name: &str) -> bool {
    let lines = || text.lines().map(str::trim);
    lines().zip(lines().skip(1)).any(|(before, line)| {
        let function = line.strip_prefix("async ").unwrap_or(line);
        function.starts_with(&format!("fn {name}("))
            && (before == "#[test]" || before.starts_with("#[tokio::test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n\n\
        [workspace.lints.clippy]\ndbg_macro = \"warn\"\ntodo = \"allow\"\n";
    const TESTS: &str = "#[test]\nfn holds() {}\n#[tokio::test]\nasync fn holds_on() {}\n\
        fn helps() {}\n// #[test]\n// fn held() {}\n";

    #[test]
    fn rows_must_name_existing_checks() {
        let rows = [
            ("| a | `tidy::layering` |", 0),
            ("| a | `tidy::layer` |", 1),
            ("| a | except b | `xtask::fuzz` |", 0),
            ("| a | except b | `xtask::buzz` |", 1),
            ("| a | except `b` | |", 1),
            ("| a | `clippy::dbg_macro`, `rust::unsafe_code` |", 0),
            ("| a | `clippy::dbg` |", 1),
            ("| a | `clippy::todo` |", 1),
            ("| a | `clippy::unsafe_code` |", 1),
            ("| a | `crates/job-x/tests/x.rs::holds` |", 0),
            ("| a | `crates/job-x/tests/x.rs::holds_on` |", 0),
            ("| a | `crates/job-x/tests/x.rs::hold` |", 1),
            ("| a | `crates/job-x/tests/x.rs::helps` |", 1),
            ("| a | `crates/job-x/tests/x.rs::held` |", 1),
            ("| a | `crates/job-x/tests/y.rs::holds` |", 1),
            ("| a | `tidy::layering`, `tidy::none` |", 1),
            ("| a | reviewed by eye |", 1),
            ("", 1),
        ];
        for (row, expected) in rows {
            let text = format!(
                "# A\n\n## Invariants\n\n| what | check |\n|---|---|\n{row}\n\n## B\n| x |\n"
            );
            let tree = Tree::new(&[
                ("A.md", &text),
                ("Cargo.toml", MANIFEST),
                ("crates/job-x/tests/x.rs", TESTS),
                ("xtask/src/fuzz.rs", ""),
            ]);
            let violations = check_table(&tree, "A.md", "Invariants");
            assert_eq!(violations.len(), expected, "{row}: {violations:?}");
        }
    }
}

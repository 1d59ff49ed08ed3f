//! ARCHITECTURE.md: each invariant names a check, and the check is there.

use super::{CHECKS, Tree};

const ARCHITECTURE: &str = "ARCHITECTURE.md";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let text = tree.file(ARCHITECTURE).unwrap_or_default();
    let section = text.split("\n## Invariants\n").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    // The rows of the table, but for its head: | what holds | `check`, `check` |
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    if rows.is_empty() {
        return vec![format!("{ARCHITECTURE} has no table of invariants")];
    }
    rows.into_iter().flat_map(|row| invariant(tree, row)).collect()
}

fn invariant(tree: &Tree, row: &str) -> Vec<String> {
    let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
    let checks = cells.last().map(|cell| cell.split('`').skip(1).step_by(2)).into_iter().flatten();
    let checks: Vec<&str> = checks.collect();
    if cells.len() != 2 || checks.is_empty() {
        return vec![format!("{ARCHITECTURE}: an invariant names no check: {row}")];
    }
    let absent = checks.into_iter().filter(|check| !exists(tree, check));
    absent.map(|check| format!("{ARCHITECTURE}: there is no check `{check}`")).collect()
}

/// Whether there is a check of this name: `tidy::name`, a lint such as `clippy::name` that is
/// switched on, or a test as `path::to/file.rs::name`.
fn exists(tree: &Tree, check: &str) -> bool {
    let Some((place, name)) = check.rsplit_once("::") else {
        return false;
    };
    match place {
        "tidy" => CHECKS.iter().any(|(tidy, _)| *tidy == name),
        "clippy" | "rust" => {
            tree.file("Cargo.toml").is_some_and(|text| text.contains(&format!("\n{name} = ")))
        }
        file => tree.file(file).is_some_and(|text| text.contains(&format!("fn {name}("))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariants() {
        let rows = [
            ("| a | `tidy::arrows` |", 0),
            ("| a | `tidy::arrow` |", 1),
            ("| a | `clippy::dbg_macro`, `rust::unsafe_code` |", 0),
            ("| a | `clippy::dbg` |", 1),
            ("| a | `crates/job-x/tests/x.rs::holds` |", 0),
            ("| a | `crates/job-x/tests/x.rs::hold` |", 1),
            ("| a | `crates/job-x/tests/y.rs::holds` |", 1),
            ("| a | `tidy::arrows`, `tidy::none` |", 1),
            ("| a | reviewed by eye |", 1),
            ("", 1),
        ];
        for (row, wrong) in rows {
            let text = format!(
                "# A\n\n## Invariants\n\n| what | check |\n|---|---|\n{row}\n\n## B\n| x |\n"
            );
            let tree = Tree::of(&[
                (ARCHITECTURE, &text),
                ("Cargo.toml", "[lints]\nunsafe_code = \"forbid\"\ndbg_macro = \"warn\"\n"),
                ("crates/job-x/tests/x.rs", "fn holds() {}"),
            ]);
            assert_eq!(check(&tree).len(), wrong, "{row}: {:?}", check(&tree));
        }
    }
}

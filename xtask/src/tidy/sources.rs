//! Checks that each source file starts with its purpose, and is short.

use super::Tree;

const MAX_LINES: usize = 400;

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in tree.files("crates/", ".rs").chain(tree.files("xtask/", ".rs")) {
        if !text
            .lines()
            .next()
            .is_some_and(|line| line.len() > "//! ".len() && line.starts_with("//! "))
        {
            violations
                .push(format!("{path}: the first line must be `//! ` and the purpose of the file"));
        }
        let lines = text.lines().count();
        if lines > MAX_LINES {
            violations.push(format!("{path}: {lines} lines; the maximum is {MAX_LINES}"));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_start_with_their_purpose_and_are_short() {
        let rows = [
            ("//! Reads a thing.\n".to_owned(), 0),
            ("//! \n".to_owned(), 1),
            ("// Reads a thing.\n".to_owned(), 1),
            ("use x;\n//! Reads a thing.\n".to_owned(), 1),
            (String::new(), 1),
            ("//! Reads a thing.\n".repeat(MAX_LINES), 0),
            ("//! Reads a thing.\n".repeat(MAX_LINES + 1), 1),
        ];
        for (text, expected) in rows {
            for path in ["crates/job-x/src/a.rs", "crates/job-x/tests/a.rs", "xtask/src/a.rs"] {
                assert_eq!(check(&Tree::new(&[(path, &text)])).len(), expected, "{text:.30}");
            }
        }
    }
}

//! Each source file: its first line says what it owns, and it is short enough to be read.

use super::Tree;

const MAX_LINES: usize = 400;

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.files("crates/", ".rs").chain(tree.files("xtask/", ".rs")) {
        if !text
            .lines()
            .next()
            .is_some_and(|line| line.len() > "//! ".len() && line.starts_with("//! "))
        {
            complaints.push(format!("{path}: the first line is not `//!` and what the file owns"));
        }
        let lines = text.lines().count();
        if lines > MAX_LINES {
            complaints.push(format!("{path}: {lines} lines; {MAX_LINES} are the most"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        let rows = [
            ("//! Owns a thing.\n".to_owned(), 0),
            ("//! \n".to_owned(), 1),
            ("// Owns a thing.\n".to_owned(), 1),
            ("use x;\n//! Owns a thing.\n".to_owned(), 1),
            (String::new(), 1),
            ("//! Owns a thing.\n".repeat(MAX_LINES), 0),
            ("//! Owns a thing.\n".repeat(MAX_LINES + 1), 1),
        ];
        for (text, wrong) in rows {
            for path in ["crates/job-x/src/a.rs", "crates/job-x/tests/a.rs", "xtask/src/a.rs"] {
                assert_eq!(check(&Tree::of(&[(path, &text)])).len(), wrong, "{text:.30}");
            }
        }
    }
}

//! Checks that each source file starts with its purpose. Warns about long files.

use super::Tree;

/// A file with more lines may have more than one subject.
const LONG_FILE_LINES: usize = 400;

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let starts_with_purpose = |text: &str| {
        text.lines()
            .next()
            .is_some_and(|line| line.len() > "//! ".len() && line.starts_with("//! "))
    };
    let violations = sources(tree).filter(|(_, text)| !starts_with_purpose(text));
    violations
        .map(|(path, _)| {
            format!("{path}: the first line must be `//! ` and the purpose of the file")
        })
        .collect()
}

pub(super) fn warnings(tree: &Tree) -> Vec<String> {
    let lengths = sources(tree).map(|(path, text)| (path, text.lines().count()));
    let long = lengths.filter(|(_, lines)| *lines > LONG_FILE_LINES);
    long.map(|(path, lines)| format!("{path}: {lines} lines; does it have one subject?")).collect()
}

fn sources(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.files("crates/", ".rs").chain(tree.files("xtask/", ".rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_start_with_their_purpose() {
        let rows = [
            ("//! Reads a thing.\n".to_owned(), 0),
            ("//! \n".to_owned(), 1),
            ("// Reads a thing.\n".to_owned(), 1),
            ("use x;\n//! Reads a thing.\n".to_owned(), 1),
            (String::new(), 1),
        ];
        for (text, expected) in rows {
            for path in ["crates/job-x/src/a.rs", "crates/job-x/tests/a.rs", "xtask/src/a.rs"] {
                assert_eq!(check(&Tree::new(&[(path, &text)])).len(), expected, "{text:.30}");
            }
        }
    }
    #[test]
    fn long_files_are_warnings() {
        for (lines, expected) in [(LONG_FILE_LINES, 0), (LONG_FILE_LINES + 1, 1)] {
            let text = "//! Reads a thing.\n".repeat(lines);
            let tree = Tree::new(&[("crates/job-x/src/a.rs", &text)]);
            assert_eq!(warnings(&tree).len(), expected, "{lines}");
            assert!(check(&tree).is_empty(), "{lines}");
        }
    }
}

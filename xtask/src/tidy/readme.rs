//! Checks that the README is short and lists every crate. A doc test checks that its example
//! compiles.

use super::Tree;

const README: &str = "README.md";
const MAX_LINES: usize = 120;

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let readme = tree.file(README).unwrap_or_default();
    let mut violations = Vec::new();
    let lines = readme.lines().count();
    if lines > MAX_LINES {
        violations.push(format!("{README} has {lines} lines; the maximum is {MAX_LINES}"));
    }
    let unlisted = tree.crates().filter(|name| !readme.contains(&format!("\n| `{name}` |")));
    violations.extend(unlisted.map(|name| format!("{README} does not list the crate `{name}`")));
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readme_is_short_and_lists_every_crate() {
        let rows = [
            ("\n| `job-x` |".to_owned(), 0),
            ("\n`job-x` |".to_owned(), 1),
            ("\n| `job-x` |".repeat(MAX_LINES + 1), 1),
        ];
        for (readme, expected) in rows {
            let tree = Tree::new(&[(README, &readme), ("crates/job-x/Cargo.toml", "")]);
            assert_eq!(check(&tree).len(), expected, "{readme:.30}");
        }
    }
}

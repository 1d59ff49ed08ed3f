//! The README: short, and every crate in its table. That its example compiles is a doc test's.

use super::Tree;

const README: &str = "README.md";
const MAX_LINES: usize = 80;

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let readme = tree.file(README).unwrap_or_default();
    let mut complaints = Vec::new();
    let lines = readme.lines().count();
    if lines > MAX_LINES {
        complaints.push(format!("{README} has {lines} lines; {MAX_LINES} are the most"));
    }
    let unlisted = tree.crates().filter(|name| !readme.contains(&format!("\n| `{name}` |")));
    complaints.extend(unlisted.map(|name| format!("{README} does not name the crate `{name}`")));
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readmes() {
        let rows = [
            ("\n| `job-x` |".to_owned(), 0),
            ("\n`job-x` |".to_owned(), 1),
            ("\n| `job-x` |".repeat(MAX_LINES + 1), 1),
        ];
        for (readme, wrong) in rows {
            let tree = Tree::of(&[(README, &readme), ("crates/job-x/Cargo.toml", "")]);
            assert_eq!(check(&tree).len(), wrong, "{readme:.30}");
        }
    }
}

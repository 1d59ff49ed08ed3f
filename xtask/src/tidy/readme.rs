//! Checks that the README is short, lists every crate, and has the same example as that of job-poller.
//! A doc test checks that the example compiles.

use super::Tree;

const README: &str = "README.md";
const MAX_LINES: usize = 120;

/// The README in the package of job-poller.
const POLLER_README: &str = "crates/job-poller/README.md";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let readme = tree.file(README).unwrap_or_default();
    let mut violations = Vec::new();
    let lines = readme.lines().count();
    if lines > MAX_LINES {
        violations.push(format!("{README} has {lines} lines; the maximum is {MAX_LINES}"));
    }
    let unlisted = tree.crates().filter(|name| !readme.contains(&format!("\n| `{name}` |")));
    violations.extend(unlisted.map(|name| format!("{README} does not list the crate `{name}`")));
    let poller = tree.file(POLLER_README).unwrap_or_default();
    if example(readme).is_none() || example(readme) != example(poller) {
        violations.push(format!("{POLLER_README} and {README} must have the same example"));
    }
    violations
}

/// Returns the first Rust example, and the paragraph after it that states when a wait ends.
fn example(readme: &str) -> Option<(&str, &str)> {
    let (_, after) = readme.split_once("```rust")?;
    let (code, after) = after.split_once("\n```\n")?;
    let start = after.find("\nThe wait ends")?;
    let paragraph = after[start..].trim_start().split("\n\n").next()?;
    Some((code, paragraph))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readme_is_short_and_lists_every_crate() {
        let example = "```rust\nwait();\n```\n\nThe wait ends.\n\n";
        let rows = [
            ("\n| `job-x` |".to_owned(), 0),
            ("\n`job-x` |".to_owned(), 1),
            ("\n| `job-x` |".repeat(MAX_LINES), 1),
        ];
        for (readme, expected) in rows {
            let readme = format!("{example}{readme}");
            let tree = Tree::new(&[
                (README, &readme),
                (POLLER_README, example),
                ("crates/job-x/Cargo.toml", ""),
            ]);
            assert_eq!(check(&tree).len(), expected, "{readme:.30}");
        }
    }

    #[test]
    fn both_readmes_have_the_same_example() {
        let page = "```rust,no_run\nwait();\n```\n\nInstall it.\n\nThe wait ends\nsoon.\n\nMore.\n";
        let rows = [
            (page.to_owned(), 0),
            (page.replace("Install it.\n\n", ""), 0),
            (page.replace("More", "Less"), 0),
            (page.replace("wait()", "sleep()"), 1),
            (page.replace("soon", "late"), 1),
            (page.replace("The wait ends", "It ends"), 1),
            (page.replace("```rust", "```"), 1),
            (String::new(), 1),
        ];
        for (poller, expected) in rows {
            let tree = Tree::new(&[(README, page), (POLLER_README, &poller)]);
            assert_eq!(check(&tree).len(), expected, "{poller}");
        }
    }
}

//! Tests of the counts and their bounds.

use super::*;

/// Returns the names of the patterns that match a page with this text, once for each match. Leaves
/// out `if` and `because`, which are not old wording.
fn matches(page: &str) -> Vec<&'static str> {
    let prose = Prose::read(&Tree::new(&[("README.md", page)])).unwrap();
    let counts = prose.patterns.iter().zip(&prose.groups[0].1.matches);
    let counts = counts.filter(|(pattern, _)| !["if", "because"].contains(&pattern.name));
    counts.flat_map(|(pattern, count)| vec![pattern.name; *count]).collect()
}

/// Returns the file of bounds in which each bound is `bound`.
fn stored_bounds(bound: usize) -> String {
    falling_names().map(|name| format!("{name} {bound}\n")).collect()
}

#[test]
fn wording() {
    let rows: &[(&str, &[&str])] = &[
        ("Where it cannot be read, nobody is told.", &["told", "where"]),
        ("The file where settings are stored. If it cannot be read, prints an error.", &[]),
        ("Whoever asks, or who has asked.", &["who", "who"]),
        ("A list is no object; there is no job, and it is no longer needed.", &["is-no"]),
        ("The fields are none of ours.", &["is-no"]),
        ("Waits, for the service is slow, for example.", &["comma-for"]),
        ("Not now, nor so many, nor of those.", &["nor", "nor", "so-many", "so-many"]),
        ("All but for one; asked anew and sooner.", &["anew-mend", "but-for", "sooner"]),
        (
            "What it comes to, and what to go by, wherever that is.",
            &["come-to", "go-by", "whatever"],
        ),
        ("Decides nothing. Says and tells.", &["decides-nothing", "said", "told"]),
        ("A `where` clause, `told` and ``who is``.", &[]),
        ("a line that is\nno longer\nand one that is\nno job", &["is-no"]),
    ];
    for (page, expected) in rows {
        assert_eq!(matches(page), *expected, "{page}");
    }
}

#[test]
fn bounds_hold_for_each_kind_of_text() {
    // 2,500 words each, which allow two matches of `where` and need six of `if`.
    let plain = "if it fails ".repeat(7) + &"word ".repeat(2_479);
    let comments: String = plain.split_whitespace().map(|word| format!("// {word}\n")).collect();
    let help = |text: &str| format!("//! if\nconst HELP: &str = \"{text}\";\n");
    let bounds = stored_bounds(0);
    let check_all = |code: &str, page: &str, help: &str| {
        check(&Tree::new(&[
            ("crates/job-x/src/a.rs", code),
            ("README.md", page),
            ("crates/job-x/src/help.rs", help),
            (BOUNDS, &bounds),
        ]))
    };
    let where_ = |count: usize| "where the ".repeat(count);
    let where_comments = |count: usize| "// where the\n".repeat(count);
    let rows: [(String, String, String, &[&str]); 13] = [
        (comments.clone(), plain.clone(), help(&plain), &[]),
        (where_comments(1) + &comments, where_(1) + &plain, help(&(where_(1) + &plain)), &[]),
        // Within the bound of all prose, because the others have no match.
        (where_comments(3) + &comments, plain.clone(), help(&plain), &["comments"]),
        (comments.clone(), where_(3) + &plain, help(&plain), &["pages"]),
        (comments.clone(), plain.clone(), help(&(where_(3) + &plain)), &["help"]),
        (
            where_comments(3) + &comments,
            where_(3) + &plain,
            help(&(where_(3) + &plain)),
            &["all", "comments", "pages", "help"],
        ),
        // One match is allowed in a short text.
        (comments.clone(), where_(1), help(&plain), &[]),
        (comments.clone(), plain.clone(), help(&where_(1)), &[]),
        (comments.clone(), where_(2), help(&plain), &["pages"]),
        (comments.clone(), plain.clone(), help(&where_(2)), &["help"]),
        // `if` is missing.
        (comments.clone(), "word ".repeat(399), help(&plain), &[]),
        (comments.clone(), "word ".repeat(400), help(&plain), &["pages"]),
        (comments, plain, help(&"word ".repeat(400)), &["help"]),
    ];
    for (number, (code, page, help, expected)) in rows.iter().enumerate() {
        let violations = check_all(code, page, help);
        let groups: Vec<&str> = violations
            .iter()
            .filter_map(|violation| violation.split(" words of ").nth(1)?.split(' ').next())
            .collect();
        assert_eq!(groups, *expected, "{number}: {violations:?}");
        assert_eq!(groups.len(), violations.len(), "{number}: {violations:?}");
    }
}

#[test]
fn stored_bounds_only_fall() {
    // 30 in 10,000 words.
    let page = "sooner ".repeat(3) + &"if word ".repeat(498) + "word";
    let others = stored_bounds(0).replace("sooner 0\n", "");
    // The bound, the violations, the warnings, and whether it can be lowered.
    let rows = [
        ("sooner 30\n", 0, 0, true),
        ("sooner 40\n", 0, 1, true),
        // Of all prose and of the pages.
        ("sooner 20\n", 2, 0, false),
        ("", 1, 0, false),
        ("sooner 30\nwhere 9\n", 1, 0, true),
        ("sooner 30\nlater 9\n", 1, 0, true),
    ];
    for (bound, violations, warned, can_fall) in rows {
        let bounds = format!("{others}{bound}");
        let tree = Tree::new(&[("README.md", &page), (BOUNDS, &bounds)]);
        assert_eq!(check(&tree).len(), violations, "{bound}: {:?}", check(&tree));
        assert_eq!(warnings(&tree).len(), warned, "{bound}");
        let lowered = lower(&tree);
        assert_eq!(lowered.is_ok(), can_fall, "{bound}: {lowered:?}");
        if let Ok(lowered) = lowered {
            assert!(lowered.contains("\nsooner 30\n") && lowered.lines().is_sorted(), "{lowered}");
            assert!(!lowered.contains("where") && !lowered.contains("later"), "{lowered}");
        }
    }
}

#[test]
fn tables_and_lists() {
    let tree = Tree::new(&[("README.md", "told"), ("crates/job-x/src/a.rs", "//! Is told.")]);
    let table = summary(&tree).unwrap();
    let row = table.lines().find(|line| line.starts_with("told")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells, ["told", "2", "6666.7", "<=2", "1", "5000.0", "1", "10000.0"]);
    assert_eq!(list(&tree, "told").unwrap(), "crates/job-x/src/a.rs: is told.\nREADME.md: told\n");
    assert!(list(&tree, "tolled").is_err());
}

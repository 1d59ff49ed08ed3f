//! Checks that each invariant in ARCHITECTURE.md and each promise in RELIABILITY.md has a row that
//! names the checks which execute it, and that these checks exist.

use super::{CHECKS, Tree};

/// The rows. `[FILE]` starts the rows of a document. A row is a sentence of that document, and
/// below it, indented, the checks that execute it, one a line. A line that starts with `#` is a
/// comment.
const ROWS: &str = "xtask/invariants.txt";

/// Finds the sentences of a document that need a row.
type FindSentences = fn(&str) -> Vec<String>;

const DOCUMENTS: [(&str, FindSentences); 2] =
    [("ARCHITECTURE.md", invariants), ("RELIABILITY.md", promises)];

/// The checks of one sentence.
#[derive(Debug, PartialEq)]
struct Row<'a> {
    document: &'a str,
    sentence: &'a str,
    checks: Vec<&'a str>,
}

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let (rows, mut violations) = parse_rows(tree.file(ROWS).unwrap_or_default());
    for (document, find_sentences) in DOCUMENTS {
        let sentences = find_sentences(tree.file(document).unwrap_or_default());
        if sentences.is_empty() {
            violations.push(format!("{document} has no sentence that needs a row in {ROWS}"));
        }
        let rows: Vec<&str> =
            rows.iter().filter(|row| row.document == document).map(|row| row.sentence).collect();
        violations.extend(compare(document, &sentences, &rows));
    }
    violations.extend(rows.iter().flat_map(|row| check_row(tree, row)));
    violations
}

/// Returns the items of each list that follows the line `Invariants:`. An item may continue on
/// indented lines.
fn invariants(text: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    let mut is_in_list = false;
    for line in text.lines() {
        if line == "Invariants:" {
            is_in_list = true;
        } else if let (true, Some(item)) = (is_in_list, line.strip_prefix("- ")) {
            items.push(item.trim().into());
        } else if let (true, Some(more), Some(item)) =
            (is_in_list, line.strip_prefix("  "), items.last_mut())
        {
            *item = format!("{item} {}", more.trim());
        } else if !line.is_empty() {
            is_in_list = false;
        }
    }
    items
}

/// Returns the bold text at the start of each paragraph in the section `Promises`.
fn promises(text: &str) -> Vec<String> {
    let section = text.split("\n## Promises\n").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let sentence = |paragraph: &str| {
        let (sentence, _) = paragraph.trim().strip_prefix("**")?.split_once("**")?;
        Some(sentence.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    section.split("\n\n").filter_map(sentence).collect()
}

/// Returns the rows, and a violation for each line that belongs to no row.
fn parse_rows(text: &str) -> (Vec<Row<'_>>, Vec<String>) {
    let (mut rows, mut violations) = (Vec::<Row<'_>>::new(), Vec::new());
    let (mut document, mut is_in_row) = (None, false);
    for (number, line) in text.lines().enumerate() {
        let heading = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
        if line.is_empty() || line.starts_with('#') {
            is_in_row = false;
        } else if heading.is_some() {
            (document, is_in_row) = (heading, false);
        } else if let (Some(check), true, Some(row)) =
            (line.strip_prefix("    "), is_in_row, rows.last_mut())
        {
            row.checks.push(check.trim());
        } else if let (Some(document), false) = (document, line.starts_with(' ')) {
            rows.push(Row { document, sentence: line.trim_end(), checks: Vec::new() });
            is_in_row = true;
        } else {
            violations.push(format!("{ROWS}:{}: this line belongs to no row", number + 1));
        }
    }
    (rows, violations)
}

/// Compares the sentences of a document with its rows. Each sentence must have one row.
fn compare(document: &str, sentences: &[String], rows: &[&str]) -> Vec<String> {
    let mut violations = Vec::new();
    for sentence in sentences {
        match rows.iter().filter(|row| *row == sentence).count() {
            0 => violations.push(format!("{document}: add a row to {ROWS} for: {sentence}")),
            1 => {}
            _ => violations.push(format!("{ROWS} has two rows for: {sentence}")),
        }
    }
    let is_stale = |row: &&&str| !sentences.iter().any(|sentence| sentence == **row);
    let stale = rows.iter().filter(is_stale);
    violations.extend(stale.map(|row| format!("{ROWS}: {document} has no such sentence: {row}")));
    violations
}

fn check_row(tree: &Tree, row: &Row<'_>) -> Vec<String> {
    let Row { document, sentence, checks } = row;
    let mut violations = Vec::new();
    if !DOCUMENTS.iter().any(|(known, _)| known == document) {
        violations.push(format!("{ROWS}: [{document}] is not a document with invariants"));
    }
    if checks.is_empty() {
        violations.push(format!("{ROWS}: this row names no check: {sentence}"));
    }
    let missing = checks.iter().filter(|check| !exists(tree, check));
    violations.extend(missing.map(|check| format!("{ROWS}: no such check: `{check}`")));
    violations
}

/// Whether a check of this name exists: `tidy::name`, a task such as `xtask::fuzz`, an enabled lint
/// such as `clippy::name`, or a test as `path/to/file.rs::name`.
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

/// Whether the text has a test of this name: the line before the function must be its test
/// attribute.
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
    const ARCHITECTURE: &str = "# A\n\nInvariants:\n\n- A is B.\n";
    const RELIABILITY: &str = "# R\n\n## Promises\n\n**C is D.** Limits: none.\n";

    /// Returns the violations of these documents and rows.
    fn violations(architecture: &str, reliability: &str, rows: &str) -> Vec<String> {
        check(&Tree::new(&[
            ("ARCHITECTURE.md", architecture),
            ("RELIABILITY.md", reliability),
            (ROWS, rows),
            ("Cargo.toml", MANIFEST),
            ("crates/job-x/tests/x.rs", TESTS),
            ("xtask/src/fuzz.rs", ""),
        ]))
    }

    #[test]
    fn rows_must_name_existing_checks() {
        let rows = [
            ("    tidy::layering\n", 0),
            ("    tidy::layer\n", 1),
            ("    xtask::fuzz\n", 0),
            ("    xtask::buzz\n", 1),
            ("    clippy::dbg_macro\n    rust::unsafe_code\n", 0),
            ("    clippy::dbg\n", 1),
            ("    clippy::todo\n", 1),
            ("    clippy::unsafe_code\n", 1),
            ("    crates/job-x/tests/x.rs::holds\n", 0),
            ("    crates/job-x/tests/x.rs::holds_on\n", 0),
            ("    crates/job-x/tests/x.rs::hold\n", 1),
            ("    crates/job-x/tests/x.rs::helps\n", 1),
            ("    crates/job-x/tests/x.rs::held\n", 1),
            ("    crates/job-x/tests/y.rs::holds\n", 1),
            ("    tidy::layering\n    tidy::none\n", 1),
            ("    reviewed by eye\n", 1),
            ("", 1),
        ];
        for (checks, expected) in rows {
            let rows = format!(
                "[ARCHITECTURE.md]\nA is B.\n{checks}\n[RELIABILITY.md]\nC is D.\n    tidy::rooms\n"
            );
            let violations = violations(ARCHITECTURE, RELIABILITY, &rows);
            assert_eq!(violations.len(), expected, "{checks}: {violations:?}");
        }
    }

    #[test]
    fn each_sentence_has_one_row_and_each_row_a_sentence() {
        let c = "[RELIABILITY.md]\nC is D.\n    tidy::rooms\n";
        let rows = [
            (format!("[ARCHITECTURE.md]\nA is B.\n    tidy::rooms\n{c}"), 0),
            (format!("# A comment\n\n{c}\n[ARCHITECTURE.md]\n\nA is B.\n    tidy::rooms\n"), 0),
            // A sentence without a row.
            (c.to_owned(), 1),
            (String::new(), 2),
            // A row without a sentence; the sentence has none.
            (format!("[ARCHITECTURE.md]\nA is C.\n    tidy::rooms\n{c}"), 2),
            (format!("{c}A is B.\n    tidy::rooms\n"), 2),
            (format!("[README.md]\nA is B.\n    tidy::rooms\n{c}"), 2),
            // Two rows.
            (format!("[ARCHITECTURE.md]\nA is B.\n    tidy::rooms\n{c}{c}"), 1),
            // A line outside of a row.
            (format!("A is B.\n[ARCHITECTURE.md]\nA is B.\n    tidy::rooms\n{c}"), 1),
            (format!("[ARCHITECTURE.md]\n    tidy::rooms\nA is B.\n    tidy::rooms\n{c}"), 1),
            (format!("[ARCHITECTURE.md]\nA is B.\n    tidy::rooms\n\n    tidy::rooms\n{c}"), 1),
            (format!("[ARCHITECTURE.md]\nA is B.\n  tidy::rooms\n{c}"), 2),
        ];
        for (rows, expected) in rows {
            let violations = violations(ARCHITECTURE, RELIABILITY, &rows);
            assert_eq!(violations.len(), expected, "{rows}: {violations:?}");
        }
    }

    #[test]
    fn invariants_are_the_items_of_the_lists() {
        let rows: [(&str, &[&str]); 5] = [
            (
                "Invariants:\n\n- A is\n  B.\n- `c` is D.\n\nText.\n\n- E.\n",
                &["A is B.", "`c` is D."],
            ),
            ("- A.\n\nInvariants:\n- B.\n## C\n- D.\nInvariants:\n- E.", &["B.", "E."]),
            ("Invariants: A.\n- B.\n", &[]),
            ("Invariants:\n  A.\n", &[]),
            ("", &[]),
        ];
        for (text, expected) in rows {
            assert_eq!(invariants(text), expected, "{text}");
            let violations =
                violations(text, RELIABILITY, "[RELIABILITY.md]\nC is D.\n    tidy::rooms\n");
            assert_eq!(violations.len(), expected.len().max(1), "{text}: {violations:?}");
        }
    }

    #[test]
    fn promises_are_the_bold_starts_of_paragraphs() {
        let rows: [(&str, &[&str]); 4] = [
            (
                "# R\n\n**A.**\n\n## Promises\n\n**B\nis C.** D.\n\nNot **E.**\n\n**F.**\n",
                &["B is C.", "F."],
            ),
            ("# R\n\n## Promises\n\n**A.**\n\n- **B.**\n\n## C\n\n**D.**\n", &["A."]),
            ("# R\n\n## Promises\n\n**A.\n", &[]),
            ("# R\n\n**A.**\n", &[]),
        ];
        for (text, expected) in rows {
            assert_eq!(promises(text), expected, "{text}");
        }
    }
}

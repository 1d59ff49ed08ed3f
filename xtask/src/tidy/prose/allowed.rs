//! The allow-list: phrases in which a counted word is the right one.

use super::{
    pattern::{self, Allowed, PATTERNS},
    text::Text,
};
use crate::tidy::Tree;

/// The file of the allow-list. A row is a pattern's name, a phrase and a reason, with ` | ` between
/// them. Lines that start with `#` are comments.
const FILE: &str = "xtask/prose-allowed.txt";

const MAX_ROWS: usize = 20;

/// A shorter phrase could allow a pattern almost everywhere.
const MIN_PHRASE_WORDS: usize = 4;

/// Reads the allow-list. Invalid rows are left out; [`check`] reports them.
pub(super) fn read(tree: &Tree) -> Vec<Allowed<'_>> {
    rows(tree).filter_map(parse).collect()
}

/// Checks the allow-list: its rows must be complete, few and in use.
pub(super) fn check(tree: &Tree, texts: &[Text]) -> Vec<String> {
    let mut violations = Vec::new();
    let count = rows(tree).count();
    if count > MAX_ROWS {
        violations.push(format!("{FILE} has {count} rows; the maximum is {MAX_ROWS}"));
    }
    for row in rows(tree) {
        let Some(allowed) = parse(row) else {
            violations.push(format!(
                "{FILE}: a row is `pattern | phrase of at least {MIN_PHRASE_WORDS} words | reason`: {row}"
            ));
            continue;
        };
        match is_used(&allowed, texts) {
            Ok(true) => {}
            Ok(false) => {
                violations.push(format!("{FILE}: remove the row that allows nothing: {row}"))
            }
            Err(error) => violations.push(error),
        }
    }
    violations
}

fn rows(tree: &Tree) -> impl Iterator<Item = &str> {
    let rows = tree.file(FILE).unwrap_or_default().lines();
    rows.filter(|row| !row.trim().is_empty() && !row.starts_with('#'))
}

fn parse(row: &str) -> Option<Allowed<'_>> {
    let mut cells = row.splitn(3, " | ").map(str::trim);
    let (pattern, phrase, reason) = (cells.next()?, cells.next()?, cells.next()?);
    let is_pattern = PATTERNS.iter().any(|(name, ..)| *name == pattern);
    let is_long = phrase.split_whitespace().count() >= MIN_PHRASE_WORDS;
    (is_pattern && is_long && !reason.is_empty()).then_some(Allowed { pattern, phrase })
}

/// Whether a match of the pattern is within the phrase somewhere in the workspace.
fn is_used(allowed: &Allowed<'_>, texts: &[Text]) -> Result<bool, String> {
    let phrase = allowed.phrase.to_lowercase();
    let patterns = pattern::compile(&[])?;
    let pattern = patterns.iter().find(|pattern| pattern.name == allowed.pattern);
    let has_match = pattern.is_some_and(|pattern| !pattern.find_all(&phrase).is_empty());
    Ok(has_match && texts.iter().any(|text| text.prose.contains(&phrase)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::prose::text;

    #[test]
    fn rows_are_complete_few_and_in_use() {
        let page = "The folder where the files are. It is told.";
        let rows = [
            (String::new(), 0),
            ("# a comment\n\nwhere | folder where the files | a place".into(), 0),
            ("where | Folder where the files | a place".into(), 0),
            ("where | folder where the files".into(), 1),
            ("where | folder where the files | ".into(), 1),
            ("where | where the | too short".into(), 1),
            ("there | folder where the files | no such pattern".into(), 1),
            ("where | a folder where it is | not in the page".into(), 1),
            ("told | folder where the files | without a match".into(), 1),
            ("where | folder where the files | a place\n".repeat(MAX_ROWS + 1), 1),
        ];
        for (list, expected) in rows {
            let tree = Tree::new(&[("README.md", page), (FILE, &list)]);
            let violations = check(&tree, &text::read(&tree));
            assert_eq!(violations.len(), expected, "{list}: {violations:?}");
        }
    }

    #[test]
    fn allowed_phrases_are_not_counted() {
        let list = "where | the folder where the files | a place";
        let tree = Tree::new(&[(FILE, list)]);
        let patterns = pattern::compile(&read(&tree)).unwrap();
        let count = |prose| {
            let of = |pattern: &pattern::Pattern| pattern.find_all(prose).len();
            patterns.iter().map(of).sum::<usize>()
        };
        assert_eq!(count("the folder where the files are"), 0);
        assert_eq!(count("the folder where the file is"), 1);
        assert_eq!(count("where the folder where the files are"), 1);
    }
}

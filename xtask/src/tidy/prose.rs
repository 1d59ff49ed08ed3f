//! Counts the wording that this project no longer uses, in comments, docs, pages and help texts. A count
//! may fall and never grow: the bounds are stored in a file.
//!
//! The first version of the project had a dialect of its own: `where` for "if", `told` for "reported",
//! short inverted sentences. `cargo xtask tidy --count` prints how much of it is left.

mod text;

use std::collections::BTreeMap;

use regex::Regex;

use self::text::Text;
use super::Tree;

/// The file of the bounds: rows of a pattern's name and its bound, sorted by name.
pub(super) const BOUNDS: &str = "xtask/prose-bounds.txt";

/// Each pattern: its name, the regular expression of lower-case text, and the matches that are ordinary
/// English and do not count.
const PATTERNS: &[(&str, &str, &str)] = &[
    ("anew-mend", r"\b(anew|befall(s|en)?|befell|heed(s|ed|ing)?|lest|mend(s|ed|ing)?)\b", ""),
    ("but-for", r"\bbut for\b", ""),
    ("come-to", r"\b(comes?|came|coming) to\b", ""),
    ("comma-for", r", for \w+", r"^, for (example|instance)$"),
    ("decides-nothing", r"\b(decides|judges|knows) (no|none|nobody|nothing)\b", ""),
    ("go-by", r"\b(go|goes|going|gone|went) by\b", ""),
    ("is-no", r"\b(there )?(is|are|was|were) (none|no longer|no)\b", r"^there |longer$"),
    ("nor", r"\bnor\b", ""),
    ("said", r"\b(said|says?)\b", ""),
    ("so-many", r"\b(so (few|long|many|much|often)|as (many|often))\b|\bof (these|those)\b", ""),
    ("sooner", r"\bsooner\b", ""),
    ("told", r"\b(tell(s|ing)?|told)\b", ""),
    ("whatever", r"\b(whatever|wherever|whichever)\b|\bhowever (long|many|much|often)\b", ""),
    (
        "where",
        r"\bwhere (it|there|that|the|a|an|none|one|no|nothing|nobody|they|others|what|this|many|all)\b",
        "",
    ),
    ("who", r"\b(whoever|whomever|whom)\b|\bwho \w+", ""),
];

/// A compiled pattern.
struct Pattern {
    name: &'static str,
    regex: Regex,
    ordinary: Option<Regex>,
}

/// The counts of an area.
#[derive(Default)]
struct Counts {
    words: usize,
    /// In the order of [`PATTERNS`].
    matches: Vec<usize>,
}

/// The stored bounds by the pattern's name.
type Bounds<'a> = BTreeMap<&'a str, usize>;

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let bounds = bounds(tree);
    let counts = match totals(tree) {
        Ok(counts) => counts,
        Err(error) => return vec![error],
    };
    let violation = |(name, count): (&str, usize)| match bounds.get(name) {
        Some(bound) if count > *bound => Some(format!(
            "`{name}`: {count} matches, at most {bound} allowed: write it in plain English; `cargo xtask \
             tidy --count {name}` lists the matches"
        )),
        Some(_) => None,
        None => Some(format!("`{name}` has no bound: add the row `{name} {count}` to {BOUNDS}")),
    };
    counts.into_iter().filter_map(violation).collect()
}

pub(super) fn warnings(tree: &Tree) -> Vec<String> {
    let bounds = bounds(tree);
    let is_lower =
        |(name, count): &(&str, usize)| bounds.get(name).is_some_and(|bound| count < bound);
    let lower: Vec<_> = totals(tree).unwrap_or_default().into_iter().filter(is_lower).collect();
    if lower.is_empty() {
        return Vec::new();
    }
    let lower: Vec<_> = lower.iter().map(|(name, count)| format!("{name} {count}")).collect();
    vec![format!(
        "run `cargo xtask tidy --count --lower`, as counts have fallen: {}",
        lower.join(", ")
    )]
}

/// Returns the file of bounds with each bound lowered to its count.
///
/// # Errors
///
/// Returns the violations if a count is above its bound, or has none: a bound is never raised.
pub(super) fn lower(tree: &Tree) -> Result<String, Vec<String>> {
    let bounds = bounds(tree);
    let counts = totals(tree).map_err(|error| vec![error])?;
    let grown =
        counts.iter().filter(|(name, count)| bounds.get(name).is_some_and(|bound| count > bound));
    let mut refused: Vec<String> = grown
        .map(|(name, count)| format!("`{name}`: {count} is above its bound {}", bounds[name]))
        .collect();
    // Otherwise a bound could be raised if its row is deleted first.
    let unbounded = counts.iter().filter(|(name, _)| !bounds.contains_key(name));
    refused.extend(unbounded.map(|(name, _)| format!("`{name}` has no bound")));
    if !refused.is_empty() {
        return Err(refused);
    }
    Ok(counts.iter().map(|(name, count)| format!("{name} {count}\n")).collect())
}

/// Returns the counts of all patterns, in total and by area, as a table.
///
/// # Errors
///
/// Returns an error if a pattern is invalid.
pub(super) fn summary(tree: &Tree) -> Result<String, String> {
    let patterns = patterns()?;
    let mut areas: BTreeMap<String, Counts> = BTreeMap::new();
    let mut all = Counts::default();
    for Text { area, prose, .. } in text::read(tree) {
        for counts in [areas.entry(area).or_default(), &mut all] {
            counts.add(&patterns, &prose);
        }
    }
    let mut table = format!("{:16}{:>7}{:>8}", "", "all", "per 10k");
    areas.keys().for_each(|area| table += &format!("{:>14}", area.trim_start_matches("job-")));
    table += &format!("\n{:16}{:>7}{:>8}", "words", all.words, "");
    areas.values().for_each(|counts| table += &format!("{:>14}", counts.words));
    for (at, pattern) in patterns.iter().enumerate() {
        table += &format!("\n{:16}{:>7}{:>8.1}", pattern.name, all.matches[at], all.rate(at));
        for counts in areas.values() {
            table += &format!("{:>6}{:>8.1}", counts.matches[at], counts.rate(at));
        }
    }
    table += "\n\nEach area has the count and the rate per 10,000 words. The areas are the comments and docs of a \
              crate,\nthe help texts in constants (`help`; those in doc comments count in their crate), the \
              comments of\nmanifests (*.toml) and the pages (*.md).\n";
    Ok(table)
}

/// Returns each match of a pattern with its file and the words around it.
///
/// # Errors
///
/// Returns an error if there is no such pattern.
pub(super) fn list(tree: &Tree, name: &str) -> Result<String, String> {
    let patterns = patterns()?;
    let names = || patterns.iter().map(|pattern| pattern.name).collect::<Vec<_>>().join(", ");
    let pattern = patterns.iter().find(|pattern| pattern.name == name);
    let pattern =
        pattern.ok_or_else(|| format!("no pattern `{name}`; the patterns are {}", names()))?;
    let mut list = String::new();
    for Text { path, prose, .. } in text::read(tree) {
        for (start, end) in pattern.find_all(&prose) {
            let before =
                prose[..start].char_indices().rev().take(30).last().map_or(start, |(at, _)| at);
            let after = prose[end..].char_indices().nth(40).map_or(prose.len(), |(at, _)| end + at);
            list += &format!("{path}: {}\n", prose[before..after].replace('\n', " "));
        }
    }
    Ok(list)
}

fn patterns() -> Result<Vec<Pattern>, String> {
    let compile = |pattern| Regex::new(pattern).map_err(|error| error.to_string());
    let patterns = PATTERNS.iter().map(|(name, regex, ordinary)| {
        let ordinary = if ordinary.is_empty() { None } else { Some(compile(ordinary)?) };
        Ok(Pattern { name, regex: compile(regex)?, ordinary })
    });
    patterns.collect()
}

/// Returns each pattern's name and its count in the whole tree.
fn totals(tree: &Tree) -> Result<Vec<(&'static str, usize)>, String> {
    let patterns = patterns()?;
    let mut all = Counts::default();
    text::read(tree).iter().for_each(|text| all.add(&patterns, &text.prose));
    all.matches.resize(patterns.len(), 0);
    Ok(patterns.iter().map(|pattern| pattern.name).zip(all.matches).collect())
}

/// Reads the bounds: a row is a name and a number.
fn bounds(tree: &Tree) -> Bounds<'_> {
    let rows = tree.file(BOUNDS).unwrap_or_default().lines();
    let rows = rows.filter_map(|row| row.split_once(' '));
    rows.filter_map(|(name, bound)| Some((name, bound.parse().ok()?))).collect()
}

impl Pattern {
    /// Returns the start and the end of each match in lower-case text.
    fn find_all(&self, prose: &str) -> Vec<(usize, usize)> {
        let is_ordinary = |found: &str| self.ordinary.as_ref().is_some_and(|o| o.is_match(found));
        let matches = self.regex.find_iter(prose).filter(|found| !is_ordinary(found.as_str()));
        matches.map(|found| (found.start(), found.end())).collect()
    }
}

impl Counts {
    fn add(&mut self, patterns: &[Pattern], prose: &str) {
        self.words +=
            prose.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count();
        self.matches.resize(patterns.len(), 0);
        for (sum, pattern) in self.matches.iter_mut().zip(patterns) {
            *sum += pattern.find_all(prose).len();
        }
    }

    /// Returns the matches of the pattern at this index per 10,000 words.
    fn rate(&self, at: usize) -> f64 {
        self.matches[at] as f64 * 10_000.0 / self.words.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the names of the patterns that match a page with this text, once for each match.
    fn matches(page: &str) -> Vec<&'static str> {
        let counts = totals(&Tree::new(&[("README.md", page)])).unwrap();
        counts.into_iter().flat_map(|(name, count)| vec![name; count]).collect()
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
    fn bounds_only_fall() {
        let page = "told told told";
        let others = || PATTERNS.iter().filter(|(name, ..)| *name != "told");
        let zero: String = others().map(|(name, ..)| format!("{name} 0\n")).collect();
        // The bound, the violations, the warnings, and whether it can be lowered.
        let rows = [
            ("told 3\n", 0, 0, true),
            ("told 2\n", 1, 0, false),
            ("told 4\n", 0, 1, true),
            ("", 1, 0, false),
        ];
        for (bound, violations, warned, can_fall) in rows {
            let bounds = format!("{zero}{bound}");
            let tree = Tree::new(&[("README.md", page), (BOUNDS, &bounds)]);
            assert_eq!(check(&tree).len(), violations, "{bound}: {:?}", check(&tree));
            assert_eq!(warnings(&tree).len(), warned, "{bound}");
            let lowered = lower(&tree);
            assert_eq!(lowered.is_ok(), can_fall, "{bound}: {lowered:?}");
            if let Ok(lowered) = lowered {
                assert!(lowered.contains("\ntold 3\n") && lowered.lines().is_sorted(), "{lowered}");
            }
        }
    }

    #[test]
    fn tables_and_lists() {
        let tree = Tree::new(&[("README.md", "told"), ("crates/job-x/src/a.rs", "//! Is told.")]);
        let table = summary(&tree).unwrap();
        let row = table.lines().find(|line| line.starts_with("told")).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells, ["told", "2", "6666.7", "1", "5000.0", "1", "10000.0"]);
        assert_eq!(
            list(&tree, "told").unwrap(),
            "crates/job-x/src/a.rs: is told.\nREADME.md: told\n"
        );
        assert!(list(&tree, "tolled").is_err());
    }
}

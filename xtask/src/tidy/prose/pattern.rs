//! The patterns that are counted, and their counts.

use regex::Regex;

/// Each pattern: its name, the regular expression of lower-case text, and the matches that are
/// ordinary English and do not count.
pub(super) const PATTERNS: &[(&str, &str, &str)] = &[
    ("anew-mend", r"\b(anew|befall(s|en)?|befell|heed(s|ed|ing)?|lest|mend(s|ed|ing)?)\b", ""),
    ("because", r"\bbecause\b", ""),
    ("but-for", r"\bbut for\b", ""),
    ("come-to", r"\b(comes?|came|coming) to\b", ""),
    ("comma-for", r", for \w+", r"^, for (example|instance)$"),
    ("decides-nothing", r"\b(decides|judges|knows) (no|none|nobody|nothing)\b", ""),
    ("go-by", r"\b(go|goes|going|gone|went) by\b", ""),
    ("if", r"\bif\b", ""),
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
pub(super) struct Pattern {
    pub(super) name: &'static str,
    regex: Regex,
    ordinary: Option<Regex>,
    allowed: Vec<String>,
}

/// A phrase in which the matches of a pattern do not count.
pub(super) struct Allowed<'a> {
    pub(super) pattern: &'a str,
    /// The text around the match, as `cargo xtask tidy --count PATTERN` prints it.
    pub(super) phrase: &'a str,
}

/// The counts of an area.
pub(super) struct Counts {
    pub(super) words: usize,
    /// In the order of [`PATTERNS`].
    pub(super) matches: Vec<usize>,
}

/// Compiles [`PATTERNS`]. Matches within an allowed phrase are not found.
///
/// # Errors
///
/// Returns an error if a regular expression is invalid.
pub(super) fn compile(allowed: &[Allowed<'_>]) -> Result<Vec<Pattern>, String> {
    let regex = |pattern| Regex::new(pattern).map_err(|error| error.to_string());
    let patterns = PATTERNS.iter().map(|(name, pattern, ordinary)| {
        let ordinary = if ordinary.is_empty() { None } else { Some(regex(ordinary)?) };
        let allowed = allowed.iter().filter(|allowed| allowed.pattern == *name);
        let allowed = allowed.map(|allowed| allowed.phrase.to_lowercase()).collect();
        Ok(Pattern { name, regex: regex(pattern)?, ordinary, allowed })
    });
    patterns.collect()
}

impl Pattern {
    /// Returns the start and the end of each match in lower-case text.
    pub(super) fn find_all(&self, prose: &str) -> Vec<(usize, usize)> {
        let allowed: Vec<(usize, usize)> = self
            .allowed
            .iter()
            .flat_map(|phrase| prose.match_indices(&**phrase))
            .map(|(at, phrase)| (at, at + phrase.len()))
            .collect();
        let is_allowed = |start, end| allowed.iter().any(|(from, to)| *from <= start && end <= *to);
        let is_ordinary = |found: &str| self.ordinary.as_ref().is_some_and(|o| o.is_match(found));
        let matches = self.regex.find_iter(prose).filter(|found| !is_ordinary(found.as_str()));
        let matches = matches.map(|found| (found.start(), found.end()));
        matches.filter(|(start, end)| !is_allowed(*start, *end)).collect()
    }
}

impl Counts {
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        Self { words: 0, matches: vec![0; patterns.len()] }
    }

    /// Adds the counts of a text.
    pub(super) fn add(&mut self, patterns: &[Pattern], prose: &str) {
        self.words +=
            prose.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count();
        for (sum, pattern) in self.matches.iter_mut().zip(patterns) {
            *sum += pattern.find_all(prose).len();
        }
    }

    /// Adds other counts of the same patterns.
    pub(super) fn merge(&mut self, other: &Self) {
        self.words += other.words;
        self.matches.iter_mut().zip(&other.matches).for_each(|(sum, count)| *sum += count);
    }

    /// Returns the matches of the pattern at this index per 10,000 words.
    pub(super) fn rate(&self, at: usize) -> f64 {
        self.matches[at] as f64 * 10_000.0 / self.words.max(1) as f64
    }
}

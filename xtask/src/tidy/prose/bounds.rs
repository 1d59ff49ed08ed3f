//! The bounds: how often a pattern may match in 10,000 words.

use std::collections::BTreeMap;

use super::pattern::PATTERNS;
use crate::tidy::Tree;

/// The file of the bounds that still fall: rows of a pattern's name and its bound, sorted by name.
pub(in super::super) const FILE: &str = "xtask/prose-bounds.txt";

/// The highest rates that are ordinary English. They do not fall any more.
const FINAL: &[(&str, usize)] =
    &[("anew-mend", 1), ("is-no", 4), ("nor", 3), ("told", 2), ("where", 8), ("who", 2)];

/// The lowest rates of words that plain prose needs.
const MIN: &[(&str, usize)] = &[("if", 25)];

/// Words that are counted for comparison and have no bound.
const UNBOUNDED: &[&str] = &["because"];

/// The bound of a pattern, in matches per 10,000 words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    AtMost(usize),
    AtLeast(usize),
}

/// The bounds by the pattern's name.
pub(super) struct Bounds<'a> {
    /// The stored bounds, which only fall.
    pub(super) falling: BTreeMap<&'a str, usize>,
}

impl<'a> Bounds<'a> {
    /// Reads the stored bounds. Rows that are not a name and a number are left out.
    pub(super) fn read(tree: &'a Tree) -> Self {
        let rows = tree.file(FILE).unwrap_or_default().lines();
        let rows = rows.filter_map(|row| row.split_once(' '));
        let falling = rows.filter_map(|(name, bound)| Some((name, bound.parse().ok()?))).collect();
        Self { falling }
    }

    /// Returns the bound of a pattern.
    pub(super) fn get(&self, name: &str) -> Option<Bound> {
        let find = |bounds: &[(&str, usize)]| {
            bounds.iter().find(|(bounded, _)| *bounded == name).map(|(_, bound)| *bound)
        };
        let at_most = find(FINAL).or_else(|| self.falling.get(name).copied());
        at_most.map(Bound::AtMost).or_else(|| find(MIN).map(Bound::AtLeast))
    }

    /// Returns the patterns that lack a bound, each of which needs a row in the file.
    pub(super) fn missing(&self) -> impl Iterator<Item = &'static str> {
        falling_names().filter(|name| !self.falling.contains_key(name))
    }

    /// Returns the rows of the file that name no pattern with a falling bound.
    pub(super) fn stale(&self) -> impl Iterator<Item = &'a str> {
        self.falling.keys().copied().filter(|name| falling_names().all(|known| known != *name))
    }
}

/// Returns the names of the patterns whose bound is in the file.
pub(super) fn falling_names() -> impl Iterator<Item = &'static str> {
    let is_fixed = |name: &str| {
        FINAL.iter().chain(MIN).any(|(fixed, _)| *fixed == name) || UNBOUNDED.contains(&name)
    };
    PATTERNS.iter().map(|(name, ..)| *name).filter(move |name| !is_fixed(name))
}

impl Bound {
    /// Whether this number of matches in this number of words is within the bound.
    ///
    /// One match is always allowed, and a missing word is only counted if the text is long enough
    /// to need one, because a single word of the short help texts is already a rate of about five
    /// per 10,000.
    pub(super) const fn allows(self, matches: usize, words: usize) -> bool {
        match self {
            Self::AtMost(bound) => matches <= 1 || matches * 10_000 <= bound * words,
            Self::AtLeast(bound) => matches >= bound * words / 10_000,
        }
    }

    /// Returns the lowest bound that allows this number of matches in this number of words.
    pub(super) const fn lowest(matches: usize, words: usize) -> usize {
        if matches <= 1 { 0 } else { (matches * 10_000).div_ceil(words) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_rates() {
        let rows = [
            (Bound::AtMost(2), 2, 10_000, true),
            (Bound::AtMost(2), 3, 10_000, false),
            (Bound::AtMost(2), 4, 20_000, true),
            (Bound::AtMost(2), 1, 2_000, true),
            (Bound::AtMost(2), 2, 2_000, false),
            (Bound::AtMost(0), 1, 0, true),
            (Bound::AtMost(0), 0, 0, true),
            (Bound::AtLeast(25), 25, 10_000, true),
            (Bound::AtLeast(25), 24, 10_000, false),
            (Bound::AtLeast(25), 4, 1_999, true),
            (Bound::AtLeast(25), 4, 2_000, false),
            (Bound::AtLeast(25), 0, 399, true),
            (Bound::AtLeast(25), 0, 400, false),
        ];
        for (bound, matches, words, expected) in rows {
            assert_eq!(bound.allows(matches, words), expected, "{bound:?} {matches} {words}");
        }
        for (matches, words) in [(0, 0), (1, 10), (2, 10_000), (7, 3_000), (3, 60_000)] {
            let lowest = Bound::lowest(matches, words);
            assert!(Bound::AtMost(lowest).allows(matches, words), "{matches} {words}");
            let lower = lowest.checked_sub(1).map(Bound::AtMost);
            assert!(lower.is_none_or(|bound| !bound.allows(matches, words)), "{matches} {words}");
        }
    }

    #[test]
    fn every_pattern_has_one_kind_of_bound() {
        let fixed = FINAL.iter().chain(MIN).map(|(name, _)| *name).chain(UNBOUNDED.iter().copied());
        let mut names: Vec<&str> = fixed.chain(falling_names()).collect();
        names.sort_unstable();
        let patterns: Vec<&str> = PATTERNS.iter().map(|(name, ..)| *name).collect();
        assert_eq!(names, patterns);
    }
}

//! Checks the wording of comments, docs, pages and help texts: how often a word of the project's
//! old wording may occur in 10,000 words, and how often plain words such as `if` must.
//!
//! The first version of the project had a dialect of its own: `where` for "if", `told` for
//! "reported", short inverted sentences. `cargo xtask tidy --count` prints how much of it is left.

mod pattern;
mod bounds;
mod allowed;
mod text;

use std::collections::BTreeMap;

pub(super) use self::bounds::FILE as BOUNDS;
use self::{
    bounds::{Bound, Bounds, falling_names},
    pattern::{Counts, Pattern},
    text::{Kind, Text},
};
use super::Tree;

/// The prose of the workspace and its counts.
struct Prose {
    texts: Vec<Text>,
    patterns: Vec<Pattern>,
    /// What the bounds apply to: all prose, and each kind of it.
    groups: [(&'static str, Counts); 4],
}

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let prose = match Prose::read(tree) {
        Ok(prose) => prose,
        Err(error) => return vec![error],
    };
    let bounds = Bounds::read(tree);
    let mut violations = prose.exceeded(&bounds);
    let missing =
        bounds.missing().map(|name| format!("`{name}` has no bound: add a row to {BOUNDS}"));
    violations.extend(missing);
    let stale = bounds.stale().map(|name| {
        format!("{BOUNDS}: remove the row `{name}`, which is not a pattern with a falling bound")
    });
    violations.extend(stale);
    violations.extend(allowed::check(tree, &prose.texts));
    violations
}

pub(super) fn warnings(tree: &Tree) -> Vec<String> {
    let Ok(prose) = Prose::read(tree) else {
        return Vec::new();
    };
    let bounds = Bounds::read(tree);
    let lowest = prose.lowest_bounds();
    let lower: Vec<String> = lowest
        .into_iter()
        .filter(|(name, lowest)| bounds.falling.get(name).is_some_and(|bound| lowest < bound))
        .map(|(name, lowest)| format!("{name} {lowest}"))
        .collect();
    if lower.is_empty() {
        return Vec::new();
    }
    let lower = lower.join(", ");
    vec![format!("run `cargo xtask tidy --count --lower`, because rates have fallen: {lower}")]
}

/// Returns the file of bounds with each bound lowered to the present rate.
///
/// # Errors
///
/// Returns the violations if a rate is above its bound or has no bound, because a bound is never
/// raised.
pub(super) fn lower(tree: &Tree) -> Result<String, Vec<String>> {
    let prose = Prose::read(tree).map_err(|error| vec![error])?;
    let bounds = Bounds::read(tree);
    let lowest = prose.lowest_bounds();
    // A missing row is an error, too. Otherwise a bound could be raised if its row is deleted
    // first.
    let refused: Vec<String> = lowest
        .iter()
        .filter_map(|(name, lowest)| match bounds.falling.get(name) {
            Some(bound) if lowest > bound => {
                Some(format!("`{name}`: {lowest} per 10,000 words is above its bound {bound}"))
            }
            Some(_) => None,
            None => Some(format!("`{name}` has no bound")),
        })
        .collect();
    if !refused.is_empty() {
        return Err(refused);
    }
    Ok(lowest.iter().map(|(name, lowest)| format!("{name} {lowest}\n")).collect())
}

/// Returns the counts of all patterns, in total and by area, as a table.
///
/// # Errors
///
/// Returns an error if a pattern is invalid.
pub(super) fn summary(tree: &Tree) -> Result<String, String> {
    let Prose { texts, patterns, groups } = Prose::read(tree)?;
    let bounds = Bounds::read(tree);
    let mut areas: BTreeMap<&str, Counts> = BTreeMap::new();
    for Text { area, prose, .. } in &texts {
        areas.entry(area).or_insert_with(|| Counts::new(&patterns)).add(&patterns, prose);
    }
    let all = &groups[0].1;
    let mut table = format!("{:16}{:>7}{:>8}{:>7}", "", "all", "per 10k", "bound");
    areas.keys().for_each(|area| table += &format!("{:>14}", area.trim_start_matches("job-")));
    table += &format!("\n{:16}{:>7}{:>15}", "words", all.words, "");
    areas.values().for_each(|counts| table += &format!("{:>14}", counts.words));
    for (at, pattern) in patterns.iter().enumerate() {
        let bound = match bounds.get(pattern.name) {
            Some(Bound::AtMost(bound)) => format!("<={bound}"),
            Some(Bound::AtLeast(bound)) => format!(">={bound}"),
            None => "-".into(),
        };
        let (name, matches, rate) = (pattern.name, all.matches[at], all.rate(at));
        table += &format!("\n{name:16}{matches:>7}{rate:>8.1}{bound:>7}");
        for counts in areas.values() {
            table += &format!("{:>6}{:>8.1}", counts.matches[at], counts.rate(at));
        }
    }
    table += "\n\nEach area has the count and the rate per 10,000 words. The areas are the comments and docs of a \
              crate,\nthe help texts of the command (`help`), the comments of manifests (*.toml) and the pages \
              (*.md).\nA bound holds for all prose, for all comments and docs, for the pages and for the help texts.\n";
    Ok(table)
}

/// Returns each match of a pattern with its file and the words around it.
///
/// # Errors
///
/// Returns an error if there is no such pattern.
pub(super) fn list(tree: &Tree, name: &str) -> Result<String, String> {
    let Prose { texts, patterns, .. } = Prose::read(tree)?;
    let names = || patterns.iter().map(|pattern| pattern.name).collect::<Vec<_>>().join(", ");
    let pattern = patterns.iter().find(|pattern| pattern.name == name);
    let pattern =
        pattern.ok_or_else(|| format!("no pattern `{name}`; the patterns are {}", names()))?;
    let mut list = String::new();
    for Text { path, prose, .. } in texts {
        for (start, end) in pattern.find_all(&prose) {
            let before =
                prose[..start].char_indices().rev().take(30).last().map_or(start, |(at, _)| at);
            let after = prose[end..].char_indices().nth(40).map_or(prose.len(), |(at, _)| end + at);
            list += &format!("{path}: {}\n", prose[before..after].replace('\n', " "));
        }
    }
    Ok(list)
}

impl Prose {
    fn read(tree: &Tree) -> Result<Self, String> {
        let patterns = pattern::compile(&allowed::read(tree))?;
        let texts = text::read(tree);
        let mut groups = ["all prose", "comments and docs", "pages", "help texts"]
            .map(|name| (name, Counts::new(&patterns)));
        for Text { kind, prose, .. } in &texts {
            let mut counts = Counts::new(&patterns);
            counts.add(&patterns, prose);
            let of_kind = match kind {
                Kind::Comment => 1,
                Kind::Page => 2,
                Kind::Help => 3,
            };
            [0, of_kind].into_iter().for_each(|group| groups[group].1.merge(&counts));
        }
        Ok(Self { texts, patterns, groups })
    }

    /// Returns a violation for each pattern and group whose rate is out of bounds.
    fn exceeded(&self, bounds: &Bounds<'_>) -> Vec<String> {
        let mut violations = Vec::new();
        for (at, Pattern { name, .. }) in self.patterns.iter().enumerate() {
            let Some(bound) = bounds.get(name) else {
                continue;
            };
            for (group, counts) in &self.groups {
                if bound.allows(counts.matches[at], counts.words) {
                    continue;
                }
                let (limit, advice) = match bound {
                    Bound::AtMost(limit) => {
                        (format!("at most {limit} allowed"), "write it in plain English")
                    }
                    Bound::AtLeast(limit) => {
                        (format!("at least {limit} expected"), "start conditions with it")
                    }
                };
                violations.push(format!(
                    "`{name}`: {:.1} per 10,000 words of {group} ({} in {}), {limit}: {advice}; `cargo xtask \
                     tidy --count {name}` lists the matches",
                    counts.rate(at), counts.matches[at], counts.words
                ));
            }
        }
        violations
    }

    /// Returns each pattern whose bound is stored, and the lowest bound that allows the present
    /// rates.
    fn lowest_bounds(&self) -> Vec<(&'static str, usize)> {
        let lowest = |name: &str| {
            let at = self.patterns.iter().position(|pattern| pattern.name == name);
            let counts = self.groups.iter().map(|(_, counts)| counts);
            at.and_then(|at| counts.map(|c| Bound::lowest(c.matches[at], c.words)).max())
        };
        falling_names().map(|name| (name, lowest(name).unwrap_or_default())).collect()
    }
}

#[cfg(test)]
mod tests;

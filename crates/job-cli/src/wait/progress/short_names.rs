//! Shortens names so that the part stays which distinguishes them from each other, such as
//! `pool-…-042`.

use std::{borrow::Cow, collections::BTreeMap};

/// Shortens the names of one display.
pub(crate) struct ShortNames<'a> {
    width: usize,
    /// For each name, the number of characters that it has in common with the most similar other
    /// name, from the beginning.
    common: BTreeMap<&'a str, usize>,
}

impl<'a> ShortNames<'a> {
    /// Creates short forms of the names, of at most `width` characters each.
    pub(crate) fn new(names: impl Iterator<Item = &'a str>, width: usize) -> Self {
        let mut common: BTreeMap<_, _> =
            names.filter(|name| !name.is_empty()).map(|name| (name, 0)).collect();
        // The most similar name is next to it in the order.
        let mut last = None::<(&str, &mut usize)>;
        for (name, length) in &mut common {
            if let Some((before, before_length)) = last {
                let equal = before.chars().zip(name.chars()).take_while(|(a, b)| a == b).count();
                *before_length = equal.max(*before_length);
                *length = equal;
            }
            last = Some((*name, length));
        }
        if common.len() < 2 {
            // The end of a name, such as a number, usually distinguishes it better than its beginning.
            common.values_mut().for_each(|length| *length = usize::MAX);
        }
        Self { width, common }
    }

    /// Returns a name with at most `width` characters.
    pub(crate) fn shorten<'n>(&self, name: &'n str) -> Cow<'n, str> {
        let common = self.common.get(name).copied().unwrap_or(usize::MAX);
        shorten(name, common, self.width)
    }
}

/// Shortens a name to `width` characters. The first `common` characters are those of another name.
fn shorten(name: &str, common: usize, width: usize) -> Cow<'_, str> {
    let chars: Vec<char> = name.chars().collect();
    let length = chars.len();
    if length <= width {
        return name.into();
    }
    let text = |part: &[char]| part.iter().collect::<String>();
    // The first character that distinguishes the name, and the beginning of its word with the
    // separator before it.
    let distinct = common.min(length - 1);
    let word = chars[..distinct].iter().rposition(|c| !c.is_alphanumeric()).unwrap_or(0);
    let end = length - word;
    if word > 0 && end + 2 <= width {
        let beginning = text(&chars[..width - 1 - end]);
        return format!("{beginning}…{}", text(&chars[word..])).into();
    }
    let Some(inner) = width.checked_sub(2).filter(|inner| *inner > 0) else {
        return text(&chars[distinct..(distinct + width).min(length)]).into();
    };
    // The whole word is not visible, so at least this character is, in the middle.
    let start = if distinct - word < inner { word } else { distinct - inner / 2 };
    match (start, length - start) {
        (0, _) => format!("{}…", text(&chars[..=inner])).into(),
        (_, rest) if rest <= inner + 1 => format!("…{}", text(&chars[length - inner - 1..])).into(),
        _ => format!("…{}…", text(&chars[start..start + inner])).into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_part_that_distinguishes_names_stays() {
        let pool = ["pool-a-very-long-name-041", "pool-a-very-long-name-042"];
        let two_pools = ["pool-blue-nodes-1", "pool-blue-nodes-2", "pool-green-nodes-1"];
        let suffix = ["prod-cluster-01-eu-west-101-a", "prod-cluster-02-eu-west-101-a"];
        let hashes = ["9f86d081884c7d659a2feaa0c55ad015", "9f86d081884c7d659a2feaa0c55ad016"];
        let rows: [(&[&str], usize, &[&str]); 9] = [
            (&pool, 30, &pool),
            (&pool, 12, &["pool-a-…-041", "pool-a-…-042"]),
            (&pool, 10, &["pool-…-041", "pool-…-042"]),
            (&pool, 5, &["…-041", "…-042"]),
            (&two_pools, 10, &["pool-bl…-1", "pool-bl…-2", "…-green-n…"]),
            (&suffix, 16, &["…-01-eu-west-10…", "…-02-eu-west-10…"]),
            (&hashes, 8, &["…55ad015", "…55ad016"]),
            (&["a-cluster-with-a-long-name-7"], 12, &["a-cluster…-7"]),
            (&["neighbor", "other"], 4, &["nei…", "oth…"]),
        ];
        for (names, width, expected) in rows {
            let short = ShortNames::new(names.iter().copied(), width);
            let shown: Vec<_> = names.iter().map(|name| short.shorten(name)).collect();
            assert_eq!(shown, expected, "{width}");
        }
    }

    proptest! {
        #[test]
        fn short_names_fit(
            names in prop::collection::vec("[a-cä中-]{0,30}", 1..6),
            width in 0_usize..40,
        ) {
            let short = ShortNames::new(names.iter().map(|name| &**name), width);
            for name in &names {
                let shown = short.shorten(name);
                prop_assert!(shown.chars().count() <= width, "{} in {}", shown, width);
                prop_assert!(name.chars().count() > width || *name == shown);
            }
        }

        #[test]
        fn numbered_names_stay_distinct(
            pool in "[a-z-]{0,40}",
            suffix in "(-[a-z]{1,30})?",
            first in 0_u32..900,
            width in 8_usize..40,
        ) {
            let names: Vec<_> =
                (first..first + 100).map(|number| format!("{pool}-{number:04}{suffix}")).collect();
            let short = ShortNames::new(names.iter().map(|name| &**name), width);
            let mut shown: Vec<_> = names.iter().map(|name| short.shorten(name)).collect();
            shown.sort();
            shown.dedup();
            prop_assert_eq!(shown.len(), names.len());
        }
    }
}

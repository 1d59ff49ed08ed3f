//! How far the hints of a project can be trusted: how many ends they announced.

/// The part of the ends that a hint announced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct HintRecall {
    /// The weight of all ends, and of those that no hint announced. The last end counts as one.
    ends: f64,
    missed: f64,
    /// The number of ends since one that no hint announced.
    announced_in_a_row: u32,
}

/// The weight of an end relative to the next one. About a hundred ends count.
const FORGET_FACTOR: f64 = 0.99;

/// Hints are trusted only if they announced more than this part of the ends.
const MIN_RECALL: f64 = 0.9;

/// Number of ends in a row that hints have to announce before they are trusted, for example after an
/// end that no hint announced.
const MIN_ANNOUNCED_IN_A_ROW: u32 = 3;

impl HintRecall {
    pub(super) const fn new() -> Self {
        Self { ends: 0.0, missed: 0.0, announced_in_a_row: 0 }
    }

    /// Records that a job has ended.
    pub(super) const fn record_end(&mut self, was_announced: bool) {
        self.ends = self.ends * FORGET_FACTOR + 1.0;
        self.missed *= FORGET_FACTOR;
        if was_announced {
            self.announced_in_a_row = self.announced_in_a_row.saturating_add(1);
        } else {
            self.missed += 1.0;
            self.announced_in_a_row = 0;
        }
    }

    /// Returns the probability that no hint announces the next end. 1 if the hints are not trusted.
    pub(super) fn miss_probability(self) -> f64 {
        // The estimate of Jeffreys, which is between the observed part and one half.
        let missed = (self.missed + 0.5) / (self.ends + 1.0);
        let is_trusted =
            self.announced_in_a_row >= MIN_ANNOUNCED_IN_A_ROW && 1.0 - missed > MIN_RECALL;
        if is_trusted { missed } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a` is an end that a hint announced, and `-` one that none did.
    #[test]
    fn hints_are_trusted_if_they_announce_nine_ends_of_ten_and_the_last_three() {
        let rows = [
            ("", false),
            ("aaaa", false),
            ("aaaaa", true),
            ("aaaaaaaaaaaaaaaaaaaa-", false),
            ("aaaaaaaaaaaaaaaaaaaa-aa", false),
            ("aaaaaaaaaaaaaaaaaaaa-aaa", true),
            ("aaaaaaaaaa-aaa", false),
            ("aaaaaaaaaaaa-aaaaaaa-aaa", false),
            ("------------------aaaaaaaaaaaaaaaaaa", false),
        ];
        for (ends, is_trusted) in rows {
            let mut recall = HintRecall::new();
            ends.chars().for_each(|end| recall.record_end(end == 'a'));
            assert_eq!(recall.miss_probability() < 1.0, is_trusted, "{ends}");
        }
    }
}

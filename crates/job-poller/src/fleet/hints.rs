//! How far the hints of a project can be trusted: how many ends they announced.

/// The number of ends in a row that a hint announced.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct HintRecall {
    announced: u32,
}

/// Hints are trusted only if they announced more than this part of the ends.
const MIN_RECALL: f64 = 0.9;

impl HintRecall {
    pub(super) const fn new() -> Self {
        Self { announced: 0 }
    }

    /// Records that a job has ended. One end that no hint announced resets the recall.
    pub(super) const fn record_end(&mut self, was_announced: bool) {
        self.announced = if was_announced { self.announced.saturating_add(1) } else { 0 };
    }

    /// Returns the probability that no hint announces the next end. 1 if the hints are not trusted.
    pub(super) fn miss_probability(self) -> f64 {
        let missed = 1.0 / (f64::from(self.announced) + 1.0);
        if 1.0 - missed > MIN_RECALL { missed } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_trusted_after_ten_announced_ends_and_until_one_is_not() {
        let mut recall = HintRecall::new();
        let mut trusted = Vec::new();
        for was_announced in [[true; 12].as_slice(), &[false], &[true; 10]].concat() {
            recall.record_end(was_announced);
            trusted.push(u8::from(recall.miss_probability() < 1.0));
        }
        let expected = [[0; 9].as_slice(), &[1; 3], &[0], &[0; 9], &[1]].concat();
        assert_eq!(trusted, expected);
    }
}

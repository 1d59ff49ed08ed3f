//! When to draw: drawing takes at most 2 % of a core.

use std::time::Duration;

/// A pause is at least this many times as long as the drawing before it.
const PAUSE_FACTOR: u32 = 49;

/// Decides when the next drawing may start. Time is an argument.
#[derive(Debug)]
pub(super) struct Pace {
    is_drawing: bool,
    next_at: Duration,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self { is_drawing: false, next_at: Duration::ZERO }
    }

    /// Starts a drawing if the pause after the last one is over. Returns whether it did.
    pub(super) fn start(&mut self, now: Duration) -> bool {
        let may_start = !self.is_drawing && now >= self.next_at;
        self.is_drawing |= may_start;
        may_start
    }

    /// Ends the drawing that was started, after it took this much processor time.
    pub(super) fn end(&mut self, now: Duration, took: Duration) {
        self.is_drawing = false;
        self.add(now, took);
    }

    /// Adds the processor time of something else that was drawn.
    pub(super) fn add(&mut self, now: Duration, took: Duration) {
        self.next_at = self.next_at.max(now).saturating_add(took.saturating_mul(PAUSE_FACTOR));
    }

    /// Whether something may be drawn now.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        now >= self.next_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_takes_at_most_2_percent_counted_from_the_end_of_the_last() {
        let ms = Duration::from_millis;
        let mut pace = Pace::new();
        assert!(pace.start(ms(1000)));
        assert!(!pace.start(ms(90_000)), "the first drawing has not ended");
        // The time on the clock does not count: the terminal may have been slow.
        pace.end(ms(90_000), ms(10));
        for (now, expected) in [(90_000, false), (90_489, false), (90_490, true)] {
            assert_eq!((pace.is_over(ms(now)), pace.start(ms(now))), (expected, expected), "{now}");
        }
        pace.end(ms(90_500), ms(1));
        pace.add(ms(90_510), ms(2));
        assert!(!pace.start(ms(90_646)));
        assert!(pace.start(ms(90_647)));
        let (mut now, mut drawn) = (ms(100_000), Duration::ZERO);
        let (mut pace, began, took) = (Pace::new(), now, ms(7));
        while now < began + ms(100_000) {
            if pace.start(now) {
                now += took;
                drawn += took;
                pace.end(now, took);
            }
            now += ms(1);
        }
        assert!((ms(1_950)..=ms(2_007)).contains(&drawn), "{drawn:?} in 100 s");
    }
}

//! What the budget leaves for each. Decides about no wait.

use std::time::Duration;

use super::State;
use crate::Share;

/// How often the price is set.
const PRICE: Duration = Duration::from_millis(100);

/// The longest gap is twice what each wait would have if all had the same. That much of it is planned; after that
/// much, whoever waits for its turn still is the next.
const LONGEST: f64 = 1.9;
pub(super) const STARVES: f64 = 1.95;

impl State {
    /// Returns what the budget leaves for each.
    pub(super) fn share(&self) -> Share {
        Share { worth: self.price.worth(), longest: self.gap(LONGEST) }
    }

    /// Returns so many times the gap that each wait would have if all had the same, while the service is well: what
    /// is planned in a bad minute is not to last for many.
    pub(super) fn gap(&self, times: f64) -> Duration {
        let seconds = self.members.len() as f64 * times / self.budget.most().min(self.capacity());
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// Sets, now and then, the price at which the budget is spent, or as many leave as there may be in flight.
    /// Who is late needs no more: whoever is served late asks later again, and that is enough.
    pub(super) fn set_price(&mut self, now: Duration) {
        if now.saturating_sub(self.priced) < PRICE {
            return;
        }
        self.priced = now;
        self.price.set(self.budget.rate().min(self.capacity()), self.share().longest);
    }

    /// Returns how many a second there are if as many as may be are in flight all the time.
    fn capacity(&self) -> f64 {
        self.most_in_flight as f64 / self.took
    }
}

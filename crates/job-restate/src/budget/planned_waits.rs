//! The waits that a service has planned. Reads no clock, performs no I/O.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use job_poller::{budget::UrgencyBucket, durable::WaitKey};

/// The waits that this service has planned, ordered by the time of their next tick.
///
/// It exists only in memory. It counts the waits for the budget, and finds those whose attempt may
/// be made earlier if a slot would lapse. After a restart it fills with the next ticks.
#[derive(Debug, Default)]
pub(crate) struct PlannedWaits {
    waits: BTreeMap<(Timestamp, WaitKey), PlannedWait>,
    counts: BTreeMap<UrgencyBucket, u32>,
}

/// The plan of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlannedWait {
    /// The number of the next tick.
    pub(crate) tick: u64,
    /// The urgency of the last plan. A wait without one does not count.
    pub(crate) urgency: Option<UrgencyBucket>,
    /// When the attempt may be made at the earliest. `None` if it may not be made before it is due.
    pub(crate) earliest: Option<Timestamp>,
}

/// How long a wait still counts after its tick was due. Another service may have run the tick.
const LATE_TICK: SignedDuration = SignedDuration::from_secs(2);

/// The maximum number of waits that are searched for candidates.
const MAX_SEARCHED: usize = 1000;

impl PlannedWaits {
    pub(crate) fn insert(&mut self, due: Timestamp, key: WaitKey, planned: PlannedWait) {
        self.remove(due, &key);
        if let Some(urgency) = planned.urgency {
            *self.counts.entry(urgency).or_default() += 1;
        }
        self.waits.insert((due, key), planned);
    }

    /// Removes the wait that was planned for this time.
    pub(crate) fn remove(&mut self, due: Timestamp, key: &WaitKey) {
        if let Some(planned) = self.waits.remove(&(due, key.clone())) {
            self.uncount(planned);
        }
    }

    /// Removes the waits that are overdue by more than [`LATE_TICK`]. Another service has run their tick.
    pub(crate) fn remove_late(&mut self, now: Timestamp) {
        while let Some(first) = self.waits.first_entry()
            && now.duration_since(first.key().0) > LATE_TICK
        {
            let planned = first.remove();
            self.uncount(planned);
        }
    }

    fn uncount(&mut self, planned: PlannedWait) {
        if let Some(urgency) = planned.urgency
            && let Some(count) = self.counts.get_mut(&urgency)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&urgency);
            }
        }
    }

    /// Returns the number of waits, by urgency.
    pub(crate) fn counts(&self) -> Vec<(UrgencyBucket, u32)> {
        self.counts.iter().map(|(urgency, count)| (*urgency, *count)).collect()
    }

    /// Returns up to `most` waits that may be advanced, and are due after `soon`.
    pub(crate) fn candidates(
        &self,
        now: Timestamp,
        soon: Timestamp,
        most: usize,
    ) -> Vec<(Timestamp, WaitKey, u64)> {
        let may_advance =
            |planned: &PlannedWait| planned.earliest.is_some_and(|earliest| earliest <= now);
        self.waits
            .iter()
            .take(MAX_SEARCHED)
            .filter(|((due, _), planned)| *due > soon && may_advance(planned))
            .take(most)
            .map(|((due, key), planned)| (*due, key.clone(), planned.tick))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    fn key(name: &str) -> WaitKey {
        format!("p:{name}").parse().unwrap()
    }

    #[test]
    fn waits_are_counted_until_their_tick_and_the_next_ones_may_be_advanced() {
        let mut waits = PlannedWaits::default();
        let urgency = Some(UrgencyBucket::UNKNOWN);
        let planned =
            |earliest: Option<i64>| PlannedWait { tick: 7, urgency, earliest: earliest.map(at) };
        for (name, due, earliest) in [
            ("late", 10, Some(0)),
            ("soon", 20, Some(0)),
            ("fixed", 30, None),
            ("young", 31, Some(21)),
            ("second", 40, Some(20)),
            ("first", 35, Some(0)),
            ("third", 50, Some(0)),
        ] {
            waits.insert(at(due), key(name), planned(earliest));
        }
        let uncounted = PlannedWait { urgency: None, ..planned(None) };
        waits.insert(at(60), key("uncounted"), uncounted);
        assert_eq!(waits.counts(), [(UrgencyBucket::UNKNOWN, 7)]);
        let names = |waits: &PlannedWaits| {
            let candidates = waits.candidates(at(20), at(21), 2).into_iter();
            candidates.map(|(_, key, tick)| format!("{key} {tick}")).collect::<Vec<_>>()
        };
        assert_eq!(names(&waits), ["p:first 7", "p:second 7"]);
        waits.remove(at(35), &key("first"));
        waits.remove(at(35), &key("unknown"));
        waits.remove_late(at(13));
        assert_eq!(waits.counts(), [(UrgencyBucket::UNKNOWN, 5)]);
        assert_eq!(names(&waits), ["p:second 7", "p:third 7"]);
        waits.remove_late(at(1_000));
        assert_eq!((waits.counts(), waits.waits.len()), (Vec::new(), 0));
    }
}

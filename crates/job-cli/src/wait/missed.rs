//! The events that were not printed, because the output was not read in time.

use std::{collections::BTreeMap, time::Duration};

use job_model::JobId;

/// The number of events of each wait that were not printed and not reported yet, by the position of
/// the job on the command line.
#[derive(Debug, Default)]
pub(crate) struct MissedEvents(BTreeMap<usize, Missed>);

/// The events of one wait that were not printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missed {
    pub(crate) job: JobId,
    /// The time of the last of them, since the start of the wait.
    pub(crate) at: Duration,
    pub(crate) events: u64,
}

impl MissedEvents {
    /// Adds events of a wait. The last of them happened at `at`.
    pub(crate) fn add(&mut self, index: usize, job: &JobId, at: Duration, events: u64) {
        let new = || Missed { job: job.clone(), at, events: 0 };
        let missed = self.0.entry(index).or_insert_with(new);
        missed.at = at;
        missed.events = missed.events.saturating_add(events);
    }

    /// Takes the events of one wait.
    pub(crate) fn take(&mut self, index: usize) -> Option<Missed> {
        self.0.remove(&index)
    }

    /// Takes the events of the first wait that has any.
    pub(crate) fn take_first(&mut self) -> Option<Missed> {
        self.0.pop_first().map(|(_, missed)| missed)
    }

    /// Takes the events of all waits, and returns their number.
    pub(crate) fn take_count(&mut self) -> u64 {
        let count = |sum: u64, missed: Missed| sum.saturating_add(missed.events);
        std::mem::take(&mut self.0).into_values().fold(0, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_events_are_counted_per_job_until_they_are_taken() {
        let job = |index: usize| -> JobId { format!("job-{index}").parse().unwrap() };
        let missed = |index, seconds, events| {
            Some(Missed { job: job(index), at: Duration::from_secs(seconds), events })
        };
        let mut all = MissedEvents::default();
        assert_eq!((all.take_first(), all.take(0), all.take_count()), (None, None, 0));
        for (index, at, events) in [(2, 1, 1), (0, 2, 5), (2, 3, 1), (1, 4, 1), (1, 5, u64::MAX)] {
            all.add(index, &job(index), Duration::from_secs(at), events);
        }
        assert_eq!(all.take(1), missed(1, 5, u64::MAX));
        assert_eq!(all.take(1), None);
        assert_eq!(all.take_first(), missed(0, 2, 5));
        assert_eq!(all.take_first(), missed(2, 3, 2));
        for index in [0, 1] {
            all.add(index, &job(index), Duration::ZERO, 2);
        }
        assert_eq!((all.take_count(), all.take_count()), (4, 0));
    }
}

//! The number of notifications that are not delivered yet, as far as this process knows.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The notifications whose last try was made by this process, until the next try is due.
///
/// The next try may be made by another process, which counts the notification from then on. The sum
/// over all processes is therefore the number of undelivered notifications. After a restart, a
/// notification is counted again with its next try, so within five minutes unless the receiver has
/// requested a longer delay.
#[derive(Debug, Default)]
pub(crate) struct Undelivered(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// When the next try is due, by notification and receiver.
    by_key: HashMap<String, Duration>,
    /// The number of entries at which those that are due are removed.
    prune_at: usize,
}

/// How long a notification is counted during a try, in case that the try is interrupted.
const MAX_TRY_DURATION: Duration = Duration::from_secs(60);

/// The number of entries up to which none is searched that could be removed.
const MIN_PRUNE_LEN: usize = 1024;

impl Undelivered {
    /// Counts a notification during a try that begins at `now`.
    pub(crate) fn begin_try(&self, key: &str, now: Duration) {
        let mut entries = self.lock();
        if entries.by_key.len() >= entries.prune_at {
            entries.prune(now);
            entries.prune_at = (entries.by_key.len() * 2).max(MIN_PRUNE_LEN);
        }
        entries.by_key.insert(key.into(), now + MAX_TRY_DURATION);
    }

    /// Counts a notification until its next try, or not any more if there is none.
    pub(crate) fn end_try(&self, key: &str, now: Duration, delay: Option<Duration>) {
        let mut entries = self.lock();
        match delay {
            Some(delay) => drop(entries.by_key.insert(key.into(), now + delay)),
            None => drop(entries.by_key.remove(key)),
        }
    }

    /// Returns the number of undelivered notifications at `now`.
    pub(crate) fn len(&self, now: Duration) -> usize {
        let mut entries = self.lock();
        entries.prune(now);
        entries.by_key.len()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn prune(&mut self, now: Duration) {
        self.by_key.retain(|_, due| *due > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_notification_is_counted_by_the_process_that_made_the_last_try() {
        let processes = [Undelivered::default(), Undelivered::default()];
        let counts = |now| processes.each_ref().map(|process| process.len(now));
        assert_eq!(counts(at(0)), [0, 0]);
        processes[0].begin_try("a", at(0));
        assert_eq!(counts(at(5)), [1, 0], "during the try");
        processes[0].end_try("a", at(10), Some(at(30)));
        assert_eq!(counts(at(39)), [1, 0], "until the next try");
        processes[1].begin_try("a", at(40));
        assert_eq!(counts(at(40)), [0, 1], "another process makes the next try");
        processes[1].end_try("a", at(41), None);
        assert_eq!(counts(at(41)), [0, 0], "delivered, or given up");
        processes[0].begin_try("b", at(50));
        assert_eq!(counts(at(111)), [0, 0], "a try that was interrupted");
    }

    #[test]
    fn entries_of_other_processes_tries_are_removed() {
        let undelivered = Undelivered::default();
        for number in 0..100_000 {
            undelivered.begin_try(&number.to_string(), at(number));
        }
        assert!(undelivered.lock().by_key.len() <= 2 * MIN_PRUNE_LEN);
    }
}

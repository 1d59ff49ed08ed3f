//! Events that a caller has not read yet. If the caller lags, the oldest ones are dropped.

use std::{collections::VecDeque, error::Error, fmt};

/// The number of events that a stream has lost, because it was not read fast enough.
///
/// The next item of the stream is the oldest event that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a count, as in the error of a broadcast channel")]
pub struct Lagged(pub u64);

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} event{plural} lost, because the stream was not read fast enough", self.0)
    }
}

impl Error for Lagged {}

/// A queue of events that is bounded between two steps of a wait.
pub(super) struct EventBuffer<T> {
    events: VecDeque<T>,
    /// Number of events that were dropped since the last `pop`.
    lost: u64,
}

impl<T> EventBuffer<T> {
    pub(super) const fn new() -> Self {
        Self { events: VecDeque::new(), lost: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// Adds the events of one step, after dropping the oldest events beyond `capacity`.
    ///
    /// The events of one step are kept together, so a caller that reads between two steps loses
    /// none. A job has at most 10,000 sub-jobs, and that bounds the events of a step.
    pub(super) fn push_step(&mut self, capacity: usize, events: impl IntoIterator<Item = T>) {
        let excess = self.events.len().saturating_sub(capacity);
        self.events.drain(..excess);
        self.lost += excess as u64;
        if self.events.capacity() > 4 * capacity {
            // A step with many events must not keep its memory for the rest of the wait.
            self.events.shrink_to(2 * capacity);
        }
        self.events.extend(events);
    }

    /// Takes the oldest event, or first the number of events that were lost before it.
    pub(super) fn pop(&mut self) -> Option<Result<T, Lagged>> {
        if self.lost > 0 {
            return Some(Err(Lagged(std::mem::take(&mut self.lost))));
        }
        self.events.pop_front().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_lags_loses_the_oldest_events_and_learns_how_many() {
        type Row = (&'static [&'static [u8]], &'static [Result<u8, Lagged>]);
        // The steps of events, and what is read after them. The capacity is 3.
        let rows: [Row; 5] = [
            (&[], &[]),
            (&[&[1, 2]], &[Ok(1), Ok(2)]),
            // The events of the last step are kept, even if they exceed the capacity.
            (&[&[1, 2, 3, 4, 5]], &[Ok(1), Ok(2), Ok(3), Ok(4), Ok(5)]),
            (&[&[1, 2, 3, 4, 5], &[6]], &[Err(Lagged(2)), Ok(3), Ok(4), Ok(5), Ok(6)]),
            (&[&[1, 2, 3, 4], &[5], &[6]], &[Err(Lagged(2)), Ok(3), Ok(4), Ok(5), Ok(6)]),
        ];
        for (steps, expected) in rows {
            let mut buffer = EventBuffer::new();
            for step in steps {
                buffer.push_step(3, step.iter().copied());
            }
            let read: Vec<_> = std::iter::from_fn(|| buffer.pop()).collect();
            assert_eq!(read, expected, "{steps:?}");
        }
        assert_eq!(
            Lagged(1).to_string(),
            "1 event lost, because the stream was not read fast enough"
        );
    }
}

//! The number of waits, and how many of them have ended or failed.

use crate::exit::Exit;

/// Counts of the waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) total: usize,
    pub(crate) finished: usize,
    /// The finished jobs that did not succeed.
    pub(crate) failed: usize,
}

impl Totals {
    /// Counts a finished wait by its exit code, which is `None` if the command stopped it.
    pub(crate) fn add(&mut self, exit: Option<Exit>) {
        self.finished += 1;
        self.failed += usize::from(exit.is_some_and(|exit| exit != Exit::Done));
    }
}

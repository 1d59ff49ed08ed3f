//! The processor time of a PostgreSQL server.

use crate::{postgres::Postgres, postgres_restart::stat};

/// The units per second in which Linux reports processor time.
const TICKS_PER_SECOND: f64 = 100.0;

impl Postgres {
    /// Returns the processor time of all processes of the server since its start, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        // The server's time includes that of the processes that have ended.
        let server = ticks(self.server.id().cast_signed(), 4);
        let children: f64 = self.children().into_iter().map(|pid| ticks(pid, 2)).sum();
        (server + children) / TICKS_PER_SECOND
    }
}

/// Returns the sum of `count` fields from the user time on.
fn ticks(pid: i32, count: usize) -> f64 {
    stat(pid).iter().skip(11).take(count).filter_map(|field| field.parse::<f64>().ok()).sum()
}

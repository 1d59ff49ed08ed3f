//! Defines what advances a simulated job: time or readings.

use std::time::Duration;

/// What advances a simulated job.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum TimeSource {
    /// The time since the job's creation, by the simulation's clock.
    ///
    /// By default that is tokio's clock, which tests can pause. To simulate an hour in ten seconds,
    /// make the [`Plan`](super::Plan) [`faster`](super::Plan::faster).
    Clock,
    /// Each reading of the job advances it by this duration. The first reading shows its start.
    PerRequest(Duration),
}

//! Defines what advances a simulated job: time or readings.

use std::time::Duration;

use jiff::Timestamp;

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
    ///
    /// A cluster or node follows the job as it was last read. After the job's end, the object's first
    /// reading shows it as it was at that moment, and each reading advances it by this duration. An
    /// object without a job is advanced by each of its readings.
    PerRequest(Duration),
}

/// The moment at which a client reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) time_source: TimeSource,
    /// The service's time when the simulation was created.
    pub(crate) start_time: Timestamp,
    /// The time since then.
    pub(crate) elapsed: Duration,
}

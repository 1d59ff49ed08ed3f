//! What moves a simulated job: time or readings.

use std::time::Duration;

/// What moves a simulated job.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum TimeSource {
    /// The time since the job was created, by tokio's clock, so a paused clock moves it too. To simulate an
    /// hour in ten seconds, make the [`Plan`](super::Plan) [`faster`](super::Plan::faster).
    Clock,
    /// Readings: each reply with the job moves it on by this duration. The first reading sees its start.
    PerRequest(Duration),
}

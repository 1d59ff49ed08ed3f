//! Defines the faults of the list of jobs, and their syntax.

use std::{str::FromStr, time::Duration};

use job_model::JobId;

use super::fault::{Fault, FaultError};

/// A fault of the list of jobs, which stays until it is replaced.
///
/// [`Sim::set_list_faults`](crate::Sim::set_list_faults) sets the faults. None of them affects
/// readings of a single job.
///
/// | syntax | variant | the client sees |
/// |---|---|---|
/// | `lag:SECONDS` | [`Lag`](Self::Lag) | the rows as they were the given time before |
/// | `frozen:SECONDS` | [`Frozen`](Self::Frozen) | from the given time on, always the same rows |
/// | `missing:FRACTION` | [`Missing`](Self::Missing) | a list without this fraction of the rows |
/// | `missing-job:ID` | [`MissingJob`](Self::MissingJob) | a list without the row of this job |
/// | `running-job:ID` | [`RunningJob`](Self::RunningJob) | this job as `Running`, even after its end |
/// | `slow:SECONDS` | [`Slow`](Self::Slow) | each reply later by the given time |
/// | any [`Fault`] | [`Reply`](Self::Reply) | that fault instead of the list, such as `403`, `garbage` or `oversized` |
///
/// ```
/// use job_sim::ListFault;
///
/// let faults = ListFault::parse_list("lag:30, missing:0.25, 503")?;
/// assert!(matches!(faults[..], [ListFault::Lag(_), ListFault::Missing(_), ListFault::Reply(_)]));
/// # Ok::<(), job_sim::FaultError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ListFault {
    /// The rows show the state of this long ago. Jobs that are younger are missing.
    Lag(Duration),
    /// From this time after the simulation's creation, the list does not change any more.
    ///
    /// With [`TimeSource::PerRequest`](crate::TimeSource::PerRequest) it has no effect, because
    /// readings and not time advance the jobs.
    Frozen(Duration),
    /// This fraction of the rows is missing, from 0 to 1. The id decides whether a job is missing, so
    /// it is always the same ones.
    Missing(f64),
    /// The row of this job is missing.
    MissingJob(JobId),
    /// The row of this job is `Running`, even after the job's end.
    RunningJob(JobId),
    /// The reply comes this much later.
    Slow(Duration),
    /// This fault applies to every request for the list.
    ///
    /// A fault that changes a job ([`Fault::WrongUid`], [`Fault::PhaseBack`], [`Fault::Phase`]) has no
    /// effect on a list; [`Fault::Stale`] adds to the lag.
    Reply(Fault),
}

impl ListFault {
    /// The syntax of the faults, in one line.
    pub const SYNTAX: &'static str = "lag:SECONDS, frozen:SECONDS, missing:FRACTION, missing-job:ID, \
        running-job:ID, slow:SECONDS, or a fault of a request";

    /// Parses a comma-separated list of faults, which apply together.
    ///
    /// # Errors
    ///
    /// Returns an error if a name is not in the table, or if its value is out of range.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, FaultError> {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::parse).collect()
    }
}

impl FromStr for ListFault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let seconds = |text: &str| text.parse().map(Duration::from_secs).ok();
        let fraction =
            |text: &str| text.parse().ok().filter(|fraction| (0.0..=1.0).contains(fraction));
        let fault = match text.split_once(':') {
            Some(("lag", lag)) => seconds(lag).map(Self::Lag),
            Some(("frozen", time)) => seconds(time).map(Self::Frozen),
            Some(("missing", part)) => fraction(part).map(Self::Missing),
            Some(("missing-job", id)) => id.parse().ok().map(Self::MissingJob),
            Some(("running-job", id)) => id.parse().ok().map(Self::RunningJob),
            Some(("slow", delay)) => seconds(delay).map(Self::Slow),
            _ => text.parse().ok().map(Self::Reply),
        };
        fault.ok_or_else(|| FaultError::unknown(text, Self::SYNTAX))
    }
}

/// The faults of the list that apply at the moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListFaults(Vec<ListFault>);

/// The time whose state the list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListView {
    /// The time since the simulation's creation.
    pub(crate) elapsed: Duration,
    /// By how much the list lags behind it.
    pub(crate) lag: Duration,
}

impl ListFaults {
    pub(crate) fn new(faults: impl IntoIterator<Item = ListFault>) -> Self {
        Self(faults.into_iter().collect())
    }

    /// Returns how much later each reply comes.
    pub(crate) fn delay(&self) -> Duration {
        self.0.iter().fold(Duration::ZERO, |sum, fault| match fault {
            ListFault::Slow(delay) => sum.saturating_add(*delay),
            _ => sum,
        })
    }

    /// Returns the fault that applies to each request.
    pub(crate) fn reply(&self) -> Option<Fault> {
        self.0.iter().find_map(|fault| match fault {
            ListFault::Reply(fault) => Some(fault.clone()),
            _ => None,
        })
    }

    /// Returns which state a list shows that is read this long after the simulation's creation.
    pub(crate) fn view(&self, elapsed: Duration) -> ListView {
        let mut view = ListView { elapsed, lag: Duration::ZERO };
        for fault in &self.0 {
            match fault {
                ListFault::Lag(lag) => view.lag = view.lag.saturating_add(*lag),
                ListFault::Frozen(time) => view.elapsed = view.elapsed.min(*time),
                _ => {}
            }
        }
        view
    }

    /// Returns whether the row of this job is missing.
    pub(crate) fn is_missing(&self, id: &str) -> bool {
        self.0.iter().any(|fault| match fault {
            ListFault::Missing(fraction) => unit_hash(id) < *fraction,
            ListFault::MissingJob(missing) => missing.as_str() == id,
            _ => false,
        })
    }

    /// Returns whether the row of this job is running for ever.
    pub(crate) fn is_stuck(&self, id: &str) -> bool {
        self.0
            .iter()
            .any(|fault| matches!(fault, ListFault::RunningJob(stuck) if stuck.as_str() == id))
    }
}

/// Returns a number from 0 to 1, without 1, that depends only on the text.
fn unit_hash(text: &str) -> f64 {
    let seed = text.bytes().fold(0, |hash: u64, byte| {
        hash.wrapping_mul(0x0100_0000_01b3).wrapping_add(u64::from(byte))
    });
    fastrand::Rng::with_seed(seed).f64()
}

#[cfg(test)]
mod tests;

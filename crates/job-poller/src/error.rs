//! Why a wait stopped before its job ended. Never says how the job is, for that is not known.

use std::{error::Error, fmt, time::Duration};

use job_model::Job;

use crate::Fault;

/// A wait that stopped watching. The job itself goes on; wait again to learn how it ends.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct WaitError {
    /// Why.
    pub kind: WaitErrorKind,
    /// How long the wait was to last in all.
    pub timeout: Duration,
    /// The job as last read, where it ever was.
    pub job: Option<Box<Job>>,
    /// The fault of the last attempt, where that gave no job.
    pub fault: Option<Fault>,
    /// How many attempts were made.
    pub attempts: u32,
    /// Time since the wait began.
    pub elapsed: Duration,
}

/// Why a wait stopped, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitErrorKind {
    /// The timeout passed, or too little of it is left for another attempt. Wait again, with a
    /// longer timeout.
    DeadlineExceeded,
    /// The credentials were not accepted (401). Renew them.
    Unauthorized,
    /// The service knows no such job (404). Check the job id, the project and the region.
    NotFound,
    /// Asking again would not mend it, such as a certificate that is not accepted. Read the fault.
    Permanent,
}

/// Shows all but the job, which may have thousands of lines: a `main` that returns this error
/// prints its `Debug`.
impl fmt::Debug for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitError")
            .field("kind", &self.kind)
            .field("timeout", &self.timeout)
            .field("fault", &self.fault)
            .field("attempts", &self.attempts)
            .field("elapsed", &self.elapsed)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            WaitErrorKind::DeadlineExceeded => {
                write!(f, "the job did not end within {} s", self.timeout.as_secs_f64())?;
            }
            WaitErrorKind::Unauthorized => f.write_str("the credentials were not accepted")?,
            WaitErrorKind::NotFound => f.write_str("the service knows no such job")?,
            WaitErrorKind::Permanent => f.write_str("asking again would not help")?,
        }
        let plural = if self.attempts == 1 { "" } else { "s" };
        write!(f, " ({} attempt{plural} in {:.1} s", self.attempts, self.elapsed.as_secs_f64())?;
        match self.job.as_ref().map(|job| job.phase()) {
            Some(Some(phase)) => write!(f, "; the job was last seen {phase})"),
            Some(None) => f.write_str("; the job was last seen without a phase)"),
            None => f.write_str("; the job was never seen)"),
        }
    }
}

impl Error for WaitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.fault.as_ref().map(|fault| fault as &dyn Error)
    }
}

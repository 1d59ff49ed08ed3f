//! The jobs that had not ended when the command stopped waiting for them.

use std::time::Duration;

use super::finished::Finished;
use crate::terminal::format_duration;

/// The jobs that were read and had not ended.
#[derive(Debug, Default)]
pub(crate) struct RunningJobs {
    /// The number of jobs that the last attempt has read.
    read: usize,
    /// The number of jobs whose last attempt failed.
    unread: usize,
    /// How long ago the first of these was last read; `None` if this command has read none of them.
    unread_for: Option<Duration>,
}

impl RunningJobs {
    /// Adds the job of a finished wait, if it had not ended.
    pub(crate) fn add(&mut self, finished: &Finished) {
        let Err(error) = &finished.result else { return };
        if !finished.is_job_running() {
            return;
        }
        if error.last_error().is_none() {
            self.read += 1;
        } else {
            self.unread += 1;
            self.unread_for = self.unread_for.max(finished.unread_for);
        }
    }

    /// Returns the clauses about these jobs, each after a semicolon.
    pub(crate) fn describe(&self) -> String {
        let Self { read, unread, unread_for } = self;
        let jobs = |count| match count {
            1 if read + unread == 1 => "the job".to_owned(),
            1 => "1 job".to_owned(),
            count => format!("{count} jobs"),
        };
        let read = match *read {
            0 => String::new(),
            1 => format!("; {} is still running", jobs(1)),
            count => format!("; {} are still running", jobs(count)),
        };
        let ago = unread_for.map(format_duration);
        let unread = match (*unread, ago) {
            (0, _) => String::new(),
            (1, None) => format!("; {} was running when it was last read", jobs(1)),
            (1, Some(ago)) => {
                format!("; {} was running when it was last read, {ago} ago", jobs(1))
            }
            (count, None) => format!("; {} were running when they were last read", jobs(count)),
            (count, Some(ago)) => {
                format!("; {} were running when they were last read, up to {ago} ago", jobs(count))
            }
        };
        read + &unread
    }
}

#[cfg(test)]
mod tests {
    use job_poller::{WaitPolicy, machine::Input};
    use job_transport::{FetchError, FetchErrorKind};
    use serde_json::json;

    use super::*;
    use crate::testing::{finished, reading_input, run_wait};

    fn stopped(inputs: Vec<Input>, unread_for: Option<u64>) -> Finished {
        let unread_for = unread_for.map(Duration::from_secs);
        Finished { unread_for, ..finished(run_wait(WaitPolicy::new(), inputs)) }
    }

    #[test]
    fn running_jobs_are_counted_and_unread_ones_have_their_time() {
        let running = || reading_input(&json!({"status": {"phase": "Running"}}));
        let error = || Input::from(FetchError::new(FetchErrorKind::Status(503)));
        let read = || stopped(vec![running()], None);
        let unread = |ago| stopped(vec![running(), error()], ago);
        let never_read = || stopped(vec![error()], None);
        let ended = || stopped(vec![reading_input(&json!({"status": {"phase": "Failed"}}))], None);
        let rows = [
            (vec![], ""),
            (vec![never_read(), ended()], ""),
            (vec![read(), ended()], "; the job is still running"),
            (vec![read(), read()], "; 2 jobs are still running"),
            (vec![unread(None)], "; the job was running when it was last read"),
            (vec![unread(Some(75))], "; the job was running when it was last read, 1m 15s ago"),
            (
                vec![unread(Some(5)), unread(Some(9)), unread(None)],
                "; 3 jobs were running when they were last read, up to 9s ago",
            ),
            (
                vec![read(), unread(Some(5))],
                "; 1 job is still running; 1 job was running when it was last read, 5s ago",
            ),
        ];
        for (waits, expected) in rows {
            let mut jobs = RunningJobs::default();
            waits.iter().for_each(|wait| jobs.add(wait));
            assert_eq!(jobs.describe(), expected);
        }
    }
}

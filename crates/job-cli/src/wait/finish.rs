//! The end of the command: prints how to resume and the summary, writes the report, and returns the
//! exit code.

use std::{io, time::Duration};

use job_transport::transport::display_chain;

use super::{
    checkpoint_file::CheckpointFile,
    format::OutputFormat,
    output::render_table,
    report_file::ReportFile,
    resume_command::Flags,
    session::{Session, SessionResult},
};
use crate::{
    exit::Exit,
    terminal::{TimeoutArg, stderr},
};

impl Session {
    /// Prints how many jobs are still running, and the command line that resumes the waits. This
    /// applies after a timeout, a signal, or a failure with `--fail-fast`.
    pub(crate) fn print_resume_hint(
        &self,
        result: &SessionResult,
        timeout: Option<TimeoutArg>,
        flags: &Flags,
    ) {
        let reason = match (result.signal, result.longest_timeout) {
            (Some(Exit::Terminated), _) => "stopped by SIGTERM",
            (Some(_), _) => "stopped by SIGINT",
            (None, Some(_)) if timeout == Some(TimeoutArg(Some(Duration::ZERO))) => "checked once",
            (None, Some(_)) => "timed out",
            (None, None) if result.stop_condition_met => "stopped by --fail-fast",
            (None, None) => return,
        };
        if result.unfinished.is_empty() {
            return;
        }
        let still_running = match result.still_running {
            0 => String::new(),
            1 => "; the job is still running".into(),
            jobs => format!("; {jobs} jobs are still running"),
        };
        stderr::line(&format!("cce-job: {reason}{still_running}"));
        // A wait without a job is selected by the flags.
        let checkpoints = result.checkpoints();
        let jobs = checkpoints.values().filter(|one| !one.machine().has_no_job());
        let jobs: Vec<_> = jobs.map(|one| one.job_id().clone()).collect();
        let file = self.checkpoints.as_ref().and_then(CheckpointFile::written_path);
        let timeout = match result.longest_timeout {
            Some(elapsed) => extended_timeout(timeout, elapsed, file.is_some()),
            None => timeout,
        };
        // With `--fail-fast`, the same failure would stop the resumed command at once.
        let flags = if result.stop_condition_met { &flags.without("--fail-fast") } else { flags };
        match flags.resume_command(&jobs, timeout, file) {
            Some(line) => {
                stderr::line("to resume:");
                stderr::full_line(&format!("  {line}"));
            }
            None => {
                stderr::line(
                    "to resume, run the same command again; with --checkpoint FILE it needs no ids",
                );
            }
        }
    }

    /// Prints the summary and errors, writes the report, waits until everything is printed, and
    /// returns the exit code.
    pub(crate) fn finish(mut self, result: &SessionResult) -> Exit {
        if let Some(mut rows) = self.summary.take() {
            rows.sort_by_key(|row| row.index);
            let table = render_table(rows);
            match self.output.format() {
                OutputFormat::Human => self.output.print_text(&table),
                // With these formats, stdout is for programs.
                OutputFormat::Json | OutputFormat::Jsonl => {
                    table.lines().for_each(stderr::styled_line)
                }
            }
        }
        self.annotations.print();
        let mut exit = result.signal.or(result.exit).unwrap_or(Exit::Internal);
        if let Some(Err(error)) = self.report.as_ref().map(ReportFile::write) {
            stderr::line(&format!("cce-job: {}", display_chain(&*error)));
            exit = exit.at_least_internal();
        }
        // Failing to save the history only slows later waits, so it does not change the exit code.
        if let Err(error) = self.history_file.save() {
            stderr::line(&format!("cce-job: {}", display_chain(&*error)));
        }
        // Everything is saved now, so it does not matter how long the output takes.
        let write_error = self.printer.finish();
        match self.output.into_error().or(write_error) {
            // The reader closed stdout, so it needs no more output.
            Some(error)
                if error.kind() == io::ErrorKind::BrokenPipe && result.unfinished.is_empty() => {}
            Some(error) => {
                stderr::line(&format!("cce-job: cannot write to stdout: {error}"));
                exit = exit.at_least_internal();
            }
            None => {}
        }
        exit
    }
}

/// Returns the timeout for resuming after a timeout: the time already spent plus the given timeout,
/// because the timeout of a checkpoint counts from the start of the wait. A zero timeout is
/// omitted, because it would allow only one more attempt.
fn extended_timeout(
    timeout: Option<TimeoutArg>,
    elapsed: Duration,
    resumed: bool,
) -> Option<TimeoutArg> {
    let given = match timeout {
        Some(TimeoutArg(Some(Duration::ZERO))) => return None,
        Some(TimeoutArg(timeout)) => timeout?,
        None => super::DEFAULT_TIMEOUT,
    };
    if !resumed {
        return timeout;
    }
    let total = elapsed.max(given).saturating_add(given);
    // Rounded up to whole seconds, which are easier to read.
    let whole = total.as_secs().saturating_add(u64::from(total.subsec_nanos() > 0));
    Some(TimeoutArg(Some(Duration::from_secs(whole))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggested_timeouts_allow_the_same_time_again() {
        let seconds = |seconds| Some(TimeoutArg(Some(Duration::from_secs(seconds))));
        let rows = [
            // A new wait gets the same timeout again.
            (seconds(60), 58, false, seconds(60)),
            (None, 3598, false, None),
            (seconds(0), 0, false, None),
            // A resumed wait gets the elapsed time plus the timeout.
            (seconds(60), 58, true, seconds(120)),
            (seconds(60), 118, true, seconds(178)),
            (None, 3598, true, seconds(7200)),
            (seconds(0), 0, true, None),
            (Some(TimeoutArg(Some(Duration::from_millis(200)))), 0, true, seconds(1)),
        ];
        for (timeout, elapsed, resumed, expected) in rows {
            let longer = extended_timeout(timeout, Duration::from_secs(elapsed), resumed);
            assert_eq!(longer, expected, "{timeout:?} after {elapsed} s, resumed: {resumed}");
        }
    }
}

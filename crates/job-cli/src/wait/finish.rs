//! The end of the command: prints how to resume and the summary, writes the report, and returns the
//! exit code.

use std::io;

use job_transport::{
    clock::{Clock, TokioClock},
    transport::display_chain,
};

use super::{
    checkpoint_file::{CheckpointFile, Origin},
    format::OutputFormat,
    output::render_table,
    report_file::ReportFile,
    resume_command::{Flags, NextWaits},
    session::{Session, SessionResult},
    slice_state,
    time_limit::{NextLimit, TimeLimit},
};
use crate::{
    exit::Exit,
    terminal::{printer, stderr},
};

/// The maximum number of jobs in the command line that people copy.
const MAX_JOBS_IN_COMMAND: usize = 20;

/// What the command that continues the waits is made of.
pub(crate) struct Continuation<'a> {
    pub(crate) flags: &'a Flags,
    pub(crate) limit: TimeLimit,
    pub(crate) origin: &'a Origin,
}

impl Session {
    /// Prints how many jobs are still running, and the command line that resumes the waits. This
    /// applies after a timeout, a signal, a failure with `--fail-fast`, or an error in the middle of a
    /// wait, and if stdout was closed.
    pub(crate) fn print_resume_hint(
        &self,
        result: &SessionResult,
        Continuation { flags, limit, .. }: &Continuation<'_>,
    ) {
        let has_failed_early = result.stop_condition_met;
        let reason = match (result.signal, result.longest_timeout) {
            _ if result.is_interrupted() => "stopped by an error",
            (Some(Exit::Terminated), _) => "stopped by SIGTERM",
            (Some(_), _) => "stopped by SIGINT",
            (None, _) if result.next_slice().is_some() => "stopped by --at-most",
            (None, Some(_)) if limit.is_zero() => "checked once",
            (None, Some(_)) => "timed out",
            (None, None) if has_failed_early => "stopped by --fail-fast",
            (None, None) if printer::has_stdout_failed() => "stopped, because stdout was closed",
            (None, None) => return,
        };
        let resumable = result.resumable();
        if resumable.clone().next().is_none() {
            return;
        }
        stderr::line(&format!("cce-job: {reason}{}", result.running.describe()));
        if result.next_slice().is_some() {
            stderr::line(
                "to go on, run the command in the field `next` of the last line of stdout",
            );
            return;
        }
        let file = self.checkpoints.as_ref().and_then(CheckpointFile::written_path);
        let next_limit = limit.to_resume(result.longest_timeout, file.is_some());
        let time = next_limit.explain(file.map(|_| resumable.clone()));
        let waits = NextWaits::from_checkpoints(resumable, file);
        if file.is_none() && waits.jobs.len() > MAX_JOBS_IN_COMMAND {
            stderr::line(
                "to resume, run the same command again; with --checkpoint FILE it needs no ids",
            );
            return;
        }
        let when = if result.is_interrupted() { " after the cause is fixed" } else { "" };
        stderr::line(&format!("to resume{when}, {time}:"));
        stderr::full_line(&format!("  {}", flags.next_command(&waits, next_limit)));
    }

    /// Returns the line for stdout if `--at-most` has stopped waits: what is known, and the command
    /// that goes on.
    fn slice_line(
        &self,
        result: &SessionResult,
        Continuation { flags, limit, origin }: &Continuation<'_>,
    ) -> Option<String> {
        let slice = result.next_slice()?;
        let file = self.checkpoints.as_ref().and_then(CheckpointFile::written_path);
        let mut waits = NextWaits::from_checkpoints(result.resumable(), file);
        if file.is_none() {
            let all = result.resumable().cloned().collect();
            waits.state = slice_state::encode(all, result.worst(), origin);
        }
        let has_state = file.is_some() || waits.state.is_some();
        let next_limit = limit.to_continue(result.resumable(), has_state);
        // Without a state that has the waits, the flag has their latest deadline.
        let deadline = match limit.to_continue(result.resumable(), false) {
            NextLimit::Deadline(at) => Some(at),
            NextLimit::Default | NextLimit::Timeout(_) => None,
        };
        // If the state is too long, the waits begin again, and only the exit code is kept.
        if !has_state {
            waits.state = slice_state::encode(Vec::new(), result.worst(), origin);
        }
        let next = flags.next_command(&waits, next_limit);
        Some(slice.line(TokioClock::new().now(), result.worst(), deadline, &next))
    }

    /// Prints the summary and errors, writes the report, waits until everything is printed, and
    /// returns the exit code.
    pub(crate) fn finish(
        mut self,
        result: &SessionResult,
        continuation: Option<&Continuation<'_>>,
    ) -> Exit {
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
        let mut exit = result.signal.or(result.exit).unwrap_or(Exit::Internal);
        let slice_line = continuation.and_then(|next| self.slice_line(result, next));
        if slice_line.is_some() {
            exit = Exit::StillRunning;
        }
        self.annotations.print();
        slice_line.iter().for_each(|line| self.output.print_text(&format!("{line}\n")));
        // The last slice appends the only chart.
        let report = self.report.as_ref();
        let report = report.filter(|one| slice_line.is_none() || !one.is_appended());
        if let Some(Err(error)) = report.map(ReportFile::write) {
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
            // The reader closed stdout on purpose, as `head` does.
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                // Another run would not change these.
                let is_final = matches!(exit, Exit::JobFailed | Exit::Credentials | Exit::NotFound);
                if result.cut_off > 0 && !is_final {
                    exit = Exit::StdoutClosed;
                }
            }
            Some(error) => {
                stderr::line(&format!("cce-job: cannot write to stdout: {error}"));
                exit = exit.at_least_internal();
            }
            None => {}
        }
        exit
    }
}

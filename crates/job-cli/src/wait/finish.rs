//! What is told when the waits are over, and how the command ends. Waits for nothing.

use std::{io, time::Duration};

use super::{
    checkpoint_file::CheckpointFile,
    output::{Form, table},
    resume_command::Flags,
    session::{Over, Session},
};
use crate::{
    exit::Exit,
    report,
    terminal::{Timeout, stderr},
};

impl Session {
    /// Tells which jobs go on while the command ends, and the line that goes on with them: after a
    /// deadline, a signal, or a failure that was enough.
    pub(crate) fn tell_what_goes_on(&self, over: &Over, timeout: Option<Timeout>, flags: &Flags) {
        let why = match (over.signal, over.late) {
            (Some(Exit::Terminated), _) => "stopped by SIGTERM",
            (Some(_), _) => "stopped by SIGINT",
            (None, Some(_)) => "the time is over",
            (None, None) if over.is_enough => "that is enough for --fail-fast",
            (None, None) => return,
        };
        if over.unended.is_empty() {
            return;
        }
        let go_on = match over.go_on {
            0 => String::new(),
            1 => "; the job goes on at the service".into(),
            jobs => format!("; {jobs} jobs go on at the service"),
        };
        stderr::line(&format!("cce-job: {why}{go_on}"));
        let jobs: Vec<_> = over.checkpoints().values().map(|one| one.job_id().clone()).collect();
        let file = self.checkpoints.as_ref().and_then(CheckpointFile::written);
        let timeout = match over.late {
            Some(elapsed) => longer(timeout, elapsed, file.is_some()),
            None => timeout,
        };
        // The failure that was enough would be again.
        let flags = if over.is_enough { &flags.without("--fail-fast") } else { flags };
        match flags.line(&jobs, timeout, file) {
            Some(line) => {
                stderr::line("to go on waiting:");
                stderr::whole(&format!("  {line}"));
            }
            None => {
                stderr::line("to go on waiting, give the same ids again; --checkpoint keeps them")
            }
        }
    }

    /// Tells the summary and what went wrong on the way, writes the report, and returns how the command
    /// ends.
    pub(crate) fn close(mut self, over: &Over) -> Exit {
        if let Some(mut rows) = self.summary.take() {
            rows.sort_by_key(|row| row.place);
            let table = table(rows);
            match self.output.form() {
                Form::Human => self.output.text(&table),
                // There stdout is for programs.
                Form::Json | Form::Jsonl => table.lines().for_each(stderr::painted),
            }
        }
        let mut exit = over.signal.or(over.exit).unwrap_or(Exit::Internal);
        if let Some(step) = exit.next_step() {
            stderr::line(&format!("cce-job: {step}"));
        }
        if let Some(Err(error)) = self.report.as_ref().map(report::Collected::write) {
            stderr::line(&format!("cce-job: {error:#}"));
            exit = exit.or_internal();
        }
        // Whoever waits again would have known sooner: nothing is wrong with this wait.
        if let Err(error) = self.learnt.keep() {
            stderr::line(&format!("cce-job: {error:#}"));
        }
        match self.output.closed() {
            // Whoever read has read enough.
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe && over.unended.is_empty() => {
            }
            Some(error) => {
                stderr::line(&format!("cce-job: stdout cannot be written: {error}"));
                exit = exit.or_internal();
            }
            None => {}
        }
        exit
    }
}

/// Returns the timeout to go on with after this one has passed: a checkpoint's counts from the wait's
/// beginning. One that leaves no time for a second attempt is left out.
fn longer(timeout: Option<Timeout>, elapsed: Duration, resumed: bool) -> Option<Timeout> {
    let given = match timeout {
        Some(Timeout(Some(Duration::ZERO))) => return None,
        Some(Timeout(timeout)) => timeout?,
        None => super::DEFAULT_TIMEOUT,
    };
    if !resumed {
        return timeout;
    }
    let total = elapsed.max(given).saturating_add(given);
    // To whole seconds: people read it.
    let whole = total.as_secs().saturating_add(u64::from(total.subsec_nanos() > 0));
    Some(Timeout(Some(Duration::from_secs(whole))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_timeouts() {
        let seconds = |seconds| Some(Timeout(Some(Duration::from_secs(seconds))));
        let rows = [
            // Another wait has the same time again.
            (seconds(60), 58, false, seconds(60)),
            (None, 3598, false, None),
            (seconds(0), 0, false, None),
            // One that is resumed has what is over, and as much again.
            (seconds(60), 58, true, seconds(120)),
            (seconds(60), 118, true, seconds(178)),
            (None, 3598, true, seconds(7200)),
            (seconds(0), 0, true, None),
            (Some(Timeout(Some(Duration::from_millis(200)))), 0, true, seconds(1)),
        ];
        for (timeout, elapsed, resumed, expected) in rows {
            let longer = longer(timeout, Duration::from_secs(elapsed), resumed);
            assert_eq!(longer, expected, "{timeout:?} after {elapsed} s, resumed: {resumed}");
        }
    }
}

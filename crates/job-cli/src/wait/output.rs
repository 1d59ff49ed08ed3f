//! What a wait prints to stdout: its result for people, the job, or all events. Once nobody reads it
//! any more, nothing.

mod json_lines;
mod summary;

pub(crate) use summary::{Row, table};

use std::{
    io::{self, Write},
    time::Duration,
};

use clap::ValueEnum;
use job_model::JobId;
use job_poller::{Ended, Event, Outcome, WaitErrorKind};

use super::watch::Finished;
use crate::terminal::{Paint, print, text, told};

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// A line for each job that ended
    Human,
    /// Each job as it came, one a line
    Json,
    /// All that happens, one JSON object a line, and a line `finished` for each job
    Jsonl,
}

/// Prints to stdout.
pub(crate) struct Output {
    form: Form,
    /// Print the reply's own bytes.
    raw: bool,
    /// Whether there is more than one job.
    many: bool,
    paint: Paint,
    closed: Option<io::Error>,
}

impl Output {
    pub(crate) fn new(form: Form, raw: bool, many: bool) -> Self {
        Self { form, raw, many, paint: Paint::of(&io::stdout()), closed: None }
    }

    pub(crate) const fn form(&self) -> Form {
        self.form
    }

    /// Returns why nothing is printed any more.
    pub(crate) const fn closed(&self) -> Option<&io::Error> {
        self.closed.as_ref()
    }

    /// Prints what happens, where all of it is to be printed.
    pub(crate) fn event(&mut self, id: &JobId, at: Duration, event: &Event) {
        if self.form == Form::Jsonl {
            self.write(|| writeln!(io::stdout(), "{}", json_lines::event(id, at, event)));
        }
    }

    /// Prints how a wait ended, and the job.
    pub(crate) fn finished(&mut self, finished: &Finished) {
        let (raw, many, paint) = (self.raw, self.many, self.paint);
        match (self.form, &finished.result, finished.job.as_deref()) {
            (Form::Jsonl, ..) => {
                self.write(|| writeln!(io::stdout(), "{}", json_lines::finished(finished)));
            }
            // The command stopped it: enough others have ended, or a signal came.
            (Form::Json, Err(error), _) if error.kind() == WaitErrorKind::Stopped => {}
            (Form::Json, _, Some(_)) if raw => self.write(|| {
                print::raw(&finished.body)?;
                if many { writeln!(io::stdout()) } else { Ok(()) }
            }),
            (Form::Json, _, Some(job)) => self.write(|| print::job(job)),
            (Form::Human, Ok(ended), _) => self.write(|| {
                let lines = ended_lines(&finished.id, ended, paint);
                lines.into_iter().try_for_each(|line| writeln!(io::stdout(), "{line}"))
            }),
            // Told on stderr: there is nothing to print.
            (Form::Human, Err(_), _) | (Form::Json, _, None) => {}
        }
    }

    /// Prints a text as it is.
    pub(crate) fn text(&mut self, text: &str) {
        self.write(|| io::stdout().write_all(text.as_bytes()));
    }

    fn write(&mut self, write: impl FnOnce() -> io::Result<()>) {
        if self.closed.is_none() {
            self.closed = write().and_then(|()| io::stdout().flush()).err();
        }
    }
}

/// Returns how a job ended, and below it what is odd, one line each.
fn ended_lines(id: &JobId, ended: &Ended, paint: Paint) -> Vec<String> {
    let plural = if ended.attempts == 1 { "" } else { "s" };
    let took = format!("({}, {} attempt{plural})", told(ended.elapsed), ended.attempts);
    let (word, of) = match &ended.outcome {
        Outcome::Succeeded => {
            (paint.good("succeeded"), ended.job.label().escape_debug().to_string())
        }
        Outcome::Failed(failed) => (paint.bad("failed"), failed.failure.to_string()),
    };
    let mut lines = vec![format!(
        "{} {word}: {} {}",
        text::line(id.as_str()),
        text::line(&of),
        paint.faint(&took)
    )];
    if let Outcome::Failed(failed) = &ended.outcome {
        lines.extend(failed.live.iter().filter_map(|path| ended.job.at(path)).map(|step| {
            let label = text::line(&step.label().escape_debug().to_string());
            format!("  {}: {label}", paint.odd("not ended"))
        }));
    }
    lines.extend(ended.inconsistencies.iter().map(|inconsistency| {
        format!("  {}: {}", paint.odd("odd"), text::line(&inconsistency.to_string()))
    }));
    lines
}

#[cfg(test)]
mod tests {
    use job_poller::WaitPolicy;
    use proptest::prelude::*;

    use super::summary::{Row, table};
    use super::*;
    use crate::testing::{
        finished, hostile, job_of, megabyte, reading, shown_job_of, unseen, waited,
    };

    fn check_hostile(job: &serde_json::Value) {
        let (result, log) = waited(WaitPolicy::new(), [reading(job)]);
        let over = finished((result, log));
        let row = table(vec![Row::of(&over)]);
        assert_eq!(row.lines().count(), 3, "{row}");
        let lines = over.result.iter().flat_map(|ended| ended_lines(&over.id, ended, Paint::NONE));
        for line in lines.chain(row.lines().map(String::from)) {
            assert_eq!(unseen(&line), None);
            assert!(!line.contains('\n') && line.chars().count() < 6_500, "a line");
        }
    }

    #[test]
    fn a_megabyte_is_cut() {
        check_hostile(&shown_job_of(&megabyte()));
    }

    proptest! {
        #[test]
        fn nothing_unseen_is_printed(text in hostile()) {
            check_hostile(&job_of(&text));
        }
    }
}

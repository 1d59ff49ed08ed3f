//! The annotations of GitHub Actions: one `::error` line for each job that failed or was not waited for
//! to its end, which GitHub shows at the top of a run.

use std::{env, ffi::OsStr};

use clap::ValueEnum;
use job_poller::{FinishedJob, Outcome, WaitError, WaitErrorKind};

use super::{finished::Finished, report_file::timeline_from_finished};
use crate::{
    exit::Exit,
    terminal::{stderr, text},
};

/// Whether to print annotations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnnotationMode {
    /// In GitHub Actions: for failed jobs and for a timeout
    #[default]
    Auto,
    /// Never
    None,
}

/// The annotations of all waits, printed at the end.
pub(crate) struct Annotations {
    is_enabled: bool,
    errors: Vec<Annotation>,
    /// The number of errors without an annotation.
    more: usize,
    /// The jobs that did not end in time. They share one annotation.
    late: Vec<Annotation>,
    more_late: usize,
}

/// An annotation. Its texts are sanitized.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Annotation {
    title: String,
    message: String,
}

/// Maximum number of annotations. GitHub shows at most 10 errors of a step.
const MAX_ANNOTATIONS: usize = 10;

/// Maximum number of jobs that an annotation names.
const MAX_NAMES: usize = 5;

impl Annotations {
    /// Creates the annotations for a mode and the variable `GITHUB_ACTIONS`.
    pub(crate) fn new(mode: AnnotationMode) -> Self {
        Self::for_runner(mode, env::var_os("GITHUB_ACTIONS").as_deref())
    }

    fn for_runner(mode: AnnotationMode, github_actions: Option<&OsStr>) -> Self {
        let is_enabled = mode == AnnotationMode::Auto && github_actions == Some(OsStr::new("true"));
        Self { is_enabled, errors: Vec::new(), more: 0, late: Vec::new(), more_late: 0 }
    }

    /// Adds a finished wait, unless it succeeded or the command stopped it.
    pub(crate) fn add(&mut self, finished: &Finished) {
        if !self.is_enabled {
            return;
        }
        match &finished.result {
            Ok(ended) if ended.is_success() => {}
            Ok(_) if self.errors.len() >= MAX_ANNOTATIONS => self.more += 1,
            Ok(ended) => self.errors.push(Annotation::from_failure(finished, ended)),
            Err(error) if error.kind() == WaitErrorKind::Stopped => {}
            Err(error) if is_late(error) && self.late.len() >= MAX_NAMES => self.more_late += 1,
            Err(error) if is_late(error) => self.late.push(Annotation::from_error(finished, error)),
            Err(_) if self.errors.len() >= MAX_ANNOTATIONS => self.more += 1,
            Err(error) => self.errors.push(Annotation::from_error(finished, error)),
        }
    }

    /// Prints the annotations to stderr, where GitHub reads them as well.
    pub(crate) fn print(self) {
        self.into_lines().iter().for_each(|line| stderr::styled_line(line));
    }

    /// Returns one line for each annotation.
    fn into_lines(self) -> Vec<String> {
        let Self { errors, more, late, more_late, .. } = self;
        let late = match (&late[..], more_late) {
            ([], _) => None,
            ([one], 0) => Some(one.clone()),
            (several, _) => {
                let names = several.iter().map(|one| one.title.as_str());
                let names = names.collect::<Vec<_>>().join("; ");
                let all = several.len() + more_late;
                let more = if more_late > 0 { format!(" and {more_late} more") } else { "".into() };
                let title = format!("{all} jobs did not end in time");
                Some(Annotation { title, message: names + &more })
            }
        };
        // One for the late jobs, and one for those without an annotation of their own.
        let space = MAX_ANNOTATIONS - usize::from(late.is_some());
        let fits = more == 0 && errors.len() <= space;
        let shown = if fits { errors.len() } else { errors.len().min(space - 1) };
        let more = errors.len() - shown + more;
        let rest = (more > 0).then(|| Annotation {
            title: format!("{more} more jobs failed"),
            message: "The output and the report of this step have all of them.".into(),
        });
        errors.iter().take(shown).chain(&rest).chain(&late).map(Annotation::to_line).collect()
    }
}

/// Whether a wait ended because of its deadline.
fn is_late(error: &WaitError) -> bool {
    matches!(
        error.kind(),
        WaitErrorKind::DeadlineExceeded | WaitErrorKind::NotReady | WaitErrorKind::Stalled
    )
}

impl Annotation {
    fn from_failure(finished: &Finished, ended: &FinishedJob) -> Self {
        let timeline = timeline_from_finished(finished);
        let message = match &ended.outcome {
            Outcome::Failed(_) => {
                let why = timeline.why().unwrap_or_else(|| "no reason given".into());
                format!("{why} (job {})", text::sanitize_line(finished.id.as_str()))
            }
            _ => text::sanitize_line(&ended.object_summary()),
        };
        Self { title: format!("{} {}", timeline.title(), ended.outcome.as_str()), message }
    }

    fn from_error(finished: &Finished, error: &WaitError) -> Self {
        let timeline = timeline_from_finished(finished);
        let message = format!("{} (job {})", error.message(), finished.id);
        let message = text::sanitize_line(&message);
        let status = match finished.exit() {
            Some(Exit::NotFound) => "not found".to_owned(),
            _ => error.kind().as_str().replace('_', " "),
        };
        Self { title: format!("{}: {status}", timeline.title()), message }
    }

    /// Returns the workflow command.
    fn to_line(&self) -> String {
        let title = escape_property(&format!("cce-job: {}", self.title));
        format!("::error title={title}::{}", escape_data(&self.message))
    }
}

/// Escapes the text of a workflow command.
fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests;

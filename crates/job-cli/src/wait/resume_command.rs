//! The command line that resumes a wait: the given flags, and the jobs that have not ended.

use std::path::Path;

use clap::{ArgAction, ArgMatches, Command, parser::ValueSource};
use job_model::JobId;

use crate::terminal::{DurationArg, TimeoutArg};

/// The arguments that are not copied, because they select the jobs and the timeout.
const REWRITTEN_ARGS: [&str; 4] = ["ids", "from", "timeout", "checkpoint"];

/// Maximum number of jobs in the command line. Nobody would copy a longer one.
const MAX_JOBS_IN_COMMAND: usize = 20;

/// The flags of a command line, without those that select jobs and the timeout.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags(Vec<String>);

impl Flags {
    /// Returns the flags that were given on the command line.
    pub(crate) fn from_matches(command: &Command, matches: &ArgMatches) -> Self {
        let mut words = Vec::new();
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            let given = matches.value_source(id) == Some(ValueSource::CommandLine);
            let Some(name) = argument.get_long().filter(|_| given && !REWRITTEN_ARGS.contains(&id))
            else {
                continue;
            };
            let name = format!("--{name}");
            match argument.get_action() {
                ArgAction::SetTrue => words.push(name),
                ArgAction::Count => {
                    let times = usize::from(matches.get_count(id));
                    words.extend(std::iter::repeat_n(name, times));
                }
                _ => {
                    let values = matches.get_raw(id).into_iter().flatten();
                    let values = values.map(|value| value.to_string_lossy().into_owned());
                    words.extend(values.flat_map(|value| [name.clone(), value]));
                }
            }
        }
        Self(words)
    }

    /// Returns the flags without one of them.
    pub(crate) fn without(&self, flag: &str) -> Self {
        Self(self.0.iter().filter(|word| *word != flag).cloned().collect())
    }

    /// Returns the command line that resumes the waits: with the checkpoint file or, without one,
    /// with the ids of `jobs`. Returns `None` if there are too many ids.
    pub(crate) fn resume_command(
        &self,
        jobs: &[JobId],
        timeout: Option<TimeoutArg>,
        checkpoint: Option<&Path>,
    ) -> Option<String> {
        let mut words = vec!["cce-job".to_owned(), "wait".to_owned()];
        words.extend(self.0.iter().cloned());
        if let Some(TimeoutArg(timeout)) = timeout {
            let timeout =
                timeout.map_or_else(|| "none".into(), |span| DurationArg(span).to_string());
            words.extend(["--timeout".into(), timeout]);
        }
        if let Some(file) = checkpoint {
            words.extend(["--checkpoint".into(), file.display().to_string()]);
        } else if jobs.len() <= MAX_JOBS_IN_COMMAND {
            // An id may start with a dash, like a flag.
            words.extend(jobs.iter().any(|id| id.as_str().starts_with('-')).then(|| "--".into()));
            words.extend(jobs.iter().map(ToString::to_string));
        } else {
            return None;
        }
        Some(shell_words::join(words))
    }
}

#[cfg(test)]
mod tests;

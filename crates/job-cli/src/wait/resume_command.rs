//! The line that goes on with a wait: the flags as they were given, and the jobs that had not ended.
//! Runs nothing.

use std::path::Path;

use clap::{ArgAction, ArgMatches, Command, parser::ValueSource};
use job_model::JobId;

use crate::terminal::{DurationArg, TimeoutArg};

/// What says which jobs to wait for and how long: written anew.
const REWRITTEN_ARGS: [&str; 4] = ["ids", "from", "timeout", "checkpoint"];

/// More jobs than these make no line that anybody copies.
const MAX_JOBS_IN_COMMAND: usize = 20;

/// The flags of a command line, but for those that say which jobs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags(Vec<String>);

impl Flags {
    /// Takes the flags that were given.
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

    /// Returns the flags but for this one.
    pub(crate) fn without(&self, flag: &str) -> Self {
        Self(self.0.iter().filter(|word| *word != flag).cloned().collect())
    }

    /// Returns the line for these jobs or, where there is one, for all in a file of checkpoints; `None`
    /// where there are too many jobs for one.
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
            // An id may look like a flag.
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

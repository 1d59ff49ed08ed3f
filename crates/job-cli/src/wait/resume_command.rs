//! The command line that continues the waits: the flags, and what is still running.

use std::path::Path;

use clap::{ArgAction, ArgMatches, Command, parser::ValueSource};
use job_model::{JobId, object::ObjectId};
use job_poller::Checkpoint;

use super::{DEFAULT_TIMEOUT, time_limit::NextLimit};

/// The arguments that are not copied, because they select the jobs and the time limit, or print the
/// ids once.
const REWRITTEN_ARGS: [&str; 9] =
    ["ids", "from", "cluster", "node", "timeout", "deadline", "checkpoint", "state", "print_id"];

/// The flags of a command line and of the variables, without those that select jobs and the time
/// limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    words: Vec<String>,
    /// Whether a variable sets the time limit.
    has_limit_variable: bool,
}

/// What a command line continues.
#[derive(Debug, Default)]
pub(crate) struct NextWaits<'a> {
    pub(crate) jobs: Vec<JobId>,
    pub(crate) objects: Vec<ObjectId>,
    /// The checkpoint file that contains the waits. It is used instead of ids.
    pub(crate) file: Option<&'a Path>,
    /// The value of `--state`.
    pub(crate) state: Option<String>,
}

impl Flags {
    /// Returns the flags that were given on the command line or by variables. The command that
    /// continues may run without these variables.
    pub(crate) fn from_matches(command: &Command, matches: &ArgMatches) -> Self {
        let mut words = Vec::new();
        let source = |id| {
            // Other subcommands do not have the flag.
            matches.try_contains_id(id).is_ok().then(|| matches.value_source(id)).flatten()
        };
        let is_given = |id| source(id) == Some(ValueSource::CommandLine);
        let is_variable = |id| source(id) == Some(ValueSource::EnvVariable);
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            let is_copied = (is_given(id) || is_variable(id)) && !REWRITTEN_ARGS.contains(&id);
            let Some(name) = argument.get_long().filter(|_| is_copied) else { continue };
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
        let has_limit_variable = is_variable("timeout") || is_variable("deadline");
        Self { words, has_limit_variable }
    }

    /// Returns the command line that continues the waits.
    pub(crate) fn next_command(&self, waits: &NextWaits<'_>, limit: NextLimit) -> String {
        let mut words = vec!["cce-job".to_owned(), "wait".to_owned()];
        words.extend(self.words.iter().cloned());
        // Without a flag, the variable would set the limit again.
        let limit = match limit {
            NextLimit::Default if self.has_limit_variable && waits.file.is_none() => {
                NextLimit::Timeout(Some(DEFAULT_TIMEOUT))
            }
            limit => limit,
        };
        words.extend(limit.words());
        if let Some(file) = waits.file {
            words.extend(["--checkpoint".into(), file.display().to_string()]);
            return shell_words::join(words);
        }
        if let Some(state) = &waits.state {
            words.extend(["--state".into(), state.clone()]);
        }
        if let Some(object) = waits.objects.first() {
            words.extend(["--cluster".into(), object.cluster().to_string()]);
        }
        let nodes = waits.objects.iter().filter_map(ObjectId::node);
        words.extend(nodes.flat_map(|node| ["--node".into(), node.to_string()]));
        let jobs = &waits.jobs;
        // An id may start with a dash, like a flag.
        words.extend(jobs.iter().any(|id| id.as_str().starts_with('-')).then(|| "--".into()));
        words.extend(jobs.iter().map(ToString::to_string));
        shell_words::join(words)
    }
}

impl<'a> NextWaits<'a> {
    /// Returns the waits of the checkpoints, each with its job or its cluster or node.
    pub(crate) fn from_checkpoints<'b>(
        checkpoints: impl IntoIterator<Item = &'b Checkpoint>,
        file: Option<&'a Path>,
    ) -> Self {
        let mut waits = Self { file, ..Self::default() };
        for checkpoint in checkpoints {
            let machine = checkpoint.machine();
            if machine.has_no_job() {
                waits.objects.extend(machine.objects().map(|object| object.id.clone()));
            } else {
                waits.jobs.push(checkpoint.job_id().clone());
            }
        }
        waits
    }
}

#[cfg(test)]
mod tests;

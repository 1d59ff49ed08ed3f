//! Reads files and stdin: job ids, submission replies and saved job replies.

mod ids;
mod parts;
mod replies;
mod submitted;
mod text;

use std::{
    collections::HashSet,
    fmt,
    io::{self, IsTerminal},
    path::PathBuf,
    str::FromStr,
};

use anyhow::{Context, anyhow};
use http::Response;
use job_model::{JobId, ServiceError};
use job_transport::{FetchError, Reading};

pub(crate) use self::{
    ids::{parse_id, without_comment},
    submitted::Submitted,
};
use crate::{
    exit::{Exit, OrExit},
    files,
    terminal::stderr,
};

/// Maximum size of an input. A reply has at most 8 MiB, and a million ids have 40 MB.
const MAX_INPUT_BYTES: u64 = 64 << 20;

/// An input: the path of a file, or `-` for stdin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InputArg {
    Stdin,
    File(PathBuf),
}

impl FromStr for InputArg {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "-" { Self::Stdin } else { Self::File(text.into()) })
    }
}

impl fmt::Display for InputArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("stdin"),
            Self::File(file) => file.display().fmt(f),
        }
    }
}

impl InputArg {
    /// Reads the whole input.
    ///
    /// # Errors
    ///
    /// Returns a usage error if the input cannot be read, or is larger than 64 MiB.
    pub(crate) fn read(&self) -> anyhow::Result<Vec<u8>> {
        let read = match self {
            Self::Stdin => {
                if io::stdin().is_terminal() {
                    stderr::line("reading from stdin; press Ctrl-D to end the input");
                }
                files::read_stream(&mut io::stdin().lock(), MAX_INPUT_BYTES)
            }
            Self::File(file) => files::read_bounded(file, MAX_INPUT_BYTES),
        };
        read.with_context(|| format!("cannot read {self}")).or_exit(Exit::Usage)
    }

    /// Reads the jobs in the replies of the API calls that created them.
    ///
    /// # Errors
    ///
    /// Returns a usage error if a reply has no job id. If the reply is an error response, the
    /// message includes the service's code and message.
    pub(crate) fn read_submitted(&self) -> anyhow::Result<Vec<Submitted>> {
        replies::read_submitted(&self.read()?).or_else(|replies::Problem { error, hint }| {
            // An error with a cause would be printed with the context between them.
            Err(anyhow!("no job id in {self}: {error:#}")).or_exit_with_hint(Exit::Usage, hint)
        })
    }

    /// Reads job ids, separated by line breaks or spaces. Skips comments, which start with `#`.
    ///
    /// # Errors
    ///
    /// Returns a usage error if an id is invalid, or if the input has no id.
    pub(crate) fn read_ids(&self) -> anyhow::Result<Vec<JobId>> {
        let bytes = self.read()?;
        let bytes = text::decode(&bytes);
        if let Some((what, hint)) = text::describe_binary(&bytes) {
            return Err(anyhow!("no job ids in {self}: {what}"))
                .or_exit_with_hint(Exit::Usage, Some(hint.into()));
        }
        let text = str::from_utf8(&bytes);
        let text = text.map_err(|_| anyhow!("{self} is not valid UTF-8")).or_exit(Exit::Usage)?;
        let ids = ids::read_ids(text).map(|(line, id)| {
            id.with_context(|| format!("invalid job id in {self}, line {line}"))
                .or_exit(Exit::Usage)
        });
        let ids = ids.collect::<anyhow::Result<Vec<_>>>()?;
        if ids.is_empty() {
            let what = text::describe_blank(&bytes);
            return Err(anyhow!("no job ids in {self}: {what}")).or_exit(Exit::Usage);
        }
        Ok(ids)
    }

    /// Reads a saved reply, with the same rules as for a reply of the service.
    ///
    /// # Errors
    ///
    /// Returns a usage error if the input cannot be read, and an [unreadable](Exit::Unreadable)
    /// error if it is not a job.
    pub(crate) fn read_reply(&self) -> anyhow::Result<Reading> {
        let body = self.read()?;
        let service_error =
            ServiceError::from_body(0, None, &body).filter(|error| error.code().is_some());
        let error = match (Reading::from_response(Response::new(body.into())), service_error) {
            (Ok(reading), None) => return Ok(reading),
            (Ok(reading), Some(_)) if has_job_fields(&reading) => return Ok(reading),
            (_, Some(error)) => anyhow!("{self} is an error response, not a job: {error}"),
            (Err(error), None) => decode_cause(error).context(format!("{self} is not a job")),
        };
        Err(error).or_exit(Exit::Unreadable)
    }
}

/// A job id on the command line, or `-` for ids on stdin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IdArg {
    Stdin,
    Job(JobId),
}

impl FromStr for IdArg {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        if text == "-" { Ok(Self::Stdin) } else { parse_id(text).map(Self::Job) }
    }
}

impl IdArg {
    /// Returns the ids of the arguments and on stdin, each once. `other_inputs` are the inputs that
    /// the command reads besides.
    ///
    /// # Errors
    ///
    /// Returns a usage error if stdin is given twice, or if its ids cannot be read.
    pub(crate) fn read_all<'i>(
        arguments: &[Self],
        other_inputs: impl Iterator<Item = &'i InputArg>,
    ) -> anyhow::Result<Vec<JobId>> {
        let stdins = arguments.iter().filter(|id| **id == Self::Stdin).count()
            + other_inputs.filter(|input| **input == InputArg::Stdin).count();
        if stdins > 1 {
            return Err(anyhow!("stdin can be read only once, but `-` is given {stdins} times"))
                .or_exit(Exit::Usage);
        }
        let mut ids = Vec::new();
        for id in arguments {
            match id {
                Self::Stdin => ids.extend(InputArg::Stdin.read_ids()?),
                Self::Job(id) => ids.push(id.clone()),
            }
        }
        Ok(distinct(ids))
    }
}

/// Removes repeated ids.
pub(crate) fn distinct(mut ids: Vec<JobId>) -> Vec<JobId> {
    let mut known = HashSet::new();
    ids.retain(|id| known.insert(id.clone()));
    ids
}

/// Whether the reply has at least one of `metadata`, `spec` and `status`.
fn has_job_fields(reading: &Reading) -> bool {
    let job = reading.job();
    job.metadata.is_some() || job.spec.is_some() || job.status.is_some()
}

/// Returns why a body is not a job, without the wording for HTTP replies.
fn decode_cause(error: FetchError) -> anyhow::Error {
    match (error.decode_error(), error.detail()) {
        (Some(cause), _) => anyhow!(cause.clone()),
        (None, Some(detail)) => anyhow!(detail.to_owned()),
        (None, None) => error.into(),
    }
}

//! What a command reads: a file or stdin, and the jobs' ids in it. Decides nothing about a job.

use std::{
    fmt, fs,
    io::{self, IsTerminal, Read},
    path::PathBuf,
    str::FromStr,
};

use anyhow::{Context, anyhow};
use http::Response;
use job_model::{JobId, ServiceError};
use job_transport::{FetchError, Reading};

use crate::{
    exit::{Exit, OrExit},
    terminal::stderr,
};

/// Where to read from: a file's path, or `-` for stdin.
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
    /// Reads all there is.
    ///
    /// # Errors
    ///
    /// Where it cannot be read: wrong usage.
    pub(crate) fn read(&self) -> anyhow::Result<Vec<u8>> {
        let read = match self {
            Self::Stdin => {
                if io::stdin().is_terminal() {
                    stderr::line("reading stdin; it ends with Ctrl-D");
                }
                let mut all = Vec::new();
                io::stdin().lock().read_to_end(&mut all).map(|_| all)
            }
            Self::File(file) => fs::read(file),
        };
        read.with_context(|| format!("{self} cannot be read")).or_exit(Exit::Usage)
    }

    /// Reads the id of the job in the reply of the call that submitted it.
    ///
    /// # Errors
    ///
    /// Returns an error if the reply has no job id: wrong usage. The message includes an error of the
    /// service.
    pub(crate) fn read_submitted_id(&self) -> anyhow::Result<JobId> {
        let reply = self.read()?;
        let id = JobId::from_submission(&reply).map_err(|error| {
            // Usually the call failed, and the reply has the reason.
            let service_error = ServiceError::from_body(0, None, &reply);
            match service_error.filter(|error| error.code().is_some()) {
                Some(error) => anyhow!("{self} has no job; the call failed: {error}"),
                None => anyhow::Error::new(error).context(format!("{self} has no job")),
            }
        });
        id.or_exit(Exit::Usage)
    }

    /// Reads ids, one a line or with blanks between.
    ///
    /// # Errors
    ///
    /// Where one is none, or there is none at all: wrong usage.
    pub(crate) fn read_ids(&self) -> anyhow::Result<Vec<JobId>> {
        let text = String::from_utf8(self.read()?);
        let text = text.map_err(|_| anyhow!("{self} is not UTF-8")).or_exit(Exit::Usage)?;
        let mut ids = Vec::new();
        // Some editors put a byte order mark first.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for (number, line) in text.lines().enumerate() {
            for word in line.split_whitespace() {
                let at = || format!("no job's id in {self}, line {}", number + 1);
                ids.push(word.parse::<JobId>().with_context(at).or_exit(Exit::Usage)?);
            }
        }
        if ids.is_empty() {
            return Err(anyhow!("no job's id in {self}, which is empty")).or_exit(Exit::Usage);
        }
        Ok(ids)
    }

    /// Reads a saved reply by the rules for one that comes from the service.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be read (wrong usage), or is not a job.
    pub(crate) fn read_reply(&self) -> anyhow::Result<Reading> {
        let body = self.read()?;
        let service_error =
            ServiceError::from_body(0, None, &body).filter(|error| error.code().is_some());
        let error = match (Reading::from_response(Response::new(body.into())), service_error) {
            (Ok(reading), None) => return Ok(reading),
            (Ok(reading), Some(_)) if has_job_fields(&reading) => return Ok(reading),
            (_, Some(error)) => anyhow!("it is what the service says of an error: {error}"),
            (Err(error), None) => decode_cause(error),
        };
        Err(error.context(format!("{self} is no job"))).or_exit(Exit::Unreadable)
    }
}

/// Whether any of a job's parts is there.
fn has_job_fields(reading: &Reading) -> bool {
    let job = reading.job();
    job.metadata.is_some() || job.spec.is_some() || job.status.is_some()
}

/// Returns the error of a body that is not a job, without the context of an HTTP reply.
fn decode_cause(error: FetchError) -> anyhow::Error {
    match (error.decode_error(), error.detail()) {
        (Some(cause), _) => anyhow!(cause.clone()),
        (None, Some(detail)) => anyhow!(detail.to_owned()),
        (None, None) => error.into(),
    }
}

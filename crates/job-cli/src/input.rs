//! Reads files and stdin: job ids, submission replies and saved job replies.

use std::{
    fmt,
    io::{self, IsTerminal},
    path::PathBuf,
    str::FromStr,
};

use anyhow::{Context, anyhow};
use http::Response;
use job_model::{JobId, ServiceError};
use job_transport::{FetchError, Reading};
use serde_json::Value;

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

    /// Reads the job id from the reply of the API call that created the job, and the id of what the job
    /// makes or deletes, if the reply contains it.
    ///
    /// # Errors
    ///
    /// Returns a usage error if the reply has no job id. If the reply is an error response, the
    /// message includes the service's code and message.
    pub(crate) fn read_submitted_id(&self) -> anyhow::Result<(JobId, Option<String>)> {
        let reply = self.read()?;
        let id = JobId::from_submission(&reply).map_err(|error| {
            // The most common cause is that the call failed. Then the reply contains the reason.
            let service_error = ServiceError::from_body(0, None, &reply);
            match service_error.filter(|error| error.code().is_some()) {
                Some(error) => anyhow!("no job id in {self}; the API call failed: {error}"),
                None => anyhow::Error::new(error).context(format!("no job id in {self}")),
            }
        });
        Ok((id.or_exit(Exit::Usage)?, resource_id(&reply)))
    }

    /// Reads job ids, separated by line breaks or spaces.
    ///
    /// # Errors
    ///
    /// Returns a usage error if an id is invalid, or if the input has no id.
    pub(crate) fn read_ids(&self) -> anyhow::Result<Vec<JobId>> {
        let text = String::from_utf8(self.read()?);
        let text = text.map_err(|_| anyhow!("{self} is not valid UTF-8")).or_exit(Exit::Usage)?;
        let mut ids = Vec::new();
        // Some editors write a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for (number, line) in text.lines().enumerate() {
            for word in line.split_whitespace() {
                let at = || format!("invalid job id in {self}, line {}", number + 1);
                ids.push(word.parse::<JobId>().with_context(at).or_exit(Exit::Usage)?);
            }
        }
        if ids.is_empty() {
            return Err(anyhow!("no job ids in {self}: it is empty")).or_exit(Exit::Usage);
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

/// Returns the id of the cluster or node that a reply describes, or that a job in it names.
fn resource_id(reply: &[u8]) -> Option<String> {
    let reply: Value = serde_json::from_slice(reply).ok()?;
    let paths = match reply["kind"].as_str() {
        Some("Job") => ["/spec/resourceID", "/spec/clusterUID"],
        _ => ["/metadata/uid", ""],
    };
    let ids = paths.into_iter().filter_map(|path| reply.pointer(path)?.as_str());
    ids.filter(|id| !id.is_empty()).map(String::from).next()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_names_what_the_job_makes_or_deletes() {
        for (reply, expected) in [
            (
                r#"{"kind": "Cluster", "metadata": {"uid": "c"}, "status": {"jobID": "j"}}"#,
                Some("c"),
            ),
            (r#"{"kind": "Node", "metadata": {"uid": "n"}}"#, Some("n")),
            (
                r#"{"kind": "Job", "metadata": {"uid": "j"}, "spec": {"clusterUID": "c"}}"#,
                Some("c"),
            ),
            (r#"{"kind": "Job", "spec": {"clusterUID": "c", "resourceID": "n"}}"#, Some("n")),
            (r#"{"kind": "Job", "metadata": {"uid": "j"}}"#, None),
            (r#"{"jobid": "j"}"#, None),
            (r#"{"metadata": {"uid": 7}}"#, None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(resource_id(reply.as_bytes()).as_deref(), expected, "{reply}");
        }
    }
}

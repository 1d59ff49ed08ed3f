//! Why credentials that were found cannot be used.

use std::{io, path::PathBuf};

use job_model::IdError;

use crate::{auth::secret::InvalidCredential, request::EndpointError};

/// Why what is there cannot be used. Shows no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialChainError {
    /// One of those that belong together is missing.
    #[error("{present} is set, {missing} is not; set all that belong together, or none")]
    #[non_exhaustive]
    Incomplete {
        /// The name of what is there.
        present: String,
        /// The name of what is missing.
        missing: String,
    },
    /// A value cannot be a token or a key.
    #[error("{0} cannot be used")]
    Secret(String, #[source] InvalidCredential),
    /// A value cannot be a project's id.
    #[error("{0} is no project's id")]
    Project(String, #[source] IdError),
    /// A value cannot be the URL of the identity service.
    #[error("{0} is no URL of the identity service")]
    AuthUrl(String, #[source] EndpointError),
    /// A file cannot be read.
    #[error("{} cannot be read", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// A file with a secret may be read by others.
    #[error(
        "{file} holds a secret and may be read by everyone on this machine; run: chmod o-rwx '{file}'",
        file = .0.display()
    )]
    WorldReadable(PathBuf),
    /// A file is not in the form that it must have.
    #[error("{}:{line}: {form} expected", .file.display())]
    #[non_exhaustive]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The line, from 1; 0 where it is not known.
        line: u64,
        /// The form.
        form: &'static str,
    },
    /// The cloud or the file that is asked for has nothing to prove who asks, or not what is asked
    /// for.
    #[error("{location} has {missing}")]
    #[non_exhaustive]
    NoCredentials {
        /// The cloud or the file.
        location: String,
        /// What it does not have.
        missing: &'static str,
    },
    /// There is no file with the cloud that is asked for, or no such cloud in it.
    #[error("OS_CLOUD names the cloud {cloud}, which is in none of: {searched}")]
    #[non_exhaustive]
    NoCloud {
        /// The cloud that is asked for.
        cloud: String,
        /// Where it was looked for.
        searched: String,
    },
}

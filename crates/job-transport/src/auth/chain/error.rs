//! The error of credentials that were found and cannot be used.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use job_model::IdError;

use super::service_hosts::ServiceHostsError;
use crate::{
    auth::{file_access::FileAccess, secret::InvalidCredential},
    request::EndpointError,
};

/// The error of credentials that were found and cannot be used.
///
/// It contains the names of settings, but not their values.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialChainError {
    /// One setting is present, and another one that it requires is missing.
    #[error("{present} is set, but {missing} is not; set both or neither")]
    #[non_exhaustive]
    Incomplete {
        /// The name of the setting that is present.
        present: String,
        /// The name of the setting that is missing.
        missing: String,
    },
    /// The type of the login needs settings that are missing.
    #[error(
        "{login} needs {}; {} {} not set",
        .needed.join(" and "),
        .missing.join(" and "),
        if .missing.len() == 1 { "is" } else { "are" }
    )]
    #[non_exhaustive]
    IncompleteLogin {
        /// The setting of the type, with its value, such as `OS_AUTH_TYPE=v3totp`.
        login: String,
        /// The names of the settings that this type needs.
        needed: Vec<String>,
        /// The names of the settings that are missing.
        missing: Vec<String>,
    },
    /// The value of a variable is not valid UTF-8.
    #[error("{0} is not valid UTF-8")]
    NotUtf8(String),
    /// Two names of one setting have different values.
    #[error(
        "{first} and {second} are the same setting and have different values; unset one of them"
    )]
    #[non_exhaustive]
    Contradiction {
        /// The name that is preferred.
        first: String,
        /// The other name.
        second: String,
    },
    /// A setting changes the caller's identity, and is not supported.
    #[error("{name} is not supported: {reason}")]
    #[non_exhaustive]
    Unsupported {
        /// The name of the setting.
        name: String,
        /// What to do instead.
        reason: String,
    },
    /// The URL of a service that the login needs is not known.
    #[error("{service} is not known, and the login needs it; set {variable}")]
    #[non_exhaustive]
    NoLoginHost {
        /// The service.
        service: &'static str,
        /// The name of the setting.
        variable: String,
    },
    /// A URL of the pod identity is not valid.
    #[error("{0} is invalid")]
    PodUri(String, #[source] EndpointError),
    /// A value is not a number of seconds.
    #[error("{0} is not a number of seconds; expected for example 3600")]
    NotSeconds(String),
    /// A file does not contain the selected profile.
    #[error("{} has no profile {profile:?}; it has: {found}", .file.display())]
    #[non_exhaustive]
    NoProfile {
        /// The file.
        file: PathBuf,
        /// The name of the profile.
        profile: String,
        /// The names of the profiles in the file, separated by commas.
        found: String,
    },
    /// A value is not a valid token or key.
    #[error("{0} is invalid")]
    Secret(String, #[source] InvalidCredential),
    /// A value is not a valid project id.
    #[error("{0} is not a valid project id")]
    Project(String, #[source] IdError),
    /// A value is not a valid URL of the identity or token service.
    #[error("{0} is invalid")]
    AuthUrl(String, #[source] EndpointError),
    /// A value is not the domain of a cloud.
    #[error("{0} is invalid")]
    Cloud(String, #[source] Box<ServiceHostsError>),
    /// The settings do not determine the hosts for the credentials.
    #[error(transparent)]
    Hosts(Box<ServiceHostsError>),
    /// A file cannot be read.
    #[error("cannot read {}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// A file contains a secret, and every user can read it.
    #[error(
        "{file} contains a secret and is readable by every user; run: chmod o-rwx '{file}'",
        file = .0.display()
    )]
    WorldReadable(PathBuf),
    /// A file contains credentials, and every user can change it.
    #[error(
        "{file} contains credentials and every user can change it; run: chmod o-w '{file}'",
        file = .0.display()
    )]
    WorldWritable(PathBuf),
    /// A file contains credentials, and belongs to a user other than the current one and root.
    #[error(
        "{} contains credentials and belongs to another user (uid {owner}), who can change them; \
         use a copy that belongs to you (uid {you})",
        .file.display()
    )]
    #[non_exhaustive]
    OtherOwner {
        /// The file.
        file: PathBuf,
        /// The id of the user that owns the file.
        owner: u32,
        /// The id of the current user.
        you: u32,
    },
    /// A file does not have the required format.
    #[error("{}:{line}: expected {form}", .file.display())]
    #[non_exhaustive]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The line, starting at 1; 0 if it is unknown.
        line: u64,
        /// The expected format.
        form: &'static str,
    },
    /// The selected cloud or file has no credentials, or none for the selected method.
    #[error("{location} has {missing}")]
    #[non_exhaustive]
    NoCredentials {
        /// The cloud or the file.
        location: String,
        /// The missing credentials.
        missing: &'static str,
    },
    /// No file contains the selected cloud.
    #[error("the cloud {cloud} (OS_CLOUD) was not found in: {searched}")]
    #[non_exhaustive]
    NoCloud {
        /// The name of the cloud.
        cloud: String,
        /// The paths that were searched, separated by commas.
        searched: String,
    },
}

/// Something unsafe about credentials that are used anyway.
///
/// `Display` explains it in a sentence that contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialChainWarning {
    /// A file contains a secret, and every user can read it. It belongs to root or is on a
    /// read-only mount, as the mounted secrets of Kubernetes do.
    WorldReadable(PathBuf),
}

impl CredentialChainWarning {
    /// Returns the warning about a file with a secret, such as a token or the key of a certificate.
    ///
    /// Returns `None` if the file has no fault, or if it cannot be used and reading it is an error. A
    /// pipe is not opened.
    #[must_use]
    pub fn for_secret_file(file: &Path) -> Option<Self> {
        if !fs::metadata(file).ok()?.is_file() {
            return None;
        }
        match FileAccess::from_file(&fs::File::open(file).ok()?).ok()? {
            FileAccess::ReadableAsMounted => Some(Self::WorldReadable(file.into())),
            FileAccess::Restricted
            | FileAccess::ReadableByAll
            | FileAccess::WritableByAll
            | FileAccess::OtherOwner { .. } => None,
        }
    }
}

impl fmt::Display for CredentialChainWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorldReadable(file) => write!(
                f,
                "{} contains a secret and is readable by every user; it is used because it belongs \
                 to root or is on a read-only mount",
                file.display()
            ),
        }
    }
}

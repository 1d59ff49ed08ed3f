//! Reads files with secrets, and refuses those that every user can read.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    path::Path,
};

#[cfg(any(feature = "hyper", feature = "credential-chain"))]
use super::file_access::FileAccess;

/// Maximum size of a file with a secret. A token or a key has a few KiB.
pub(super) const MAX_SECRET_FILE_BYTES: u64 = 1 << 20;

/// Reads a text file with a secret, such as a token or a private key, and its metadata.
///
/// Use it for the secrets of your own program, so that they have the same rule as [`TokenFile`]: a file
/// that every user can read, or that another user can change, is refused. Mounted secrets of Kubernetes
/// are used, and a warning is logged. The permissions of a pipe are not checked. Blocks the thread.
///
/// # Errors
///
/// Returns an error of the kind `PermissionDenied` if the file is refused, and an error if it cannot be
/// read, is larger than 1 MiB or is not text in UTF-8. No error contains the secret.
///
/// # Examples
///
/// ```no_run
/// let (token, _) = job_transport::auth::read_secret_file("/run/secrets/api-token")?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// [`TokenFile`]: super::TokenFile
#[cfg(any(feature = "hyper", feature = "credential-chain"))]
pub fn read_secret_file(path: impl AsRef<Path>) -> io::Result<(String, Metadata)> {
    let path = path.as_ref();
    let file = File::open(path)?;
    let found = file.metadata()?;
    check_access(&file, &found, path)?;
    Ok((read_text(file)?, found))
}

/// Returns an error if other users can read or change an open file. `path` is for a warning.
#[cfg(any(feature = "hyper", feature = "credential-chain"))]
pub(super) fn check_access(file: &File, found: &Metadata, path: &Path) -> io::Result<()> {
    if !found.is_file() {
        return Ok(());
    }
    let access = FileAccess::from_file(file)?;
    if let Some(refusal) = access.refusal() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, refusal));
    }
    access.warn_if_readable(path);
    Ok(())
}

/// Without these features, permissions cannot be read.
#[cfg(not(any(feature = "hyper", feature = "credential-chain")))]
#[expect(clippy::unnecessary_wraps, reason = "the other variant can fail")]
pub(super) fn check_access(_: &File, _: &Metadata, _: &Path) -> io::Result<()> {
    Ok(())
}

/// Reads the text of a file of at most 1 MiB.
pub(super) fn read_text(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(MAX_SECRET_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_SECRET_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(text)
}

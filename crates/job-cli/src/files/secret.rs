//! Reads files with secrets that only this user may read.

use std::{
    fs::{File, Metadata},
    io,
    path::Path,
};

use super::read_stream;

/// Reads a file with a secret, with the same rules as `cce-job-server`. The permissions of a pipe are
/// not checked.
///
/// # Errors
///
/// Returns an error of the kind `PermissionDenied` if other users can read or change the file, and an
/// error if it cannot be read, has more than `max_bytes` bytes or is not text.
pub(crate) fn read_secret(path: &Path, max_bytes: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let found = file.metadata()?;
    if let Some(refusal) = refusal(&found).filter(|_| found.is_file()) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, refusal));
    }
    String::from_utf8(read_stream(&mut file, max_bytes)?)
        // The error of the conversion contains the bytes.
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-8"))
}

#[cfg(unix)]
fn refusal(found: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    refusal_of_mode(found.mode(), found.uid(), rustix::process::geteuid().as_raw())
}

/// Other systems have no such permissions.
#[cfg(not(unix))]
fn refusal(_: &Metadata) -> Option<String> {
    None
}

/// Returns why a file with a secret must not be used.
///
/// A file of this user is for this user alone. A file of root may be readable by a group, because a
/// secret that Kubernetes mounts for a user other than root is (`fsGroup`).
#[cfg(unix)]
fn refusal_of_mode(mode: u32, owner: u32, you: u32) -> Option<String> {
    const ROOT: u32 = 0;
    let shared = if owner == you { mode & 0o077 } else { mode & 0o037 };
    if owner != you && owner != ROOT {
        Some(format!(
            "it belongs to another user (uid {owner}); it must belong to uid {you} or root"
        ))
    } else if shared != 0 {
        Some(format!("other users can use it (mode {:03o}); run: chmod go= FILE", mode & 0o777))
    } else {
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_this_user_may_use_a_secret() {
        const ME: u32 = 1000;
        let rows = [
            (0o600, ME, true),
            (0o400, ME, true),
            (0o640, ME, false),
            (0o604, ME, false),
            (0o602, ME, false),
            (0o440, 0, true),
            (0o640, 0, true),
            (0o460, 0, false),
            (0o444, 0, false),
            (0o600, 1001, false),
        ];
        for (mode, owner, is_accepted) in rows {
            let refusal = refusal_of_mode(mode, owner, ME);
            assert_eq!(refusal.is_none(), is_accepted, "{mode:o} {owner} {refusal:?}");
        }
        assert!(refusal_of_mode(0o640, 0, 0).is_some(), "a group can read root's own file");
    }
}

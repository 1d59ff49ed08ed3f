//! Files with secrets: which users may read them, and whether they have changed.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    path::Path,
    time::SystemTime,
};

/// Maximum size of a file with tokens, certificates or keys.
const MAX_BYTES: u64 = 1 << 20;

/// What distinguishes a file from the one that replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    /// The mode, and the number of the file: a rename can keep the other two.
    identity: (u32, u64),
}

impl Stamp {
    /// Reads the stamp of a file. Follows symbolic links, as mounted secrets have them.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|found| Self::from_metadata(&found))
    }

    fn from_metadata(found: &Metadata) -> Self {
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt as _;
            (found.mode(), found.ino())
        };
        #[cfg(not(unix))]
        let identity = (0, 0);
        Self { modified: found.modified().ok(), length: found.len(), identity }
    }
}

/// Reads a file with a secret, and its stamp.
///
/// # Errors
///
/// Returns an error of the kind `PermissionDenied` if other users can read or change the file, and an
/// error if it cannot be read, is larger than 1 MiB or is not text.
pub(crate) fn read_secret(path: &Path) -> io::Result<(String, Stamp)> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    if let Some(refusal) = refusal(&found) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, refusal));
    }
    Ok((read_text(file)?, Stamp::from_metadata(&found)))
}

/// Reads a text file, and its stamp.
///
/// # Errors
///
/// Returns an error if the file cannot be read, is larger than 1 MiB or is not text.
pub(crate) fn read(path: &Path) -> io::Result<(String, Stamp)> {
    let file = File::open(path)?;
    let stamp = Stamp::from_metadata(&file.metadata()?);
    Ok((read_text(file)?, stamp))
}

fn read_text(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(text)
}

/// Creates a file that only this user can read. Fails if it exists.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

/// Creates a folder that only this user can use, and its parents.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path)
}

#[cfg(unix)]
fn refusal(found: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;

    refusal_of_mode(found.mode(), found.uid(), rustix::process::geteuid().as_raw())
}

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
        Some(format!("other users can use it (mode {:03o}); run chmod go= on it", mode & 0o777))
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
        assert!(refusal_of_mode(0o640, 0, 0).is_some(), "root's own file");
    }
}

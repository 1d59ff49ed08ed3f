//! Files with secrets and settings, and whether they have changed.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _, Write as _},
    path::Path,
    time::SystemTime,
};

use job_transport::auth::read_secret_file;

/// Maximum size of a file with settings or certificates.
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
/// Returns an error of the kind `PermissionDenied` if every user can read the file, or if another user
/// can change it. Returns an error if it cannot be read, is larger than 1 MiB or is not text.
pub(crate) fn read_secret(path: &Path) -> io::Result<(String, Stamp)> {
    let (text, found) = read_secret_file(path)?;
    Ok((text, Stamp::from_metadata(&found)))
}

/// Reads a text file, and its stamp.
///
/// # Errors
///
/// Returns an error if the file cannot be read, is larger than 1 MiB or is not text.
pub(crate) fn read(path: &Path) -> io::Result<(String, Stamp)> {
    let file = File::open(path)?;
    let stamp = Stamp::from_metadata(&file.metadata()?);
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok((text, stamp))
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

/// Creates a file that only this user can read. It never exists without its content, even if the process
/// is killed. `suffix` must be unique: it is a part of the name until the content is written.
///
/// # Errors
///
/// Returns an error of the kind `AlreadyExists` if the file exists.
pub(crate) fn create_whole(path: &Path, suffix: &str, content: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".new-{suffix}"));
    let mut file = create_private(new.as_ref())?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    // A link does not replace a file, but a rename does.
    let created = written.and_then(|()| fs::hard_link(&new, path));
    let _ = fs::remove_file(&new);
    created
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

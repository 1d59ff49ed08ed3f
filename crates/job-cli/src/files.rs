//! Reads and writes files. Only regular files are replaced or removed, and no read is unbounded.

mod key_records;
mod lock;
mod quota_file;
mod target;

pub(crate) use self::{
    key_records::KeyRecordFiles,
    lock::{FileLock, LockError},
    quota_file::QuotaFile,
    target::{NewFileMode, OwnerRule, TargetFile},
};

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use etcetera::{BaseStrategy, choose_base_strategy};

/// Maximum size of a PEM file with CAs. The largest bundles have less than 1 MiB.
pub(crate) const MAX_CA_BYTES: u64 = 16 << 20;

/// Returns the command's folder in the user's state folder; `None` if the user has no such folder.
pub(crate) fn state_folder() -> Option<PathBuf> {
    let folders = choose_base_strategy().ok()?;
    let folder = folders.state_dir().unwrap_or_else(|| folders.data_dir());
    Some(folder.join("cce-job"))
}

/// Reads a whole file or pipe.
///
/// # Errors
///
/// Returns an error if it cannot be read, or if it has more than `max_bytes` bytes.
pub(crate) fn read_bounded(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    read_stream(&mut File::open(path)?, max_bytes)
}

/// Reads a stream to its end.
///
/// # Errors
///
/// Returns an error if it cannot be read, or if it has more than `max_bytes` bytes.
pub(crate) fn read_stream(stream: &mut dyn Read, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    stream.take(max_bytes.saturating_add(1)).read_to_end(&mut all)?;
    if u64::try_from(all.len()).is_ok_and(|size| size <= max_bytes) {
        Ok(all)
    } else {
        Err(too_large(max_bytes))
    }
}

fn too_large(max_bytes: u64) -> io::Error {
    let message = format!("it is larger than {} MiB", max_bytes >> 20);
    io::Error::new(io::ErrorKind::FileTooLarge, message)
}

#[cfg(test)]
mod tests;

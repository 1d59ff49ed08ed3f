//! The lock of a file: a second file beside it, because the file itself is replaced.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::target::{TargetFile, open_regular};

/// A lock that this process holds. Dropping it releases it and removes its file.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
    path: PathBuf,
}

/// Why a file cannot be locked.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another process holds the lock.
    InUse,
    /// The lock file cannot be created.
    Io(io::Error),
}

/// Time between two attempts to get a lock.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(20);

impl TargetFile {
    /// Maximum time to wait for another process.
    pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

    /// Returns the path of the lock file.
    pub(crate) fn lock_path(&self) -> PathBuf {
        let mut path = OsString::from(self.path());
        path.push(".lock");
        path.into()
    }

    /// Locks the file. Waits for another process for at most `timeout`.
    ///
    /// On a file system without locks, returns a lock that excludes nobody.
    ///
    /// # Errors
    ///
    /// Returns an error if another process holds the lock, or if the lock file cannot be created.
    pub(crate) fn lock(&self, timeout: Duration) -> Result<FileLock, LockError> {
        let path = self.lock_path();
        let mut waited = Duration::ZERO;
        loop {
            if let Some(lock) = try_lock(&path)? {
                return Ok(lock);
            }
            if waited >= timeout {
                return Err(LockError::InUse);
            }
            pause();
            waited += RETRY_INTERVAL;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "another process holds the lock in real time")]
fn pause() {
    thread::sleep(RETRY_INTERVAL);
}

fn try_lock(path: &Path) -> Result<Option<FileLock>, LockError> {
    let opened = open_regular(OpenOptions::new().create(true).append(true), path);
    let file = opened.map_err(LockError::Io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
    }
    let lock = FileLock { file, path: path.into() };
    // The process that held the lock before may have removed the file. Then a third process could
    // lock a new one at this path.
    Ok(lock.is_at_path().then_some(lock))
}

impl FileLock {
    /// Whether the locked file is still the one at its path.
    #[cfg(unix)]
    fn is_at_path(&self) -> bool {
        use std::os::unix::fs::MetadataExt;

        let id = |found: fs::Metadata| (found.dev(), found.ino());
        match (self.file.metadata(), fs::symlink_metadata(&self.path)) {
            (Ok(locked), Ok(found)) => id(locked) == id(found),
            _ => false,
        }
    }

    /// Other systems do not remove an open file.
    #[cfg(not(unix))]
    fn is_at_path(&self) -> bool {
        true
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Removed before it is released, so that nobody else holds the lock.
        if self.is_at_path() {
            let _ = fs::remove_file(&self.path);
        }
        let _ = self.file.unlock();
    }
}

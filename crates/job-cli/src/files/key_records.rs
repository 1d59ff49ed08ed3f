//! What is known of access keys, in files that the processes of a user share. A wrong key is then
//! sent once by all of them together.
//!
//! The folder contains a random local key, and one file per access key and endpoint. The local key
//! authenticates these files, and their names are codes that cannot be computed without it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use futures_core::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use job_transport::{
    auth::{KeyId, KeyRecord, KeyRecordError, KeyRecords, LockedKeyRecord},
    clock::{Clock, TokioClock},
};
use sha2::Sha256;
use tokio::{runtime::Handle, task::spawn_blocking};

use super::{
    lock::{FileLock, LockError, RETRY_INTERVAL},
    read_stream,
    target::{NewFileMode, TargetFile, open_regular},
};

/// Bytes of the local key.
const LOCAL_KEY_LEN: usize = 32;

/// The file with the local key.
const LOCAL_KEY_NAME: &str = "local-key";

/// The end of the names of records.
const RECORD_SUFFIX: &str = ".record";

/// Maximum size of a record. The longest has about 200 bytes.
const MAX_RECORD_BYTES: u64 = 4096;

/// A record that was not written for this time is removed. It is valid for an hour at most.
const MAX_RECORD_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Maximum number of files that one process examines to remove old ones.
const MAX_EXAMINED_FILES: usize = 10_000;

/// The records in a folder. Clones are cheap.
#[derive(Clone)]
pub(crate) struct KeyRecordFiles(Arc<KeyFolder>);

struct KeyFolder {
    path: PathBuf,
    /// The state of an HMAC with the local key, which itself is not kept. Zeroed on drop.
    local_key: Hmac<Sha256>,
}

impl KeyRecordFiles {
    /// Opens the folder, and creates it if it does not exist. Removes old records.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be written, or if the file with the local key cannot
    /// be used.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = || format!("cannot use {}", path.display());
        create_private_folder(path).with_context(shown)?;
        let local_key = path.join(LOCAL_KEY_NAME);
        let local_key = read_or_create_local_key(&local_key)
            .with_context(|| format!("cannot use {}", local_key.display()))?;
        let folder = KeyFolder { path: path.to_owned(), local_key };
        folder.check_writable().with_context(shown)?;
        folder.remove_old_files(now());
        Ok(Self(Arc::new(folder)))
    }
}

impl KeyRecords for KeyRecordFiles {
    fn lock(&self, key: KeyId) -> BoxFuture<'_, Result<Box<dyn LockedKeyRecord>, KeyRecordError>> {
        Box::pin(async move {
            loop {
                let folder = self.0.clone();
                // If this future is dropped meanwhile, the result is dropped on the other thread.
                if let Some(locked) = spawn_blocking(move || folder.try_lock(key)).await?? {
                    return Ok(Box::new(locked) as _);
                }
                TokioClock::new().sleep(RETRY_INTERVAL).await;
            }
        })
    }
}

/// The locked record of a key.
struct LockedFile {
    folder: Arc<KeyFolder>,
    id: KeyId,
    target: TargetFile,
    record: KeyRecord,
    /// `None` after it was released.
    lock: Option<FileLock>,
}

impl LockedKeyRecord for LockedFile {
    fn record(&self) -> KeyRecord {
        self.record
    }

    fn store(
        mut self: Box<Self>,
        record: KeyRecord,
    ) -> BoxFuture<'static, Result<(), KeyRecordError>> {
        Box::pin(async move {
            let stored = spawn_blocking(move || {
                let _lock = self.lock.take();
                let text = self.folder.encode(&self.id, record)?;
                // The client does not wait long for this, and a record that is lost in a power failure
                // costs one signature.
                self.target.replace_unsynced(NewFileMode::Private, &text)
            });
            Ok(stored.await??)
        })
    }
}

/// Releases the lock on another thread, because it removes the lock file.
impl Drop for LockedFile {
    fn drop(&mut self) {
        let Some(lock) = self.lock.take() else { return };
        // Without a runtime, it is released here.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn_blocking(move || drop(lock));
        }
    }
}

impl KeyFolder {
    /// Locks and reads a record. Returns `None` if another process holds the lock.
    fn try_lock(self: Arc<Self>, id: KeyId) -> io::Result<Option<LockedFile>> {
        let target = TargetFile::new(&self.path.join(self.record_name(&id)))?;
        let lock = match target.lock(Duration::ZERO) {
            Ok(lock) => Some(lock),
            Err(LockError::InUse) => return Ok(None),
            Err(LockError::Io(error)) => return Err(error),
        };
        let record = self.read_record(&id, &target).unwrap_or_default();
        Ok(Some(LockedFile { folder: self, id, target, record, lock }))
    }

    /// Returns the record in a file; `None` if it is missing, unreadable, or not written with the
    /// local key for this access key.
    fn read_record(&self, id: &KeyId, target: &TargetFile) -> Option<KeyRecord> {
        let mut file = target.open(MAX_RECORD_BYTES).ok()??;
        let text = read_stream(&mut file, MAX_RECORD_BYTES).ok()?;
        let (code, json) = text.split_at_checked(2 * LOCAL_KEY_LEN)?;
        let json = json.strip_prefix(b"\n")?;
        let code = base16ct::lower::decode_vec(code).ok()?;
        self.record_code(id, json).verify_slice(&code).ok()?;
        serde_json::from_slice(json).ok()
    }

    /// Returns the content of a record's file: its authentication code, and the record as JSON.
    fn encode(&self, id: &KeyId, record: KeyRecord) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(&record)?;
        let code =
            base16ct::lower::encode_string(&self.record_code(id, &json).finalize().into_bytes());
        Ok([code.as_bytes(), b"\n", &json].concat())
    }

    fn record_name(&self, id: &KeyId) -> String {
        let code = self.code("name", id).finalize().into_bytes();
        base16ct::lower::encode_string(&code) + RECORD_SUFFIX
    }

    fn record_code(&self, id: &KeyId, json: &[u8]) -> Hmac<Sha256> {
        self.code("record", id).chain_update(json)
    }

    /// Returns the HMAC of a purpose and an id. The purpose is part of it, so that no code of one
    /// purpose is valid for another.
    fn code(&self, purpose: &str, id: &KeyId) -> Hmac<Sha256> {
        self.local_key.clone().chain_update(purpose).chain_update("\n").chain_update(id.as_bytes())
    }

    /// Returns an error if no file can be created in the folder.
    fn check_writable(&self) -> io::Result<()> {
        match TargetFile::new(&self.path.join(LOCAL_KEY_NAME))?.lock(Duration::ZERO) {
            Ok(_) | Err(LockError::InUse) => Ok(()),
            Err(LockError::Io(error)) => Err(error),
        }
    }

    /// Removes old records, and the lock files and unfinished files of processes that were killed.
    /// Ignores errors.
    fn remove_old_files(&self, now: SystemTime) {
        let Ok(files) = fs::read_dir(&self.path) else { return };
        for file in files.take(MAX_EXAMINED_FILES).flatten() {
            let path = file.path();
            let name = file.file_name();
            let Some(name) = name.to_str().filter(|_| is_old(&path, now)) else { continue };
            let record = name.strip_suffix(".lock").unwrap_or(name);
            if name.starts_with(TargetFile::TEMPORARY_PREFIX) {
                let _ = fs::remove_file(path);
            } else if record.ends_with(RECORD_SUFFIX) {
                self.remove_if_old(record, now);
            }
        }
    }

    /// Removes a record under its lock, unless it was written meanwhile.
    fn remove_if_old(&self, record: &str, now: SystemTime) {
        let path = self.path.join(record);
        let Ok(target) = TargetFile::new(&path) else { return };
        if let Ok(_lock) = target.lock(Duration::ZERO)
            && is_old(&path, now)
        {
            let _ = target.remove();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "compared with the times of files")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn is_old(path: &Path, now: SystemTime) -> bool {
    let written = fs::symlink_metadata(path).and_then(|found| found.modified());
    let age = written.ok().and_then(|written| now.duration_since(written).ok());
    age.is_some_and(|age| age >= MAX_RECORD_AGE)
}

/// Creates a folder, and those above it, for the user only.
fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Returns the local key. If there is none, creates it, or reads the one that another process
/// created at the same time.
fn read_or_create_local_key(path: &Path) -> io::Result<Hmac<Sha256>> {
    let target = TargetFile::new(path)?;
    if !path.try_exists()? {
        let mut random = [0; LOCAL_KEY_LEN];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        target.create_private(&random)?;
    }
    let file = open_regular(OpenOptions::new().read(true), target.path())?;
    check_private(&file)?;
    let mut bytes = Vec::new();
    file.take(LOCAL_KEY_LEN as u64 + 1).read_to_end(&mut bytes)?;
    let is_valid = bytes.len() == LOCAL_KEY_LEN;
    let key = Hmac::new_from_slice(&bytes).ok().filter(|_| is_valid);
    key.ok_or_else(|| io::Error::other("it is damaged; delete it"))
}

/// Returns an error if another user may know the content of a file.
#[cfg(unix)]
fn check_private(file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let found = file.metadata()?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user; delete it"));
    }
    if found.mode() & 0o077 != 0 {
        return Err(io::Error::other("other users may read it; delete it"));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;

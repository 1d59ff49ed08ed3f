//! The rate limits that services have stated, in a file that the processes of a user share.
//!
//! The callers in it are digests. It contains no host, no access key and no token.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use futures_core::future::BoxFuture;
use jiff::Timestamp;
use job_poller::budget::{QuotaKey, QuotaRecord, QuotaRecords, QuotaStore, QuotaStoreError};
use tokio::task::spawn_blocking;

use super::{
    lock::LockError,
    read_stream,
    target::{NewFileMode, OwnerRule, TargetFile},
};

/// Maximum size of the file. The quotas of a caller have less than 1 KiB.
const MAX_QUOTA_BYTES: u64 = 1 << 20;

/// Maximum number of callers in the file. Nobody has this many within an hour.
const MAX_CALLERS: usize = 500;

/// The quotas in a file. It need not exist.
#[derive(Clone, Debug)]
pub(crate) struct QuotaFile(PathBuf);

/// The quotas of each caller.
type Callers = BTreeMap<String, QuotaRecords>;

impl QuotaFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    fn merge_now(
        &self,
        caller: &str,
        now: Timestamp,
        stated: &[QuotaRecord],
    ) -> io::Result<QuotaRecords> {
        let target = TargetFile::new(&self.0)?;
        if stated.is_empty() {
            let mut records = read(&target)?.remove(caller).unwrap_or_default();
            records.merge(now, &[]);
            return Ok(records);
        }
        target.create_folder()?;
        let _lock = target.lock(TargetFile::LOCK_TIMEOUT).map_err(|error| match error {
            LockError::InUse => io::Error::other("another process holds its lock"),
            LockError::Io(error) => error,
        })?;
        let mut callers = read(&target)?;
        let mut records = callers.remove(caller).unwrap_or_default();
        records.merge(now, stated);
        callers.values_mut().for_each(|others| others.merge(now, &[]));
        callers.retain(|_, others| !others.is_empty());
        while callers.len() >= MAX_CALLERS {
            callers.pop_first();
        }
        callers.insert(caller.to_owned(), records.clone());
        let text = serde_json::to_vec(&callers)?;
        target.write(NewFileMode::Private, OwnerRule::Refuse, |file| file.write_all(&text))?;
        Ok(records)
    }
}

impl QuotaStore for QuotaFile {
    fn merge<'a>(
        &'a self,
        caller: &'a QuotaKey,
        now: Timestamp,
        stated: &'a [QuotaRecord],
    ) -> BoxFuture<'a, Result<QuotaRecords, QuotaStoreError>> {
        let (file, caller, stated) = (self.clone(), caller.to_string(), stated.to_vec());
        Box::pin(async move {
            let merged = spawn_blocking(move || {
                let merged = file.merge_now(&caller, now, &stated);
                merged.map_err(|error| format!("cannot use {}: {error}", file.0.display()))
            });
            Ok(merged.await??)
        })
    }
}

/// Reads the quotas of all callers. A file that is damaged, or was written by another version, has
/// none.
fn read(target: &TargetFile) -> io::Result<Callers> {
    let Some(mut file) = target.open(MAX_QUOTA_BYTES)? else { return Ok(Callers::new()) };
    let text = read_stream(&mut file, MAX_QUOTA_BYTES)?;
    Ok(serde_json::from_slice(&text).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use job_poller::machine::{QuotaPolicy, StatedQuota};
    use tempfile::tempdir;

    use super::*;

    fn stated(max_requests: u32) -> StatedQuota {
        StatedQuota::new(QuotaPolicy::User, max_requests, Duration::from_secs(60))
    }

    fn key(identity: &str) -> QuotaKey {
        QuotaKey::new("cce.eu-de.otc.t-systems.com", identity.as_bytes())
    }

    /// Returns the maximum numbers of requests that the file states for a caller.
    async fn limits(file: &QuotaFile, identity: &str, now: Timestamp) -> Vec<u32> {
        let records = file.merge(&key(identity), now, &[]).await.unwrap();
        records.as_slice().iter().map(|record| record.quota.max_requests).collect()
    }

    #[tokio::test]
    async fn processes_share_the_quotas_of_a_caller_for_an_hour() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("state/quotas.json");
        let [one, other] = [(); 2].map(|()| QuotaFile::new(&path));
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        assert!(limits(&one, "QTWAOYTTINDUT2QVKYUC", at).await.is_empty());
        assert!(!path.exists(), "there was nothing to store");
        for (identity, max_requests) in [("QTWAOYTTINDUT2QVKYUC", 60), ("other", 100)] {
            let record = QuotaRecord::new(stated(max_requests), at);
            one.merge(&key(identity), at, &[record]).await.unwrap();
        }
        assert_eq!(limits(&other, "QTWAOYTTINDUT2QVKYUC", at).await, [60]);
        let later = QuotaRecord::new(stated(80), at + Duration::from_secs(1_800));
        other
            .merge(&key("QTWAOYTTINDUT2QVKYUC"), at + Duration::from_secs(1_800), &[later])
            .await
            .unwrap();
        let end = at + Duration::from_secs(3_600);
        assert_eq!(limits(&one, "QTWAOYTTINDUT2QVKYUC", end).await, [80]);
        assert!(limits(&one, "other", end).await.is_empty());
        // If the wall clock is set back, the record would be valid for too long.
        assert!(limits(&one, "QTWAOYTTINDUT2QVKYUC", at).await.is_empty());
        let text = fs::read_to_string(&path).unwrap();
        for hidden in ["QTWAOYTTINDUT2QVKYUC", "t-systems"] {
            assert!(!text.contains(hidden), "{text}");
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[tokio::test]
    async fn a_damaged_file_is_replaced() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("quotas.json");
        let (file, now) = (QuotaFile::new(&path), Timestamp::UNIX_EPOCH);
        for text in ["", "{", "[]", r#"{"00": [{"quota": 1}]}"#] {
            fs::write(&path, text).unwrap();
            assert!(limits(&file, "a", now).await.is_empty(), "{text:?}");
            file.merge(&key("a"), now, &[QuotaRecord::new(stated(7), now)]).await.unwrap();
            assert_eq!(limits(&file, "a", now).await, [7], "{text:?}");
        }
        // Something else than a file is left alone.
        let error = QuotaFile::new(folder.path()).merge(&key("a"), now, &[]).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot use "), "{error}");
    }

    #[tokio::test]
    async fn the_file_stays_small() {
        let folder = tempdir().unwrap();
        let file = QuotaFile::new(&folder.path().join("quotas.json"));
        let now = Timestamp::UNIX_EPOCH;
        for number in 0..MAX_CALLERS + 10 {
            let record = QuotaRecord::new(stated(7), now);
            file.merge(&key(&number.to_string()), now, &[record]).await.unwrap();
        }
        let callers = read(&TargetFile::new(&file.0).unwrap()).unwrap();
        assert_eq!(callers.len(), MAX_CALLERS);
        assert_eq!(limits(&file, &(MAX_CALLERS + 9).to_string(), now).await, [7]);
    }
}

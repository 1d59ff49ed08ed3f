//! What is known of an access key, and the trait that shares it between processes.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use futures_core::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::request::RefusalCause;

/// How long a key counts as proven, for other processes.
const PROVEN_PERIOD: SignedDuration = SignedDuration::from_hours(1);

/// How long no request is signed with a key after a refusal. The service locks a key for the same
/// time.
const BLOCK_PERIOD: SignedDuration = SignedDuration::from_mins(5);

/// Identifies an access key at an endpoint.
///
/// It is an HMAC of the access key, the security token and the endpoint's host, with the secret key
/// as its key. Somebody who knows it can check a guess of the secret key. `Debug` does not print
/// it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// Creates an id from its bytes, for tests of an implementation of [`KeyRecords`].
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes. Do not store them; store an HMAC of them under a random local key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyId(..)")
    }
}

/// What is known of an access key, as plain data. Times are wall-clock times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum KeyRecord {
    /// No signature of the key was accepted yet, or the last one was refused.
    #[default]
    Unproven,
    /// The service has accepted a signature.
    Proven {
        /// Until when the key counts as proven; one hour after the signature.
        until: Timestamp,
    },
    /// The service has refused a signature, so no request is signed for a while.
    Blocked {
        /// Until when no request is signed; five minutes after the refusal.
        until: Timestamp,
        /// Why the service refused the signature.
        cause: RefusalCause,
    },
}

impl KeyRecord {
    /// Returns the record of a key whose signature was accepted now.
    #[must_use]
    pub fn proven(now: Timestamp) -> Self {
        Self::Proven { until: after(now, PROVEN_PERIOD) }
    }

    /// Returns the record of a key whose signature was refused now.
    #[must_use]
    pub fn blocked(now: Timestamp, cause: RefusalCause) -> Self {
        Self::Blocked { until: after(now, BLOCK_PERIOD), cause }
    }

    /// Returns the record as it is at this time: `Unproven` after the end of its period.
    ///
    /// The same applies if the period begins later than now, because then the wall clock was set
    /// back, and the record would be valid for too long.
    ///
    /// # Examples
    ///
    /// ```
    /// use jiff::{SignedDuration, Timestamp};
    /// use job_transport::auth::KeyRecord;
    ///
    /// let now = Timestamp::UNIX_EPOCH;
    /// let record = KeyRecord::proven(now);
    /// assert_eq!(record.at(now), record);
    /// assert_eq!(record.at(now + SignedDuration::from_hours(1)), KeyRecord::Unproven);
    /// assert_eq!(record.at(now - SignedDuration::from_secs(1)), KeyRecord::Unproven);
    /// ```
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        let (until, period) = match self {
            Self::Unproven => return self,
            Self::Proven { until } => (until, PROVEN_PERIOD),
            Self::Blocked { until, .. } => (until, BLOCK_PERIOD),
        };
        if now < until && until.duration_since(now) <= period { self } else { Self::Unproven }
    }
}

/// Adding a few hours fails only at the end of the year 9999.
fn after(now: Timestamp, period: SignedDuration) -> Timestamp {
    now.saturating_add(period).unwrap_or(Timestamp::MAX)
}

/// The error of a record that cannot be read or written.
pub type KeyRecordError = Box<dyn Error + Send + Sync>;

/// Shares what is known of access keys between processes.
///
/// The service locks an access key after more than five wrong signatures in a row. Within a
/// process, all clients share what they know of a key. With this trait, processes share it as well,
/// so that ten processes that start together with a wrong key send one signature.
///
/// [`MemoryKeyRecords`] keeps the records in memory.
///
/// # For callers
///
/// Pass it to [`Client::key_records`](crate::Client::key_records). A client asks for a record only
/// while its key is not proven, and never for a key at a loopback address. If a record cannot be
/// locked because of an error, the client logs one warning per key and goes on without it.
///
/// # For implementers
///
/// - A record belongs to a [`KeyId`]. Store no form of the id from which its bytes can be computed.
/// - Return [`KeyRecord::Unproven`] if there is no record, or if it is unreadable.
/// - A lock excludes all other processes and all other tasks of this one. Release it when the
///   [`LockedKeyRecord`] is dropped, and when the process ends for any reason.
/// - Do not block the thread: wait for a file's lock on another one. The caller has a timeout.
pub trait KeyRecords: Send + Sync {
    /// Locks the record of a key, and reads it.
    ///
    /// # Errors
    ///
    /// Returns an error if records cannot be used at all, for example because a folder is not
    /// writable. If another process holds the lock, the future waits.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the lock is not taken, or is released.
    fn lock(&self, key: KeyId) -> BoxFuture<'_, Result<Box<dyn LockedKeyRecord>, KeyRecordError>>;
}

/// The locked record of a key. Dropping it releases the lock and keeps the record.
pub trait LockedKeyRecord: Send + Sync {
    /// Returns the record as it was when it was locked.
    fn record(&self) -> KeyRecord;

    /// Replaces the record, and releases the lock.
    ///
    /// # Errors
    ///
    /// Returns an error if the record cannot be written.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the record is the old one or the new one, and the lock is
    /// released.
    fn store(self: Box<Self>, record: KeyRecord) -> BoxFuture<'static, Result<(), KeyRecordError>>;
}

impl<R: KeyRecords + ?Sized> KeyRecords for Arc<R> {
    fn lock(&self, key: KeyId) -> BoxFuture<'_, Result<Box<dyn LockedKeyRecord>, KeyRecordError>> {
        (**self).lock(key)
    }
}

impl<R: KeyRecords + ?Sized> KeyRecords for Box<R> {
    fn lock(&self, key: KeyId) -> BoxFuture<'_, Result<Box<dyn LockedKeyRecord>, KeyRecordError>> {
        (**self).lock(key)
    }
}

/// Keeps records in memory, for clones of itself.
#[derive(Clone, Default)]
pub struct MemoryKeyRecords(Arc<Mutex<BTreeMap<KeyId, Arc<async_lock::Mutex<KeyRecord>>>>>);

impl MemoryKeyRecords {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl KeyRecords for MemoryKeyRecords {
    fn lock(&self, key: KeyId) -> BoxFuture<'_, Result<Box<dyn LockedKeyRecord>, KeyRecordError>> {
        let record = {
            let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            records.entry(key).or_default().clone()
        };
        Box::pin(async move {
            Ok(Box::new(LockedMemoryRecord(record.lock_arc().await)) as Box<dyn LockedKeyRecord>)
        })
    }
}

struct LockedMemoryRecord(async_lock::MutexGuardArc<KeyRecord>);

impl LockedKeyRecord for LockedMemoryRecord {
    fn record(&self) -> KeyRecord {
        *self.0
    }

    fn store(
        mut self: Box<Self>,
        record: KeyRecord,
    ) -> BoxFuture<'static, Result<(), KeyRecordError>> {
        *self.0 = record;
        Box::pin(std::future::ready(Ok(())))
    }
}

impl fmt::Debug for MemoryKeyRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryKeyRecords").finish_non_exhaustive()
    }
}

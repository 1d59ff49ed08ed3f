//! The stated quotas of a caller, and the trait that shares them between processes.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_core::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::quotas::QUOTA_PERIOD;
use crate::machine::StatedQuota;

/// Identifies a caller at an endpoint, without its name.
///
/// It is a SHA-256 of the endpoint's host and of what identifies the credentials. `Display` prints it
/// in hexadecimal digits.
///
/// # Examples
///
/// ```
/// use job_poller::budget::QuotaKey;
///
/// let key = QuotaKey::new("cce.eu-de.otc.t-systems.com", b"my access key");
/// assert_eq!(key, QuotaKey::new("CCE.eu-de.otc.t-systems.com", b"my access key"));
/// assert!(key.to_string().starts_with("e16f"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaKey([u8; 32]);

impl QuotaKey {
    /// Creates a key from the endpoint's host and from what identifies the credentials: for example
    /// the access key, the name of the user, or a digest of them. Pass no secret that could be
    /// guessed.
    #[must_use]
    pub fn new(host: &str, identity: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(host.to_ascii_lowercase())
            .chain_update("\n")
            .chain_update(identity);
        Self(digest.finalize().into())
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for QuotaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for QuotaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuotaKey({self})")
    }
}

/// A stated quota, and until when it applies. The time is a wall-clock time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QuotaRecord {
    /// The quota.
    pub quota: StatedQuota,
    /// Until when it applies: one hour after the last reply that stated it.
    pub until: Timestamp,
}

/// By how much the wall clocks of two processes may differ.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

impl QuotaRecord {
    /// Returns the record of a quota that was stated now.
    #[must_use]
    pub fn new(quota: StatedQuota, now: Timestamp) -> Self {
        // This fails only at the end of the year 9999.
        let until = now.saturating_add(QUOTA_PERIOD).unwrap_or(Timestamp::MAX);
        Self { quota, until }
    }

    /// Returns how long the quota still applies. Returns `None` if it does not apply at this time.
    ///
    /// It also does not apply if its period begins more than a minute later than now. The wall clock
    /// was set back then, and the quota would apply for too long. Smaller differences are normal
    /// between the clocks of two processes.
    #[must_use]
    pub fn remaining(&self, now: Timestamp) -> Option<Duration> {
        let remaining = Duration::try_from(self.until.duration_since(now)).ok()?;
        let is_plausible = !remaining.is_zero() && remaining <= QUOTA_PERIOD + CLOCK_TOLERANCE;
        is_plausible.then(|| remaining.min(QUOTA_PERIOD))
    }
}

/// The quotas of a caller: at most one for each policy.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use jiff::{SignedDuration, Timestamp};
/// use job_poller::{
///     budget::{QuotaRecord, QuotaRecords},
///     machine::{QuotaPolicy, StatedQuota},
/// };
///
/// let now = Timestamp::UNIX_EPOCH;
/// let quota = StatedQuota::new(QuotaPolicy::User, 200, Duration::from_secs(300));
/// let mut records = QuotaRecords::new();
/// records.merge(now, &[QuotaRecord::new(quota, now)]);
/// assert_eq!(records.as_slice().len(), 1);
///
/// records.merge(now + SignedDuration::from_hours(1), &[]);
/// assert!(records.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QuotaRecords(Vec<QuotaRecord>);

impl QuotaRecords {
    /// Creates an empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds records, each in place of the one for the same policy, and removes those that do not
    /// apply at this time.
    pub fn merge(&mut self, now: Timestamp, stated: &[QuotaRecord]) {
        let is_replaced = |record: &QuotaRecord| {
            stated.iter().any(|other| other.quota.policy == record.quota.policy)
        };
        self.0.retain(|record| !is_replaced(record));
        self.0.extend_from_slice(stated);
        self.0.retain(|record| record.remaining(now).is_some());
    }

    /// Returns the records.
    #[must_use]
    pub fn as_slice(&self) -> &[QuotaRecord] {
        &self.0
    }

    /// Returns whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The error of quotas that cannot be read or written.
pub type QuotaStoreError = Box<dyn Error + Send + Sync>;

/// Shares the stated quotas of callers between processes.
///
/// The service counts the requests of all processes of a caller together. If a process has learned a
/// quota, the next one starts with it and is not refused first.
///
/// [`MemoryQuotaStore`] keeps the quotas in memory, for several fleets of a process.
///
/// # For callers
///
/// Pass it to `FleetBuilder::quota_store`. The fleet reads the quotas when it starts, and stores each
/// quota that a reply states, at most once per minute if it stays the same. An error is logged once,
/// and otherwise changes nothing. Do not store the quotas of a service at a loopback address.
///
/// # For implementers
///
/// - Merge with what is stored, under a lock that excludes other processes; see
///   [`QuotaRecords::merge`].
/// - If what is stored is unreadable, replace it.
/// - Do not block the thread. The caller has a timeout of a second.
pub trait QuotaStore: Send + Sync {
    /// Adds quotas that replies have stated to those of a caller, and returns those that apply now.
    /// Without new quotas, only reads.
    ///
    /// # Errors
    ///
    /// Returns an error if the quotas cannot be read or written.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the stored quotas are the old or the new ones.
    fn merge<'a>(
        &'a self,
        caller: &'a QuotaKey,
        now: Timestamp,
        stated: &'a [QuotaRecord],
    ) -> BoxFuture<'a, Result<QuotaRecords, QuotaStoreError>>;
}

impl<S: QuotaStore + ?Sized> QuotaStore for Arc<S> {
    fn merge<'a>(
        &'a self,
        caller: &'a QuotaKey,
        now: Timestamp,
        stated: &'a [QuotaRecord],
    ) -> BoxFuture<'a, Result<QuotaRecords, QuotaStoreError>> {
        (**self).merge(caller, now, stated)
    }
}

impl<S: QuotaStore + ?Sized> QuotaStore for Box<S> {
    fn merge<'a>(
        &'a self,
        caller: &'a QuotaKey,
        now: Timestamp,
        stated: &'a [QuotaRecord],
    ) -> BoxFuture<'a, Result<QuotaRecords, QuotaStoreError>> {
        (**self).merge(caller, now, stated)
    }
}

/// Keeps quotas in memory, for clones of itself.
#[derive(Clone, Debug, Default)]
pub struct MemoryQuotaStore(Arc<Mutex<BTreeMap<QuotaKey, QuotaRecords>>>);

impl MemoryQuotaStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl QuotaStore for MemoryQuotaStore {
    fn merge<'a>(
        &'a self,
        caller: &'a QuotaKey,
        now: Timestamp,
        stated: &'a [QuotaRecord],
    ) -> BoxFuture<'a, Result<QuotaRecords, QuotaStoreError>> {
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut records = callers.remove(caller).unwrap_or_default();
        records.merge(now, stated);
        callers
            .retain(|_, others| others.as_slice().iter().any(|one| one.remaining(now).is_some()));
        if !records.is_empty() {
            callers.insert(*caller, records.clone());
        }
        Box::pin(std::future::ready(Ok(records)))
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::machine::QuotaPolicy;

    #[test]
    fn a_quota_applies_for_an_hour_although_clocks_differ_by_a_minute() {
        let stated_at: Timestamp = "2027-01-15T08:00:00Z".parse().unwrap();
        let quota = StatedQuota::new(QuotaPolicy::User, 200, Duration::from_secs(300));
        let record = QuotaRecord::new(quota, stated_at);
        // The seconds from the reply to now, and for how many seconds the quota still applies.
        let rows = [
            (0, Some(3600)),
            (1, Some(3599)),
            (3599, Some(1)),
            (3600, None),
            (-1, Some(3600)),
            (-60, Some(3600)),
            (-61, None),
        ];
        for (second, expected) in rows {
            let now = stated_at + SignedDuration::from_secs(second);
            let remaining = record.remaining(now);
            assert_eq!(remaining, expected.map(Duration::from_secs), "{second}");
            let mut records = QuotaRecords::new();
            records.merge(now, &[record]);
            assert_eq!(records.is_empty(), expected.is_none(), "{second}");
        }
    }
}

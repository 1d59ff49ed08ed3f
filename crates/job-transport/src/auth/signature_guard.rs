//! Protects an access key from being locked because of wrong signatures. Reads no clock.
//!
//! The service locks an access key for five minutes after more than five wrong signatures in a row,
//! for all its users. Therefore, until the service has accepted a signature, and again after it has
//! refused one, signed requests are sent one at a time. After a refusal that another signature
//! would only repeat, no request is signed for five minutes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use job_model::ServiceError;

use super::key_record::{KeyId, KeyRecord, KeyRecordError, KeyRecords, LockedKeyRecord};
use crate::{
    clock::{Clock, timeout},
    request::{FetchError, FetchErrorKind, RefusalCause, Reply, date, stated_server_time},
};

/// From this clock difference on, a signature is wrong because of its time: the service's limit of
/// 15 minutes, minus two seconds because both times are in whole seconds.
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(15 * 60 - 2);

/// Prefix of the error codes of the service itself. It is behind the gateway, so such a code means
/// that the gateway accepted the signature.
const SERVICE_CODE_PREFIX: &str = "CCE.";

/// Timeout for storing the record of a key. The reply that changed it must not be lost because of
/// it.
const STORE_TIMEOUT: Duration = Duration::from_secs(1);

/// From this number of guards on, those of unused keys are removed, because temporary keys change
/// often.
const MAX_UNUSED_GUARDS: usize = 1_000;

/// The guards of all keys in this process.
static GUARDS: Mutex<BTreeMap<KeyId, Arc<SignatureGuard>>> = Mutex::new(BTreeMap::new());

/// The state of a key at an endpoint, shared by all clients in this process that sign with it.
#[derive(Debug)]
pub(crate) struct SignatureGuard {
    id: KeyId,
    /// Held from signing a request to its reply, while the key is not proven.
    probe_lock: async_lock::Mutex<()>,
    state: Mutex<KeyState>,
}

#[derive(Debug, Default)]
struct KeyState {
    record: KeyRecord,
    /// The error body of the reply that blocked the key, if it was sent to this process.
    service_error: Option<ServiceError>,
    /// How far the service's clock is ahead of the caller's.
    skew: SignedDuration,
    /// Whether the skew was corrected since a signature was last accepted. It is corrected only
    /// once.
    skew_learned: bool,
    /// The number of refusals. A reply to a signature from before the last one does not prove the
    /// key.
    refusals: u64,
    /// Whether a warning about the record was logged.
    warned: bool,
}

/// The error of a blocked key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockedKey {
    cause: RefusalCause,
    until: Timestamp,
    service_error: Option<ServiceError>,
}

impl From<BlockedKey> for FetchError {
    fn from(BlockedKey { cause, until, service_error }: BlockedKey) -> Self {
        let error = Self::new(FetchErrorKind::WrongSignature);
        let error = error.with_refusal_cause(cause).with_blocked_until(until);
        match service_error {
            Some(service_error) => error.with_service_error(service_error),
            None => error,
        }
    }
}

/// The permission to send one signed request.
pub(crate) struct Permit<'g> {
    guard: &'g SignatureGuard,
    /// The offset to add to the caller's time for the signature.
    pub(crate) skew: SignedDuration,
    /// The number of refusals when the permission was given.
    refusals: u64,
    probe: Option<Probe<'g>>,
}

/// The locks that are held until the reply is evaluated, if the key is not proven yet.
struct Probe<'g> {
    _probe_guard: async_lock::MutexGuard<'g, ()>,
    record: Option<Box<dyn LockedKeyRecord>>,
}

/// What a reply shows about the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyStatus {
    /// The reply does not concern the signature, or the signature was accepted.
    Unchanged,
    /// The signature was wrong only because of its time. The skew is now corrected.
    ClockCorrected,
    /// The signature was refused. If the cause blocks the key, it is blocked until this time.
    Refused { cause: RefusalCause, blocked_until: Option<Timestamp> },
}

impl SignatureGuard {
    pub(crate) fn new(id: KeyId) -> Self {
        Self { id, probe_lock: async_lock::Mutex::new(()), state: Mutex::default() }
    }

    /// Returns the guard of a key.
    pub(crate) fn for_key(id: KeyId) -> Arc<Self> {
        let mut guards = lock(&GUARDS);
        if let Some(guard) = guards.get(&id) {
            return guard.clone();
        }
        if guards.len() >= MAX_UNUSED_GUARDS {
            // A learned skew costs a signature, and a block protects the key, so these are kept.
            guards.retain(|_, guard| {
                Arc::strong_count(guard) > 1 || lock(&guard.state).must_be_kept()
            });
        }
        guards.entry(id).or_insert_with(|| Arc::new(Self::new(id))).clone()
    }

    /// Waits for the permission to send a signed request. Returns an error if the key is blocked.
    pub(crate) async fn acquire(
        &self,
        clock: &dyn Clock,
        records: Option<&dyn KeyRecords>,
    ) -> Result<Permit<'_>, BlockedKey> {
        if let Some(permit) = self.acquire_if_proven(clock)? {
            return Ok(permit);
        }
        let probe_guard = self.probe_lock.lock().await;
        if let Some(permit) = self.acquire_if_proven(clock)? {
            return Ok(permit);
        }
        let record = self.lock_record(records).await;
        // Another process may know more.
        if let Some(record) = &record {
            let record = record.record().at(clock.now());
            if record != KeyRecord::Unproven {
                let mut state = lock(&self.state);
                (state.record, state.service_error) = (record, None);
            }
        }
        if let Some(permit) = self.acquire_if_proven(clock)? {
            return Ok(permit);
        }
        Ok(self.permit(Some(Probe { _probe_guard: probe_guard, record })))
    }

    fn acquire_if_proven(&self, clock: &dyn Clock) -> Result<Option<Permit<'_>>, BlockedKey> {
        let record = {
            let mut state = lock(&self.state);
            // In the process that proved it, a key stays proven until it is refused.
            if !matches!(state.record, KeyRecord::Proven { .. }) {
                state.record = state.record.at(clock.now());
            }
            if let KeyRecord::Blocked { until, cause } = state.record {
                return Err(BlockedKey {
                    cause,
                    until,
                    service_error: state.service_error.clone(),
                });
            }
            state.record
        };
        Ok(matches!(record, KeyRecord::Proven { .. }).then(|| self.permit(None)))
    }

    fn permit<'g>(&'g self, probe: Option<Probe<'g>>) -> Permit<'g> {
        let state = lock(&self.state);
        Permit { guard: self, skew: state.skew, refusals: state.refusals, probe }
    }

    async fn lock_record(
        &self,
        records: Option<&dyn KeyRecords>,
    ) -> Option<Box<dyn LockedKeyRecord>> {
        match records?.lock(self.id).await {
            Ok(record) => Some(record),
            Err(error) => {
                self.warn(&error);
                None
            }
        }
    }

    fn warn(&self, error: &KeyRecordError) {
        if !std::mem::replace(&mut lock(&self.state).warned, true) {
            tracing::warn!(
                %error,
                "cannot share the state of the access key with other processes; each may send a wrong signature"
            );
        }
    }
}

impl KeyState {
    fn must_be_kept(&self) -> bool {
        matches!(self.record, KeyRecord::Blocked { .. })
            || self.skew_learned
            || !self.skew.is_zero()
    }
}

impl Permit<'_> {
    /// Updates the state with the reply to a request that was signed with the time `signed_at`.
    pub(crate) async fn observe(
        self,
        reply: &Reply,
        signed_at: Timestamp,
        clock: &dyn Clock,
        records: Option<&dyn KeyRecords>,
    ) -> KeyStatus {
        let (status, change) = self.update(reply, signed_at, clock.now());
        if let Some(record) = change {
            let storing = async {
                // A key that was proven until now has no lock.
                let locked = match self.probe.and_then(|probe| probe.record) {
                    Some(locked) => Some(locked),
                    None => self.guard.lock_record(records).await,
                };
                let Some(locked) = locked else { return };
                if let Err(error) = locked.store(record).await {
                    self.guard.warn(&error);
                }
            };
            timeout(clock, STORE_TIMEOUT, storing).await;
        }
        status
    }

    /// Returns what the reply shows, and the key's record if it has changed.
    fn update(
        &self,
        reply: &Reply,
        signed_at: Timestamp,
        now: Timestamp,
    ) -> (KeyStatus, Option<KeyRecord>) {
        let Reply { response, service_error } = reply;
        let service_error = service_error.as_ref();
        let codes = service_error.map_or(&[][..], ServiceError::codes);
        let is_from_service = codes.iter().any(|code| code.starts_with(SERVICE_CODE_PREFIX));
        let mut state = lock(&self.guard.state);
        if response.status() != StatusCode::UNAUTHORIZED || is_from_service {
            // The page of a proxy does not show that the gateway accepted the signature. A late
            // reply to a signature with another skew does not show that the current skew is right.
            let is_json = response.body().trim_ascii_start().starts_with(b"{");
            let is_success = matches!(response.status(), StatusCode::OK | StatusCode::CREATED);
            let is_accepted = is_from_service || is_success && is_json;
            if !is_accepted || state.refusals != self.refusals {
                return (KeyStatus::Unchanged, None);
            }
            state.skew_learned = false;
            let was_proven = matches!(state.record, KeyRecord::Proven { .. });
            state.record = KeyRecord::proven(now);
            return (KeyStatus::Unchanged, (!was_proven).then_some(state.record));
        }
        let before = state.record;
        let cause = RefusalCause::from_service_error(service_error);
        let server_time = service_error
            .and_then(|error| stated_server_time(error, signed_at))
            .filter(|_| cause == RefusalCause::Clock)
            .or_else(|| date(response.headers()));
        let offset = server_time.map(|time| time.duration_since(signed_at));
        let offset = offset.filter(|offset| offset.abs() >= MAX_CLOCK_SKEW);
        if let Some(offset) = offset
            && matches!(
                cause,
                RefusalCause::Clock | RefusalCause::WrongSignature | RefusalCause::Unexplained
            )
        {
            // Another request corrected the skew while this one was in flight.
            if state.skew != self.skew {
                return (KeyStatus::ClockCorrected, None);
            }
            if !state.skew_learned {
                tracing::warn!(
                    seconds = offset.as_secs(),
                    "this machine's clock differs from the service's; signatures use the service's time"
                );
                state.skew = state.skew.saturating_add(offset);
                state.skew_learned = true;
                state.refusals += 1;
                state.record = KeyRecord::Unproven;
                let change = (before != state.record).then_some(state.record);
                return (KeyStatus::ClockCorrected, change);
            }
        }
        state.refusals += 1;
        // A key that works is not blocked by one refusal without a cause.
        let was_proven = matches!(before, KeyRecord::Proven { .. });
        let blocks = cause.blocks_key() && !(was_proven && cause == RefusalCause::Unexplained);
        if !matches!(before, KeyRecord::Blocked { .. }) {
            state.record =
                if blocks { KeyRecord::blocked(now, cause) } else { KeyRecord::Unproven };
            state.service_error = service_error.cloned().filter(|_| blocks);
        }
        let blocked_until = match state.record {
            KeyRecord::Blocked { until, .. } if blocks => Some(until),
            _ => None,
        };
        let change = (before != state.record).then_some(state.record);
        (KeyStatus::Refused { cause, blocked_until }, change)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

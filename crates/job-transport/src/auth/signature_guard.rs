//! Protects a key pair from being locked because of wrong signatures. Reads no clock.
//!
//! The service locks a key pair for five minutes after more than five wrong signatures in a row,
//! for all its users. Therefore, until the service has accepted a signature, signed requests are
//! sent one at a time. After a wrong signature, no further request is signed, except if the
//! signature was wrong only because this machine's clock is wrong.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use job_model::ServiceError;

use crate::request::{FetchError, FetchErrorKind, Reply, date};

/// From this clock difference on, a signature is wrong because of its time: the service's limit of
/// 15 minutes, minus two seconds because both times are in whole seconds.
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(15 * 60 - 2);

/// After this many refusals in a row without a reason, the key is blocked, if no signature was
/// accepted before.
const MAX_UNEXPLAINED_401: u32 = 3;

/// The gateway's error code for a wrong signature.
const WRONG_SIGNATURE_CODE: &str = "APIGW.0301";

/// Prefix of the error codes of the service itself. It is behind the gateway, so such a code means
/// that the gateway accepted the signature.
const SERVICE_CODE_PREFIX: &str = "CCE.";

/// The guards of all key pairs in this process, by the pair's digest.
static GUARDS: Mutex<BTreeMap<[u8; 32], Arc<SignatureGuard>>> = Mutex::new(BTreeMap::new());

/// The state of a key pair, shared by all clients that sign with it.
#[derive(Debug, Default)]
pub(crate) struct SignatureGuard {
    probe_lock: async_lock::Mutex<()>,
    state: Mutex<KeyState>,
}

#[derive(Debug, Default)]
struct KeyState {
    /// Whether the service accepted a signature, and refused none since.
    proven: bool,
    /// How far the service's clock is ahead of the caller's.
    skew: SignedDuration,
    /// Whether the skew was corrected since a signature was last accepted. It is corrected only
    /// once.
    skew_learned: bool,
    /// How many signatures in a row were refused without a reason.
    unexplained_401s: u32,
    /// Set after a wrong signature; then no further request is signed.
    refusal: Option<RefusedKey>,
}

/// The error of a blocked key, with the error body of the reply to its wrong signature.
#[derive(Clone, Debug)]
pub(crate) struct RefusedKey(Option<ServiceError>);

impl From<RefusedKey> for FetchError {
    fn from(RefusedKey(service_error): RefusedKey) -> Self {
        let error = Self::new(FetchErrorKind::WrongSignature);
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
    /// Held until the reply is evaluated, if the key is not proven yet.
    _probe_guard: Option<async_lock::MutexGuard<'g, ()>>,
}

/// The effect of a reply on the state of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyStatus {
    /// The reply does not concern the signature, or the signature was accepted.
    Unchanged,
    /// The signature was wrong only because of its time. The skew is now corrected.
    ClockCorrected,
    /// The signature is wrong.
    Refused,
}

impl SignatureGuard {
    /// Returns the guard of the pair with this digest.
    pub(crate) fn for_key(digest: [u8; 32]) -> Arc<Self> {
        let mut guards = lock(&GUARDS);
        // Remove the guards of unused keys, because temporary keys change often. Keep a guard that
        // has learned something, because learning it again costs a wrong signature.
        guards.retain(|_, guard| Arc::strong_count(guard) > 1 || lock(&guard.state).has_state());
        guards.entry(digest).or_default().clone()
    }

    /// Waits for the permission to send a signed request. Returns an error if the key is blocked.
    pub(crate) async fn acquire(&self) -> Result<Permit<'_>, RefusedKey> {
        if let Some(skew) = lock(&self.state).skew_if_proven()? {
            return Ok(Permit { guard: self, skew, _probe_guard: None });
        }
        let alone = self.probe_lock.lock().await;
        let state = lock(&self.state);
        let alone = if state.skew_if_proven()?.is_some() { None } else { Some(alone) };
        Ok(Permit { guard: self, skew: state.skew, _probe_guard: alone })
    }
}

impl KeyState {
    const fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    /// Returns whether the state must be kept while no client uses the key.
    fn has_state(&self) -> bool {
        self.is_refused() || self.unexplained_401s > 0 || self.skew_learned || !self.skew.is_zero()
    }

    /// Blocks the key.
    fn refuse(&mut self, service_error: Option<&ServiceError>) -> KeyStatus {
        self.refusal = Some(RefusedKey(service_error.cloned()));
        KeyStatus::Refused
    }

    /// Returns the skew if the key is proven, or an error if it is blocked.
    fn skew_if_proven(&self) -> Result<Option<SignedDuration>, RefusedKey> {
        match &self.refusal {
            Some(refused) => Err(refused.clone()),
            None => Ok(self.proven.then_some(self.skew)),
        }
    }
}

impl Permit<'_> {
    /// Updates the state with the reply to a request that was signed with the time `signed_at`.
    pub(crate) fn observe(self, reply: &Reply, signed_at: Timestamp) -> KeyStatus {
        let Reply { response, service_error } = reply;
        let codes = service_error.as_ref().map_or(&[][..], ServiceError::codes);
        let mut state = lock(&self.guard.state);
        if response.status() != StatusCode::UNAUTHORIZED {
            // The page of a proxy does not show that the gateway accepted the signature. A late
            // reply to a signature with another skew does not show that the current skew is right.
            let is_json = response.body().trim_ascii_start().starts_with(b"{");
            let is_accepted = response.status() == StatusCode::OK && is_json
                || codes.iter().any(|code| code.starts_with(SERVICE_CODE_PREFIX));
            if is_accepted && state.skew == self.skew && !state.is_refused() {
                *state = KeyState { proven: true, skew: state.skew, ..KeyState::default() };
            }
            return KeyStatus::Unchanged;
        }
        if codes.iter().all(|code| code != WRONG_SIGNATURE_CODE) {
            state.unexplained_401s += u32::from(codes.is_empty() && !state.proven);
            if state.unexplained_401s < MAX_UNEXPLAINED_401 {
                return KeyStatus::Unchanged;
            }
            return state.refuse(service_error.as_ref());
        }
        let offset = date(response.headers()).map(|date| date.duration_since(signed_at));
        match offset.filter(|off| off.abs() >= MAX_CLOCK_SKEW) {
            // Another request corrected the skew while this one was in flight.
            Some(_) if state.skew != self.skew => KeyStatus::ClockCorrected,
            Some(off) if !state.skew_learned => {
                tracing::warn!(
                    seconds = off.as_secs(),
                    "this machine's clock differs from the service's; signatures use the service's time"
                );
                state.skew = state.skew.saturating_add(off);
                (state.proven, state.skew_learned) = (false, true);
                KeyStatus::ClockCorrected
            }
            _ => state.refuse(service_error.as_ref()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

//! The guard of one key pair: lets no second request be signed before the first one is judged, or
//! given up, and none after a wrong one. Reads no clock.
//!
//! More than five wrong signatures in a row lock a key pair for five minutes, for everyone who uses
//! it. So until the service has accepted one, signed requests go one at a time; one that is wrong
//! though it was made at the right time is the last.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use job_model::ServiceError;

use crate::request::{FetchError, FetchErrorKind, Reply, date};

/// From how far on the time of a signature is too far from the service's own: 15 minutes, but for
/// what is lost of both times to whole seconds.
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(15 * 60 - 2);

/// How many refusals in a row that do not say why are the last, while no signature was accepted.
const MAX_UNEXPLAINED_401: u32 = 3;

/// The gateway's code for a wrong signature.
const WRONG_SIGNATURE_CODE: &str = "APIGW.0301";

/// What starts the codes of the service itself, which stands behind the gateway's check.
const SERVICE_CODE_PREFIX: &str = "CCE.";

/// The guard of each key pair in this process, by the pair's digest.
static GUARDS: Mutex<BTreeMap<[u8; 32], Arc<SignatureGuard>>> = Mutex::new(BTreeMap::new());

/// What is known of a key pair, shared by all who sign with it.
#[derive(Debug, Default)]
pub(crate) struct SignatureGuard {
    probe_lock: async_lock::Mutex<()>,
    state: Mutex<KeyState>,
}

#[derive(Debug, Default)]
struct KeyState {
    /// Whether the service has accepted a signature, and no wrong one came since.
    proven: bool,
    /// How far the service's time is ahead of the caller's.
    skew: SignedDuration,
    /// Whether the skew was learnt since a signature was last accepted: it is learnt once.
    skew_learned: bool,
    /// How many signatures in a row were refused without a reason.
    unexplained_401s: u32,
    /// What the service answered to a wrong signature, the last one that is sent.
    refusal: Option<RefusedKey>,
}

/// A key whose signature the service refused, and what it said of the error.
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

/// Leave to send one signed request.
pub(crate) struct Permit<'g> {
    guard: &'g SignatureGuard,
    /// What to add to the caller's time before signing with it.
    pub(crate) skew: SignedDuration,
    /// Held until the reply is judged, while the key is not proven.
    _probe_guard: Option<async_lock::MutexGuard<'g, ()>>,
}

/// What a reply to a signed request says of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyStatus {
    /// Nothing: the reply is what it is.
    Unchanged,
    /// The signature was wrong for its time alone, and the service's time is known now.
    ClockCorrected,
    /// The signature is wrong.
    Refused,
}

impl SignatureGuard {
    /// Returns the guard of the pair with this digest.
    pub(crate) fn for_key(digest: [u8; 32]) -> Arc<Self> {
        let mut guards = lock(&GUARDS);
        // Temporary keys come and go; one of which something was learnt is kept, lest it be learnt
        // anew at the price of a wrong signature.
        guards.retain(|_, guard| Arc::strong_count(guard) > 1 || lock(&guard.state).has_state());
        guards.entry(digest).or_default().clone()
    }

    /// Waits for leave to send a signed request; returns an error if the service has refused the key.
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

    /// Whether more is known than that a right signature is right.
    fn has_state(&self) -> bool {
        self.is_refused() || self.unexplained_401s > 0 || self.skew_learned || !self.skew.is_zero()
    }

    /// Lets no other signature be sent.
    fn refuse(&mut self, service_error: Option<&ServiceError>) -> KeyStatus {
        self.refusal = Some(RefusedKey(service_error.cloned()));
        KeyStatus::Refused
    }

    /// Returns the skew where anyone may sign.
    fn skew_if_proven(&self) -> Result<Option<SignedDuration>, RefusedKey> {
        match &self.refusal {
            Some(refused) => Err(refused.clone()),
            None => Ok(self.proven.then_some(self.skew)),
        }
    }
}

impl Permit<'_> {
    /// Learns what the reply says of the key, signed as made at `signed_at`.
    pub(crate) fn observe(self, reply: &Reply, signed_at: Timestamp) -> KeyStatus {
        let Reply { response, service_error } = reply;
        let codes = service_error.as_ref().map_or(&[][..], ServiceError::codes);
        let mut state = lock(&self.guard.state);
        if response.status() != StatusCode::UNAUTHORIZED {
            // A proxy's page says nothing of what the gateway behind it thinks, nor does a late
            // reply to a signature of another time.
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
            // Another has learnt it while this request was on its way.
            Some(_) if state.skew != self.skew => KeyStatus::ClockCorrected,
            Some(off) if !state.skew_learned => {
                tracing::warn!(seconds = off.as_secs(), "this machine's clock is off");
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

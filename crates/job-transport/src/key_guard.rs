//! The guard of one key pair: sends no second signature before the first one is judged, and none
//! after a wrong one. Reads no clock.
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

use crate::{exchange::Reply, headers::date};

/// How far the time of a signature may be from the service's own.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(15);

/// The gateway's code for a wrong signature.
const WRONG_SIGNATURE: &str = "APIGW.0301";

/// What starts the codes of the service itself, which stands behind the gateway's check.
const OF_SERVICE: &str = "CCE.";

/// The guard of each key pair in this process, by the pair's digest.
static GUARDS: Mutex<BTreeMap<[u8; 32], Arc<KeyGuard>>> = Mutex::new(BTreeMap::new());

/// What is known of a key pair, shared by all who sign with it.
#[derive(Debug, Default)]
pub(crate) struct KeyGuard {
    alone: async_lock::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the service has accepted a signature, and no wrong one came since.
    proven: bool,
    /// How far the service's time is ahead of the caller's.
    skew: SignedDuration,
    /// Whether the skew was learnt since a signature was last accepted: it is learnt once.
    learnt: bool,
    /// What the service said of a wrong signature: the last that is sent.
    refused: Option<Arc<str>>,
}

/// Leave to send one signed request.
pub(crate) struct Pass<'g> {
    guard: &'g KeyGuard,
    /// What to add to the caller's time before signing with it.
    pub(crate) skew: SignedDuration,
    /// Held until the reply is judged, while the key is not proven.
    _alone: Option<async_lock::MutexGuard<'g, ()>>,
}

/// What a reply to a signed request says of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: the reply is what it is.
    Settled,
    /// The signature was wrong for its time alone, and the service's time is known now.
    SignAgain,
    /// The signature is wrong.
    Refused,
}

impl KeyGuard {
    /// Returns the guard of the pair with this digest.
    pub(crate) fn of(digest: [u8; 32]) -> Arc<Self> {
        let mut guards = lock(&GUARDS);
        // Temporary keys come and go; a refused one is kept, lest it be tried anew.
        guards.retain(|_, guard| Arc::strong_count(guard) > 1 || lock(&guard.state).is_refused());
        guards.entry(digest).or_default().clone()
    }

    /// Waits for leave to send a signed request; fails with what the service said where it has
    /// refused the key.
    pub(crate) async fn pass(&self) -> Result<Pass<'_>, Arc<str>> {
        if let Some(skew) = lock(&self.state).free()? {
            return Ok(Pass { guard: self, skew, _alone: None });
        }
        let alone = self.alone.lock().await;
        let state = lock(&self.state);
        let alone = if state.free()?.is_some() { None } else { Some(alone) };
        Ok(Pass { guard: self, skew: state.skew, _alone: alone })
    }
}

impl State {
    const fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Returns the skew where anyone may sign.
    fn free(&self) -> Result<Option<SignedDuration>, Arc<str>> {
        match &self.refused {
            Some(said) => Err(said.clone()),
            None => Ok(self.proven.then_some(self.skew)),
        }
    }
}

impl Pass<'_> {
    /// Learns what the reply says of the key, signed as made at `signed_at`.
    pub(crate) fn judge(self, reply: &Reply, signed_at: Timestamp) -> Verdict {
        let Reply { response, service_error } = reply;
        let (status, headers) = (response.status(), response.headers());
        let codes = || service_error.iter().flat_map(ServiceError::codes);
        let mut state = lock(&self.guard.state);
        if status != StatusCode::UNAUTHORIZED || codes().all(|code| code != WRONG_SIGNATURE) {
            if status.is_success() || codes().any(|code| code.starts_with(OF_SERVICE)) {
                (state.proven, state.learnt) = (true, false);
            }
            return Verdict::Settled;
        }
        let off = date(headers).map(|date| date.duration_since(signed_at));
        match off.filter(|off| off.abs() > MAX_SKEW) {
            // Another has learnt it while this request was on its way.
            Some(_) if state.skew != self.skew => Verdict::SignAgain,
            Some(off) if !state.learnt => {
                state.skew = state.skew.saturating_add(off);
                (state.proven, state.learnt) = (false, true);
                Verdict::SignAgain
            }
            _ => {
                let said = service_error.as_ref().map(ToString::to_string).unwrap_or_default();
                state.refused = Some(said.into());
                Verdict::Refused
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

//! Caches the credentials of a provider and refreshes them, with one call at a time.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use job_model::HumanDuration;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::{
    credential::{Credential, IssuedCredential, ProvidedCredential},
    provider::{RenewCredentials, RenewalReason},
};
use crate::{
    clock::{Clock, timeout},
    request::{CredentialsProviderError, ErrorClass, FetchError},
    transport::display_chain,
};

/// Delay before the next call of a provider that failed while the old credentials are still valid,
/// or that was itself refused (a few more wrong passwords would lock the user).
const REFRESH_BACKOFF: Duration = Duration::from_secs(30);

/// How long credentials count as new after a refresh because of a 401. If new credentials are
/// refused, they are not refreshed again, because their age is not the reason. Less than the ten
/// seconds after which a wait accepts repeated refusals; otherwise a wait would end if its tokens
/// were revoked twice in a row.
const FRESH_PERIOD: Duration = Duration::from_secs(5);

/// Delay before the next call of a provider whose source still contains the key that the service
/// refused for good, or no longer belongs to the wait.
const SOURCE_BACKOFF: Duration = FRESH_PERIOD;

/// The cached credentials of a provider.
pub(crate) struct CredentialsCache {
    provider: Box<dyn RenewCredentials>,
    /// Held during a call of the provider.
    refresh_lock: async_lock::Mutex<()>,
    state: Mutex<CacheState>,
}

/// The error of a failed call of the provider. It is `Clone`, because all callers that waited for
/// the call receive it.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum RefreshError {
    /// The provider returned an error.
    #[error("{}", .0.summary())]
    Provider(#[source] CredentialsProviderError),
    /// The provider took longer than this timeout.
    #[error("cannot get credentials: the provider did not return within {}", HumanDuration(*.0))]
    TimedOut(Duration),
}

impl RefreshError {
    /// Returns whether the provider itself was refused, for example because of a wrong password.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Provider(error) if error.class() == ErrorClass::Unauthorized)
    }

    /// Returns whether the old credentials must not be used any longer.
    const fn revokes(&self) -> bool {
        matches!(self, Self::Provider(error) if error.revokes())
    }

    /// Returns how long this error is the answer of every further request without valid
    /// credentials, instead of another call of the provider.
    fn backoff(&self) -> Duration {
        if self.revokes() {
            SOURCE_BACKOFF
        } else if self.is_refusal() {
            REFRESH_BACKOFF
        } else {
            Duration::ZERO
        }
    }
}

impl From<RefreshError> for FetchError {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Provider(error) => error.into(),
            RefreshError::TimedOut(timeout) => Self::credentials_timeout(timeout),
        }
    }
}

#[derive(Default)]
struct CacheState {
    entry: Option<CacheEntry>,
    /// The number of completed calls of the provider.
    attempts: u64,
    /// The error and the time of the last call, if it failed.
    last_failure: Option<(RefreshError, Duration)>,
}

/// Cached credentials. Times are monotonic times of the clock.
#[derive(Clone)]
struct CacheEntry {
    issued: Arc<IssuedCredential>,
    /// Set after a refresh because of a 401: until this time, another 401 does not cause a refresh.
    fresh_until: Option<Duration>,
    /// When to refresh the credentials, before they expire.
    refresh_at: Duration,
    expires_at: Duration,
    /// Whether the service refused the key for good, so that it is not used again.
    is_dead: bool,
}

impl CredentialsCache {
    pub(super) fn new(provider: Box<dyn RenewCredentials>) -> Self {
        Self { provider, refresh_lock: async_lock::Mutex::new(()), state: Mutex::default() }
    }

    /// Returns valid credentials. If they are due for a refresh, one caller refreshes them within
    /// half the provider's timeout, while the others use the cached ones. If the refresh fails,
    /// that caller uses the cached ones, too.
    pub(crate) async fn get(
        &self,
        clock: &dyn Clock,
    ) -> Result<Arc<IssuedCredential>, RefreshError> {
        let valid = self.state().valid_entry(clock.monotonic());
        let Some(valid) = valid else {
            let accept = |state: &CacheState| state.valid_entry(clock.monotonic());
            return self.shared_refresh(RenewalReason::Due, clock, accept).await;
        };
        if clock.monotonic() < valid.refresh_at {
            return Ok(valid.issued);
        }
        let Some(_refreshing) = self.refresh_lock.try_lock() else { return Ok(valid.issued) };
        // Postpone the refresh before the call, so that a dropped call counts as an attempt.
        if !self.state().postpone(clock.monotonic()) {
            return Ok(valid.issued);
        }
        let limit = self.provider.renewal_timeout() / 2;
        match self.call_provider(RenewalReason::Due, clock, limit).await {
            Err(error) if error.revokes() => Err(error),
            called => Ok(called.unwrap_or(valid.issued)),
        }
    }

    /// Returns the replacement for credentials that the service refused. Returns `None` if they are
    /// themselves a new replacement, because then their age is not the reason.
    ///
    /// If the key has expired and the provider returns the same key again, the key is not used
    /// again.
    pub(crate) async fn refresh(
        &self,
        refused: u64,
        reason: RenewalReason,
        clock: &dyn Clock,
    ) -> Result<Option<Arc<IssuedCredential>>, RefreshError> {
        let is_fresh = |entry: &CacheEntry| {
            entry.issued.generation == refused
                && entry.fresh_until.is_some_and(|until| clock.monotonic() < until)
        };
        if self.state().entry.as_ref().is_some_and(is_fresh) {
            return Ok(None);
        }
        let successor = |state: &CacheState| {
            state.entry.clone().filter(|entry| entry.issued.generation > refused)
        };
        let issued = self.shared_refresh(reason, clock, successor).await?;
        let mut state = self.state();
        if let Some(entry) =
            state.entry.as_mut().filter(|entry| Arc::ptr_eq(&entry.issued, &issued))
        {
            entry.is_dead |= reason == RenewalReason::Expired && issued.generation == refused;
            entry.fresh_until.get_or_insert_with(|| clock.monotonic().saturating_add(FRESH_PERIOD));
        }
        Ok(Some(issued))
    }

    /// Returns the cached credentials if `accept` accepts them. Otherwise calls the provider, or
    /// returns the result that another caller received meanwhile.
    async fn shared_refresh(
        &self,
        reason: RenewalReason,
        clock: &dyn Clock,
        accept: impl Fn(&CacheState) -> Option<CacheEntry>,
    ) -> Result<Arc<IssuedCredential>, RefreshError> {
        let asked = self.state().attempts;
        let _refreshing = self.refresh_lock.lock().await;
        {
            let state = self.state();
            if let Some(entry) = accept(&state) {
                return Ok(entry.issued);
            }
            let is_answered = state.attempts > asked;
            if let Some((error, at)) = &state.last_failure
                && (is_answered || clock.monotonic() < at.saturating_add(error.backoff()))
            {
                return Err(error.clone());
            }
            // Use the result of the shared call, even if it has already expired.
            if let Some(entry) = state.entry.clone().filter(|_| is_answered) {
                return Ok(entry.issued);
            }
        }
        self.call_provider(reason, clock, self.provider.renewal_timeout()).await
    }

    /// Returns whether a 403 may have another reason than the permissions of the caller.
    pub(crate) fn is_renewed_after_forbidden(&self) -> bool {
        self.provider.is_renewed_after_forbidden()
    }

    /// Calls the provider. The caller must hold `refresh_lock`.
    async fn call_provider(
        &self,
        reason: RenewalReason,
        clock: &dyn Clock,
        limit: Duration,
    ) -> Result<Arc<IssuedCredential>, RefreshError> {
        let provided = timeout(clock, limit, self.provider.renew(reason, clock)).await;
        let provided = provided.ok_or(RefreshError::TimedOut(limit));
        let provided = provided.and_then(|provided| provided.map_err(RefreshError::Provider));
        self.state().record(provided, clock)
    }

    /// Returns the last credentials of the provider, even if they have expired.
    pub(crate) fn last_issued(&self) -> Option<Arc<IssuedCredential>> {
        Some(self.state().entry.as_ref()?.issued.clone())
    }

    fn state(&self) -> MutexGuard<'_, CacheState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheState {
    fn valid_entry(&self, now: Duration) -> Option<CacheEntry> {
        self.entry.clone().filter(|entry| now < entry.expires_at && !entry.is_dead)
    }

    /// Postpones the refresh by [`REFRESH_BACKOFF`] if it is due; returns whether it was.
    fn postpone(&mut self, now: Duration) -> bool {
        let due = self.entry.as_mut().filter(|entry| now >= entry.refresh_at);
        due.map(|entry| entry.refresh_at = now.saturating_add(REFRESH_BACKOFF)).is_some()
    }

    /// Records the result of a call of the provider.
    fn record(
        &mut self,
        provided: Result<ProvidedCredential, RefreshError>,
        clock: &dyn Clock,
    ) -> Result<Arc<IssuedCredential>, RefreshError> {
        let now = clock.monotonic();
        self.attempts += 1;
        match provided.and_then(|provided| self.accept(provided, clock)) {
            Ok(entry) => {
                self.last_failure = None;
                self.entry = Some(entry.clone());
                Ok(entry.issued)
            }
            Err(error) => {
                if error.revokes() {
                    // A dead key stays, so that the provider's next one can be compared with it.
                    self.entry = self.entry.take().filter(|entry| entry.is_dead);
                } else if self.valid_entry(now).is_some() {
                    let error = display_chain(&error);
                    tracing::warn!(%error, "cannot refresh the credentials; using the old ones, which are still valid");
                }
                self.postpone(now);
                self.last_failure = Some((error.clone(), now));
                Err(error)
            }
        }
    }

    /// Returns the entry of new credentials. Credentials that are still the same keep their
    /// generation, because a refusal of them is still one.
    fn accept(
        &self,
        provided: ProvidedCredential,
        clock: &dyn Clock,
    ) -> Result<CacheEntry, RefreshError> {
        let entry = CacheEntry::new(provided, self.attempts, clock);
        match &self.entry {
            Some(old) if old.issued.has_same_secret(&entry.issued) => {
                if old.is_dead {
                    return Err(RefreshError::Provider(same_dead_key()));
                }
                let unchanged = old.issued.project == entry.issued.project;
                let issued = if unchanged { &old.issued } else { &entry.issued }.clone();
                let now = clock.monotonic();
                let fresh_until = old.fresh_until.filter(|until| now < *until);
                Ok(CacheEntry { issued, fresh_until, ..entry })
            }
            _ => Ok(entry),
        }
    }
}

fn same_dead_key() -> CredentialsProviderError {
    CredentialsProviderError::new(
        ErrorClass::Unauthorized,
        "the service refused the temporary key because it has expired, and the source still contains this key; put a new one there",
    )
    .revoking()
}

impl CacheEntry {
    fn new(provided: ProvidedCredential, generation: u64, clock: &dyn Clock) -> Self {
        let now = clock.monotonic();
        let after =
            |span: Option<Duration>| span.map_or(Duration::MAX, |span| now.saturating_add(span));
        let lifetime = provided.remaining_lifetime(clock);
        // Between 80 and 90 % of the lifetime, depending on the credentials.
        let early = lifetime.map(|lifetime: Duration| {
            let tenth = lifetime / 10;
            tenth * 9 - tenth.mul_f64(jitter(&provided.credential))
        });
        let early = early.into_iter().chain(provided.recheck_after).min();
        let (refresh_at, expires_at) = (after(early), after(lifetime));
        Self {
            issued: Arc::new(IssuedCredential::new(provided, generation)),
            fresh_until: None,
            refresh_at,
            expires_at,
            is_dead: false,
        }
    }
}

/// Returns a number from 0 to 1 that differs between tokens, so that clients that got their tokens
/// at the same time do not refresh them at the same time.
fn jitter(means: &Credential) -> f64 {
    let text = match means {
        Credential::Token(token) => token.expose_secret(),
        Credential::Key(key) => key.access_key(),
    };
    f64::from(Sha256::digest(text)[0]) / 255.0
}

#[cfg(test)]
mod tests;

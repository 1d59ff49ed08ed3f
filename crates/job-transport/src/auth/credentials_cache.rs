//! Provided credentials, kept and renewed: one provider's call at a time, however many wait. Reads
//! no clock but the client's.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::{
    credential::{Credential, IssuedCredential, ProvidedCredential},
    provider::ProvideCredentials,
};
use crate::{
    clock::{Clock, timeout},
    request::{CredentialsProviderError, ErrorClass, FetchError},
    transport::display_chain,
};

/// How long nothing is asked of a provider that failed while the old credentials still hold, or that
/// was itself not let in (a few more wrong passwords would lock the user).
const REFRESH_BACKOFF: Duration = Duration::from_secs(30);

/// How long credentials are new that came after a refusal: where they are refused too, their age is
/// not what is wrong. Less than the ten seconds after which a wait believes its refusals, or one whose
/// tokens are revoked twice in a row would end.
const FRESH_PERIOD: Duration = Duration::from_secs(5);

/// What a provider gave, until it expires or is refused.
pub(crate) struct CredentialsCache {
    provider: Box<dyn ProvideCredentials>,
    /// Held by whoever asks the provider.
    refresh_lock: async_lock::Mutex<()>,
    state: Mutex<CacheState>,
}

/// Why there are no credentials. It can be cloned, because everyone who waited for the provider
/// receives it.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum RefreshError {
    /// The provider returned an error.
    #[error("there are no credentials")]
    Provider(#[source] CredentialsProviderError),
    /// The provider took longer than this timeout.
    #[error("there are no credentials: they were not provided within {0:?}")]
    TimedOut(Duration),
}

impl RefreshError {
    /// Returns whether the provider itself was refused, for example because of a wrong password.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Provider(error) if error.class() == ErrorClass::Unauthorized)
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
    /// How often the provider was asked, and came to an end with it.
    attempts: u64,
    /// How that ended last, where it gave nothing, and when.
    last_failure: Option<(RefreshError, Duration)>,
}

/// A grant, and when it must be replaced, by the clock's monotonic time.
#[derive(Clone)]
struct CacheEntry {
    issued: Arc<IssuedCredential>,
    /// Where they came after a refusal: until when another one does not mean that they are too old.
    fresh_until: Option<Duration>,
    /// When to renew it, while it still holds.
    refresh_at: Duration,
    expires_at: Duration,
}

impl CredentialsCache {
    pub(crate) fn new(provider: Box<dyn ProvideCredentials>) -> Self {
        Self { provider, refresh_lock: async_lock::Mutex::new(()), state: Mutex::default() }
    }

    /// Returns credentials that hold. Where they are due for renewal, one caller sees to that, in half
    /// of the provider's time, while the others go on with the old ones; as that caller does if it
    /// fails.
    pub(crate) async fn get(
        &self,
        clock: &dyn Clock,
    ) -> Result<Arc<IssuedCredential>, RefreshError> {
        let valid = self.state().valid_entry(clock.monotonic());
        let Some(valid) = valid else {
            return self.shared_refresh(clock, |state| state.valid_entry(clock.monotonic())).await;
        };
        if clock.monotonic() < valid.refresh_at {
            return Ok(valid.issued);
        }
        let Some(_refreshing) = self.refresh_lock.try_lock() else { return Ok(valid.issued) };
        // Noted first: who is given up while it waits has tried.
        if !self.state().postpone(clock.monotonic()) {
            return Ok(valid.issued);
        }
        let limit = self.provider.timeout() / 2;
        Ok(self.call_provider(clock, limit).await.unwrap_or(valid.issued))
    }

    /// Returns the successor of the credentials that the service refused; `None` where they are
    /// themselves the successor of refused ones, and new: age is not what is wrong with them.
    pub(crate) async fn refresh(
        &self,
        refused: u64,
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
        let issued = self.shared_refresh(clock, successor).await?;
        let mut state = self.state();
        if let Some(entry) =
            state.entry.as_mut().filter(|entry| Arc::ptr_eq(&entry.issued, &issued))
        {
            entry.fresh_until.get_or_insert_with(|| clock.monotonic().saturating_add(FRESH_PERIOD));
        }
        Ok(Some(issued))
    }

    /// Returns what is held if it will do; else asks the provider, or takes the answer that another
    /// caller got in the meantime.
    async fn shared_refresh(
        &self,
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
                && (is_answered
                    || error.is_refusal() && clock.monotonic() < at.saturating_add(REFRESH_BACKOFF))
            {
                return Err(error.clone());
            }
            // However short it holds: it was asked for by who waited here, too.
            if let Some(entry) = state.entry.clone().filter(|_| is_answered) {
                return Ok(entry.issued);
            }
        }
        self.call_provider(clock, self.provider.timeout()).await
    }

    /// Asks the provider. The caller must hold `refresh_lock`.
    async fn call_provider(
        &self,
        clock: &dyn Clock,
        limit: Duration,
    ) -> Result<Arc<IssuedCredential>, RefreshError> {
        let provided = timeout(clock, limit, self.provider.provide()).await;
        let provided = provided.ok_or(RefreshError::TimedOut(limit));
        let provided = provided.and_then(|provided| provided.map_err(RefreshError::Provider));
        self.state().record(provided, clock.monotonic())
    }

    fn state(&self) -> MutexGuard<'_, CacheState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheState {
    fn valid_entry(&self, now: Duration) -> Option<CacheEntry> {
        self.entry.clone().filter(|entry| now < entry.expires_at)
    }

    /// Puts the renewal off for a while; returns whether it was due.
    fn postpone(&mut self, now: Duration) -> bool {
        let due = self.entry.as_mut().filter(|entry| now >= entry.refresh_at);
        due.map(|entry| entry.refresh_at = now.saturating_add(REFRESH_BACKOFF)).is_some()
    }

    /// Notes how asking the provider ended.
    fn record(
        &mut self,
        provided: Result<ProvidedCredential, RefreshError>,
        now: Duration,
    ) -> Result<Arc<IssuedCredential>, RefreshError> {
        self.attempts += 1;
        match provided {
            Ok(provided) => {
                let entry = CacheEntry::new(provided, self.attempts, now);
                self.last_failure = None;
                self.entry = Some(entry.clone());
                Ok(entry.issued)
            }
            Err(error) => {
                if self.valid_entry(now).is_some() {
                    let error = display_chain(&error);
                    tracing::warn!(%error, "credentials not renewed; the old ones are used on");
                }
                self.postpone(now);
                self.last_failure = Some((error.clone(), now));
                Err(error)
            }
        }
    }
}

impl CacheEntry {
    fn new(provided: ProvidedCredential, generation: u64, now: Duration) -> Self {
        let after =
            |span: Option<Duration>| span.map_or(Duration::MAX, |span| now.saturating_add(span));
        // Of a tenth of the lifetime; see below.
        let early = provided.lifetime.map(|lifetime| {
            let tenth = lifetime / 10;
            tenth * 9 - tenth.mul_f64(jitter(&provided.credential))
        });
        let (refresh_at, expires_at) = (after(early), after(provided.lifetime));
        Self {
            issued: Arc::new(IssuedCredential::new(provided, generation)),
            fresh_until: None,
            refresh_at,
            expires_at,
        }
    }
}

/// Returns a number from 0 to 1 that differs from one token to the next: who got theirs at the same
/// time does not renew them at the same time.
fn jitter(means: &Credential) -> f64 {
    let text = match means {
        Credential::Token(token) => token.expose_secret(),
        Credential::Key { key, .. } => key.access_key(),
    };
    f64::from(Sha256::digest(text)[0]) / 255.0
}

#[cfg(test)]
mod tests;

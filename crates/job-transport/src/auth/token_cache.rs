//! Provided credentials, kept and renewed: one provider's call at a time, however many wait. Reads
//! no clock but the client's.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::{
    credentials::{Grant, Means},
    provider::{ProvideCredentials, Provided},
};
use crate::{
    clock::{Clock, within},
    request::CredentialsFault,
};

/// How long nothing is asked of a provider that failed while the old credentials still hold, or that
/// was itself not let in (a few more wrong passwords would lock the user).
const PAUSE: Duration = Duration::from_secs(30);

/// How long credentials are new that came after a refusal: where they are refused too, their age is
/// not what is wrong. Less than the ten seconds after which a wait believes its refusals, or one whose
/// tokens are revoked twice in a row would end.
const NEW_FOR: Duration = Duration::from_secs(5);

/// What a provider gave, until it expires or is refused.
pub(crate) struct Renewal {
    provider: Box<dyn ProvideCredentials>,
    /// Held by whoever asks the provider.
    asking: async_lock::Mutex<()>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    grant: Option<Lasting>,
    /// How often the provider was asked, and came to an end with it.
    asked: u64,
    /// How that ended last, where it gave nothing, and when.
    fault: Option<(CredentialsFault, Duration)>,
}

/// A grant, and when it must be replaced, by the clock's monotonic time.
#[derive(Clone)]
struct Lasting {
    grant: Arc<Grant>,
    /// Where they came after a refusal: until when another one does not mean that they are too old.
    new_until: Option<Duration>,
    /// When to renew it, while it still holds.
    due: Duration,
    expires: Duration,
}

impl Renewal {
    pub(crate) fn new(provider: Box<dyn ProvideCredentials>) -> Self {
        Self { provider, asking: async_lock::Mutex::new(()), held: Mutex::default() }
    }

    /// Returns credentials that hold. Where they are due for renewal, one caller sees to that, in half
    /// of the provider's time, while the others go on with the old ones; as that caller does if it
    /// fails.
    pub(crate) async fn grant(&self, clock: &dyn Clock) -> Result<Arc<Grant>, CredentialsFault> {
        let valid = self.held().valid(clock.elapsed());
        let Some(valid) = valid else {
            return self.ask(clock, |held| held.valid(clock.elapsed())).await;
        };
        if clock.elapsed() < valid.due {
            return Ok(valid.grant);
        }
        let Some(_asking) = self.asking.try_lock() else { return Ok(valid.grant) };
        // Noted first: who is given up while it waits has tried.
        if !self.held().put_off(clock.elapsed()) {
            return Ok(valid.grant);
        }
        let limit = self.provider.timeout() / 2;
        Ok(self.provide(clock, limit).await.unwrap_or(valid.grant))
    }

    /// Returns the successor of the credentials that the service refused; `None` where they are
    /// themselves the successor of refused ones, and new: age is not what is wrong with them.
    pub(crate) async fn renew(
        &self,
        refused: u64,
        clock: &dyn Clock,
    ) -> Result<Option<Arc<Grant>>, CredentialsFault> {
        let is_new = |lasting: &Lasting| {
            lasting.grant.generation == refused
                && lasting.new_until.is_some_and(|until| clock.elapsed() < until)
        };
        if self.held().grant.as_ref().is_some_and(is_new) {
            return Ok(None);
        }
        let successor =
            |held: &Held| held.grant.clone().filter(|lasting| lasting.grant.generation > refused);
        let grant = self.ask(clock, successor).await?;
        let mut held = self.held();
        if let Some(lasting) = held.grant.as_mut().filter(|l| Arc::ptr_eq(&l.grant, &grant)) {
            lasting.new_until.get_or_insert_with(|| clock.elapsed().saturating_add(NEW_FOR));
        }
        Ok(Some(grant))
    }

    /// Returns what is held if it will do; else asks the provider, or takes the answer that another
    /// caller got in the meantime.
    async fn ask(
        &self,
        clock: &dyn Clock,
        will_do: impl Fn(&Held) -> Option<Lasting>,
    ) -> Result<Arc<Grant>, CredentialsFault> {
        let asked = self.held().asked;
        let _asking = self.asking.lock().await;
        {
            let held = self.held();
            if let Some(lasting) = will_do(&held) {
                return Ok(lasting.grant);
            }
            let is_answered = held.asked > asked;
            if let Some((fault, at)) = &held.fault
                && (is_answered || fault.is_refusal() && clock.elapsed() < at.saturating_add(PAUSE))
            {
                return Err(fault.clone());
            }
            // However short it holds: it was asked for by who waited here, too.
            if let Some(lasting) = held.grant.clone().filter(|_| is_answered) {
                return Ok(lasting.grant);
            }
        }
        self.provide(clock, self.provider.timeout()).await
    }

    /// Asks the provider. Only for whoever holds `asking`.
    async fn provide(
        &self,
        clock: &dyn Clock,
        limit: Duration,
    ) -> Result<Arc<Grant>, CredentialsFault> {
        let provided = within(clock, limit, self.provider.provide()).await;
        let provided = provided.ok_or(CredentialsFault::TimedOut(limit));
        let provided = provided.and_then(|provided| provided.map_err(CredentialsFault::Provider));
        self.held().note(provided, clock.elapsed())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn valid(&self, now: Duration) -> Option<Lasting> {
        self.grant.clone().filter(|lasting| now < lasting.expires)
    }

    /// Puts the renewal off for a while; returns whether it was due.
    fn put_off(&mut self, now: Duration) -> bool {
        let due = self.grant.as_mut().filter(|lasting| now >= lasting.due);
        due.map(|lasting| lasting.due = now.saturating_add(PAUSE)).is_some()
    }

    /// Notes how asking the provider ended.
    fn note(
        &mut self,
        provided: Result<Provided, CredentialsFault>,
        now: Duration,
    ) -> Result<Arc<Grant>, CredentialsFault> {
        self.asked += 1;
        match provided {
            Ok(provided) => {
                let lasting = Lasting::new(provided, self.asked, now);
                self.fault = None;
                self.grant = Some(lasting.clone());
                Ok(lasting.grant)
            }
            Err(fault) => {
                if self.valid(now).is_some() {
                    tracing::warn!(%fault, "credentials not renewed; the old ones are used on");
                }
                self.put_off(now);
                self.fault = Some((fault.clone(), now));
                Err(fault)
            }
        }
    }
}

impl Lasting {
    fn new(provided: Provided, generation: u64, now: Duration) -> Self {
        let after =
            |span: Option<Duration>| span.map_or(Duration::MAX, |span| now.saturating_add(span));
        // Of a tenth of the lifetime; see below.
        let early = provided.lifetime.map(|lifetime| {
            let tenth = lifetime / 10;
            tenth * 9 - tenth.mul_f64(jitter(&provided.means))
        });
        let (due, expires) = (after(early), after(provided.lifetime));
        Self { grant: Arc::new(Grant::new(provided, generation)), new_until: None, due, expires }
    }
}

/// Returns a number from 0 to 1 that differs from one token to the next: who got theirs at the same
/// time does not renew them at the same time.
fn jitter(means: &Means) -> f64 {
    let text = match means {
        Means::Token(token) => token.expose_secret(),
        Means::Key { key, .. } => key.access_key(),
    };
    f64::from(Sha256::digest(text)[0]) / 255.0
}

#[cfg(test)]
mod tests;

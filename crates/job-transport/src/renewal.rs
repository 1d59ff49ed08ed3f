//! Provided credentials, kept and renewed: one provider's call at a time, however many wait. Reads
//! no clock but the client's.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use crate::{
    Clock, CredentialsFault, ProvideCredentials, Provided,
    clock::within,
    credentials::{Grant, Means},
};

/// How long nothing is asked of a provider that failed while the old credentials still hold, that
/// was itself not let in (a few more wrong passwords would lock the user), or whose last credentials
/// came after a refusal and were refused as well.
const PAUSE: Duration = Duration::from_secs(30);

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
    fault: Option<(CredentialsFault, Timestamp)>,
}

/// A grant, and when it must be replaced.
#[derive(Clone)]
struct Lasting {
    grant: Arc<Grant>,
    /// Where they came after a refusal: until when another one does not mean that they are too old.
    new_until: Option<Timestamp>,
    /// When to renew it, while it still holds.
    due: Timestamp,
    expires: Timestamp,
}

impl Renewal {
    pub(crate) fn new(provider: Box<dyn ProvideCredentials>) -> Self {
        Self { provider, asking: async_lock::Mutex::new(()), held: Mutex::default() }
    }

    /// Returns credentials that hold. Where they are due for renewal, one caller sees to that while
    /// the others go on with the old ones, as that caller does if it fails.
    pub(crate) async fn grant(&self, clock: &dyn Clock) -> Result<Arc<Grant>, CredentialsFault> {
        let valid = self.held().valid(clock.now());
        let Some(valid) = valid else {
            return self.ask(clock, |held| held.valid(clock.now())).await;
        };
        if clock.now() >= valid.due
            && let Some(_asking) = self.asking.try_lock()
            && self.held().is_due(clock.now())
        {
            return Ok(self.provide(clock).await.unwrap_or(valid.grant));
        }
        Ok(valid.grant)
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
                && lasting.new_until.is_some_and(|until| clock.now() < until)
        };
        if self.held().grant.as_ref().is_some_and(is_new) {
            return Ok(None);
        }
        let successor =
            |held: &Held| held.grant.clone().filter(|lasting| lasting.grant.generation > refused);
        let grant = self.ask(clock, successor).await?;
        let mut held = self.held();
        if let Some(lasting) = held.grant.as_mut().filter(|l| Arc::ptr_eq(&l.grant, &grant)) {
            lasting.new_until.get_or_insert_with(|| later(clock.now(), PAUSE));
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
            if let Some((fault, at)) = &held.fault
                && (held.asked > asked || fault.is_refusal() && clock.now() < later(*at, PAUSE))
            {
                return Err(fault.clone());
            }
        }
        self.provide(clock).await
    }

    /// Asks the provider. Only for whoever holds `asking`.
    async fn provide(&self, clock: &dyn Clock) -> Result<Arc<Grant>, CredentialsFault> {
        let timeout = self.provider.timeout();
        let provided = within(clock, timeout, self.provider.provide()).await;
        let provided = provided.ok_or(CredentialsFault::TimedOut(timeout));
        let provided = provided.and_then(|provided| provided.map_err(CredentialsFault::Provider));
        let now = clock.now();
        let mut held = self.held();
        held.asked += 1;
        match provided {
            Ok(provided) => {
                let lasting = Lasting::new(provided, held.asked, now);
                held.fault = None;
                held.grant = Some(lasting.clone());
                Ok(lasting.grant)
            }
            Err(fault) => {
                held.fault = Some((fault.clone(), now));
                if let Some(lasting) = &mut held.grant {
                    lasting.due = lasting.due.max(later(now, PAUSE));
                }
                Err(fault)
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn valid(&self, now: Timestamp) -> Option<Lasting> {
        self.grant.clone().filter(|lasting| now < lasting.expires)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.grant.as_ref().is_some_and(|lasting| now >= lasting.due)
    }
}

impl Lasting {
    fn new(provided: Provided, generation: u64, now: Timestamp) -> Self {
        let after = |span: Option<Duration>| span.map_or(Timestamp::MAX, |span| later(now, span));
        // Of a tenth of the lifetime; see below.
        let early = provided.lifetime.map(|lifetime| {
            let tenth = lifetime / 10;
            tenth * 9 - tenth.mul_f64(jitter(&provided.means))
        });
        let (due, expires) = (after(early), after(provided.lifetime));
        Self { grant: Arc::new(Grant::new(provided, generation)), new_until: None, due, expires }
    }
}

fn later(now: Timestamp, span: Duration) -> Timestamp {
    // Fails for spans of the calendar alone, which this is not.
    now.saturating_add(span).unwrap_or(Timestamp::MAX)
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

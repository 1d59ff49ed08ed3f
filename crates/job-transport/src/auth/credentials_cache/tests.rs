//! Tests when the cache calls a provider, and what concurrent callers receive.

use std::collections::VecDeque;

use futures_core::future::BoxFuture;
use futures_util::{future::join_all, poll};
use jiff::Timestamp;

use super::*;
use crate::{
    auth::provider::ProvideCredentials,
    request::{CredentialsProviderError, ErrorClass},
    testing::ManualClock,
};

/// Results of the provider: a token with a lifetime in seconds, or an error with a class.
type Script = VecDeque<Result<Option<u64>, ErrorClass>>;

/// Returns the next result of its list, and counts the calls.
#[derive(Clone, Default)]
struct ScriptedProvider(Arc<Mutex<(u32, Script)>>);

impl ScriptedProvider {
    fn push_results(&self, list: impl IntoIterator<Item = Result<Option<u64>, ErrorClass>>) {
        self.0.lock().unwrap().1.extend(list);
    }

    fn calls(&self) -> u32 {
        self.0.lock().unwrap().0
    }
}

impl ProvideCredentials for ScriptedProvider {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        let (asked, next) = {
            let mut list = self.0.lock().unwrap();
            list.0 += 1;
            (list.0, list.1.pop_front())
        };
        Box::pin(async move {
            tokio::task::yield_now().await;
            let provided = || ProvidedCredential::token(format!("token-{asked}")).unwrap();
            match next {
                None => std::future::pending().await,
                Some(Ok(None)) => Ok(provided()),
                Some(Ok(Some(seconds))) => Ok(provided().lifetime(Duration::from_secs(seconds))),
                Some(Err(class)) => Err(CredentialsProviderError::new(class, "no token")),
            }
        })
    }
}

fn new_cache() -> (ScriptedProvider, CredentialsCache, ManualClock) {
    let listed = ScriptedProvider::default();
    (listed.clone(), CredentialsCache::new(Box::new(listed)), ManualClock::new())
}

fn token_text(issued: &IssuedCredential) -> String {
    match &issued.credential {
        Credential::Token(token) => token.expose_secret().into(),
        Credential::Key(_) => panic!("a token was provided"),
    }
}

/// Makes `count` concurrent calls, and returns the token or the error of each.
async fn get_concurrently(
    count: usize,
    cache: &CredentialsCache,
    clock: &ManualClock,
) -> Vec<String> {
    let issued = join_all((0..count).map(|_| cache.get(clock))).await;
    issued
        .into_iter()
        .map(|issued| issued.map_or_else(|e| e.to_string(), |g| token_text(&g)))
        .collect()
}

#[tokio::test]
async fn concurrent_callers_share_one_provider_call() {
    let (listed, cache, clock) = new_cache();
    listed.push_results([Ok(None)]);
    assert_eq!(get_concurrently(1_000, &cache, &clock).await, vec!["token-1"; 1_000]);
    assert_eq!(listed.calls(), 1);
}

#[tokio::test]
async fn concurrent_callers_share_one_provider_error() {
    let (listed, cache, clock) = new_cache();
    listed.push_results([Err(ErrorClass::Transient), Ok(None)]);
    assert_eq!(
        get_concurrently(1_000, &cache, &clock).await,
        vec!["cannot get credentials"; 1_000]
    );
    assert_eq!(listed.calls(), 1);
    // A later call calls the provider again.
    assert_eq!(get_concurrently(1_000, &cache, &clock).await, vec!["token-2"; 1_000]);
    assert_eq!(listed.calls(), 2);
}

#[tokio::test]
async fn rejected_provider_backs_off_for_30_seconds() {
    let (listed, cache, clock) = new_cache();
    listed.push_results([Err(ErrorClass::Unauthorized), Ok(None)]);
    for seconds in [0, 29] {
        clock.advance(seconds);
        assert_eq!(get_concurrently(3, &cache, &clock).await, ["the credentials were refused"; 3]);
        assert_eq!(listed.calls(), 1);
    }
    clock.advance(1);
    assert_eq!(get_concurrently(3, &cache, &clock).await, ["token-2"; 3]);
}

#[tokio::test]
async fn tokens_are_refreshed_after_80_to_90_percent_of_lifetime() {
    let (listed, cache, clock) = new_cache();
    listed.push_results([Ok(Some(1_000)), Ok(Some(1_000))]);
    let mut renewed_after = None;
    for second in 0..1_000 {
        if get_concurrently(3, &cache, &clock).await.contains(&"token-2".into()) {
            renewed_after = Some(second);
            break;
        }
        clock.advance(1);
    }
    assert!(renewed_after.is_some_and(|s| (800..=900).contains(&s)), "{renewed_after:?}");
    assert_eq!(listed.calls(), 2);
}

#[tokio::test]
async fn a_failed_refresh_keeps_the_valid_token() {
    let (listed, cache, clock) = new_cache();
    listed.push_results([
        Ok(Some(1_000)),
        Err(ErrorClass::Transient),
        Err(ErrorClass::Unauthorized),
        Ok(None),
    ]);
    assert_eq!(get_concurrently(1, &cache, &clock).await, ["token-1"]);
    clock.advance(900);
    // One of the three calls the provider; none of them returns its error.
    assert_eq!(get_concurrently(3, &cache, &clock).await, ["token-1"; 3]);
    assert_eq!(listed.calls(), 2);
    clock.advance(29);
    assert_eq!(get_concurrently(3, &cache, &clock).await, ["token-1"; 3]);
    assert_eq!(listed.calls(), 2);
    clock.advance(1);
    assert_eq!(get_concurrently(3, &cache, &clock).await, ["token-1"; 3]);
    assert_eq!(listed.calls(), 3);
    // It has expired.
    clock.advance(70);
    assert_eq!(get_concurrently(3, &cache, &clock).await, ["token-4"; 3]);
}

#[tokio::test]
async fn stale_credentials_are_served_during_refresh() {
    let (listed, cache, clock) = new_cache();
    listed.push_results([Ok(Some(1_000))]);
    assert_eq!(get_concurrently(1, &cache, &clock).await, ["token-1"]);
    clock.advance(950);
    // The provider does not return from now on.
    let mut refreshing = Box::pin(cache.get(&clock));
    assert!(poll!(&mut refreshing).is_pending());
    assert_eq!(get_concurrently(3, &cache, &clock).await, ["token-1"; 3]);
    // The caller that refreshes is dropped. Its attempt counts, so the others do not wait.
    drop(refreshing);
    assert_eq!(get_concurrently(3, &cache, &clock).await, ["token-1"; 3]);
    assert_eq!(listed.calls(), 2);
}

#[tokio::test]
async fn a_dropped_refresh_is_taken_over_by_the_next_caller() {
    let (listed, cache, clock) = new_cache();
    let mut first = Box::pin(cache.get(&clock));
    assert!(poll!(&mut first).is_pending());
    listed.push_results([Ok(None)]);
    let mut waiting = Box::pin(cache.get(&clock));
    assert!(poll!(&mut waiting).is_pending());
    drop(first);
    assert_eq!(token_text(&waiting.await.unwrap()), "token-2");
}

#[tokio::test]
async fn a_late_401_gets_the_newer_token_despite_a_failed_refresh() {
    let (listed, cache, clock) = new_cache();
    listed.push_results([Ok(None), Ok(Some(1_000)), Err(ErrorClass::Unauthorized)]);
    let first = cache.get(&clock).await.unwrap();
    assert!(
        cache.refresh(first.generation, RenewalReason::Refused, &clock).await.unwrap().is_some()
    );
    clock.advance(950);
    assert_eq!(get_concurrently(1, &cache, &clock).await, ["token-2"]);
    assert_eq!(listed.calls(), 3);
    let late = cache.refresh(first.generation, RenewalReason::Refused, &clock).await.unwrap();
    assert_eq!(late.map(|issued| token_text(&issued)).as_deref(), Some("token-2"));
}

#[tokio::test]
async fn a_zero_lifetime_token_serves_all_waiting_callers() {
    let (listed, cache, clock) = new_cache();
    listed.push_results([Ok(Some(0)), Ok(Some(0))]);
    assert_eq!(get_concurrently(1_000, &cache, &clock).await, vec!["token-1"; 1_000]);
    assert_eq!(get_concurrently(1_000, &cache, &clock).await, vec!["token-2"; 1_000]);
}

#[tokio::test]
async fn concurrent_refusals_of_a_token_share_one_refresh() {
    let (listed, cache, clock) = new_cache();
    listed.push_results([Ok(None), Ok(None), Ok(None), Ok(None)]);
    let first = cache.get(&clock).await.unwrap();
    let renew = async |refused: &IssuedCredential, count| {
        let renewed =
            (0..count).map(|_| cache.refresh(refused.generation, RenewalReason::Refused, &clock));
        let renewed: Vec<_> = join_all(renewed).await;
        let tokens = renewed.into_iter().map(|renewed| renewed.unwrap().map(|g| token_text(&g)));
        tokens.collect::<Vec<_>>()
    };
    let second = Some("token-2".to_owned());
    assert_eq!(renew(&first, 1_000).await, vec![second.clone(); 1_000]);
    // A later caller with the old token receives the current one.
    clock.advance(2);
    assert_eq!(renew(&first, 2).await, vec![second; 2]);
    assert_eq!(listed.calls(), 2);
    // If the new token is refused within five seconds, it is not refreshed.
    let second = cache.get(&clock).await.unwrap();
    clock.advance(2);
    assert_eq!(renew(&second, 2).await, [None, None]);
    clock.advance(1);
    assert_eq!(renew(&second, 2).await, vec![Some("token-3".to_owned()); 2]);
    assert_eq!(listed.calls(), 3);
}

#[tokio::test]
async fn concurrent_refusals_share_one_refresh_error() {
    let (listed, cache, clock) = new_cache();
    listed.push_results([Ok(None), Err(ErrorClass::Transient)]);
    let first = cache.get(&clock).await.unwrap();
    let renewed = join_all(
        (0..1_000).map(|_| cache.refresh(first.generation, RenewalReason::Refused, &clock)),
    )
    .await;
    assert!(renewed.into_iter().all(|renewed| renewed.is_err()));
    assert_eq!(listed.calls(), 2);
}

/// A clock whose sleeps end immediately, so every timeout expires.
struct InstantSleepClock(ManualClock);

impl Clock for InstantSleepClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'_, ()> {
        assert_eq!(span, Duration::from_secs(20));
        Box::pin(std::future::ready(()))
    }
}

#[tokio::test]
async fn a_provider_times_out_after_20_seconds() {
    let (_, cache, clock) = new_cache();
    let fault = cache.get(&InstantSleepClock(clock)).await.map(drop).unwrap_err();
    assert_eq!(fault.to_string(), "cannot get credentials: the provider did not return within 20s");
}

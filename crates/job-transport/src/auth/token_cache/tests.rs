//! When a provider is asked, by how many, and what becomes of what it gives.

use std::collections::VecDeque;

use futures_core::future::BoxFuture;
use futures_util::{future::join_all, poll};

use super::*;
use crate::{auth::provider::ProvideError, request::Class, testing::ManualClock};

/// Tokens by their lifetimes in seconds, and failures by their classes.
type List = VecDeque<Result<Option<u64>, Class>>;

/// Gives what is next on its list, when its turn comes; and counts how often it was asked.
#[derive(Clone, Default)]
struct Listed(Arc<Mutex<(u32, List)>>);

impl Listed {
    fn will(&self, list: impl IntoIterator<Item = Result<Option<u64>, Class>>) {
        self.0.lock().unwrap().1.extend(list);
    }

    fn asked(&self) -> u32 {
        self.0.lock().unwrap().0
    }
}

impl ProvideCredentials for Listed {
    fn provide(&self) -> BoxFuture<'_, Result<Provided, ProvideError>> {
        let (asked, next) = {
            let mut list = self.0.lock().unwrap();
            list.0 += 1;
            (list.0, list.1.pop_front())
        };
        Box::pin(async move {
            tokio::task::yield_now().await;
            let provided = || Provided::token(format!("token-{asked}")).unwrap();
            match next {
                None => std::future::pending().await,
                Some(Ok(None)) => Ok(provided()),
                Some(Ok(Some(seconds))) => Ok(provided().lifetime(Duration::from_secs(seconds))),
                Some(Err(class)) => Err(ProvideError::new(class, "no token")),
            }
        })
    }
}

fn renewal() -> (Listed, Renewal, ManualClock) {
    let listed = Listed::default();
    (listed.clone(), Renewal::new(Box::new(listed)), ManualClock::new())
}

fn token(grant: &Grant) -> String {
    match &grant.means {
        Means::Token(token) => token.expose_secret().into(),
        Means::Key { .. } => panic!("a token was provided"),
    }
}

/// Asks so many times at once, and returns what each was given.
async fn at_once(count: usize, renewal: &Renewal, clock: &ManualClock) -> Vec<String> {
    let grants = join_all((0..count).map(|_| renewal.grant(clock))).await;
    grants.into_iter().map(|grant| grant.map_or_else(|e| e.to_string(), |g| token(&g))).collect()
}

#[tokio::test]
async fn one_of_many_asks_and_all_are_answered() {
    let (listed, renewal, clock) = renewal();
    listed.will([Ok(None)]);
    assert_eq!(at_once(1_000, &renewal, &clock).await, vec!["token-1"; 1_000]);
    assert_eq!(listed.asked(), 1);
}

#[tokio::test]
async fn one_of_many_fails_and_all_are_told() {
    let (listed, renewal, clock) = renewal();
    listed.will([Err(Class::Transient), Ok(None)]);
    assert_eq!(at_once(1_000, &renewal, &clock).await, vec!["there are no credentials"; 1_000]);
    assert_eq!(listed.asked(), 1);
    // Who comes later asks again.
    assert_eq!(at_once(1_000, &renewal, &clock).await, vec!["token-2"; 1_000]);
    assert_eq!(listed.asked(), 2);
}

#[tokio::test]
async fn a_provider_that_was_not_let_in_is_left_alone_for_half_a_minute() {
    let (listed, renewal, clock) = renewal();
    listed.will([Err(Class::Unauthorized), Ok(None)]);
    for seconds in [0, 29] {
        clock.advance(seconds);
        assert_eq!(at_once(3, &renewal, &clock).await, ["there are no credentials"; 3]);
        assert_eq!(listed.asked(), 1);
    }
    clock.advance(1);
    assert_eq!(at_once(3, &renewal, &clock).await, ["token-2"; 3]);
}

#[tokio::test]
async fn a_token_is_renewed_in_the_ninth_tenth_of_its_life() {
    let (listed, renewal, clock) = renewal();
    listed.will([Ok(Some(1_000)), Ok(Some(1_000))]);
    let mut renewed_after = None;
    for second in 0..1_000 {
        if at_once(3, &renewal, &clock).await.contains(&"token-2".into()) {
            renewed_after = Some(second);
            break;
        }
        clock.advance(1);
    }
    assert!(renewed_after.is_some_and(|s| (800..=900).contains(&s)), "{renewed_after:?}");
    assert_eq!(listed.asked(), 2);
}

#[tokio::test]
async fn a_failed_renewal_leaves_the_token_that_still_holds() {
    let (listed, renewal, clock) = renewal();
    listed.will([Ok(Some(1_000)), Err(Class::Transient), Err(Class::Unauthorized), Ok(None)]);
    assert_eq!(at_once(1, &renewal, &clock).await, ["token-1"]);
    clock.advance(900);
    // One of the three tries, and none is told.
    assert_eq!(at_once(3, &renewal, &clock).await, ["token-1"; 3]);
    assert_eq!(listed.asked(), 2);
    clock.advance(29);
    assert_eq!(at_once(3, &renewal, &clock).await, ["token-1"; 3]);
    assert_eq!(listed.asked(), 2);
    clock.advance(1);
    assert_eq!(at_once(3, &renewal, &clock).await, ["token-1"; 3]);
    assert_eq!(listed.asked(), 3);
    // It has expired.
    clock.advance(70);
    assert_eq!(at_once(3, &renewal, &clock).await, ["token-4"; 3]);
}

#[tokio::test]
async fn while_one_renews_the_others_use_what_they_have() {
    let (listed, renewal, clock) = renewal();
    listed.will([Ok(Some(1_000))]);
    assert_eq!(at_once(1, &renewal, &clock).await, ["token-1"]);
    clock.advance(950);
    // The provider is silent from now on.
    let mut renewing = Box::pin(renewal.grant(&clock));
    assert!(poll!(&mut renewing).is_pending());
    assert_eq!(at_once(3, &renewal, &clock).await, ["token-1"; 3]);
    // The one who waits is given up. It has tried; the others are not held up.
    drop(renewing);
    assert_eq!(at_once(3, &renewal, &clock).await, ["token-1"; 3]);
    assert_eq!(listed.asked(), 2);
}

#[tokio::test]
async fn where_one_is_given_up_the_next_one_asks() {
    let (listed, renewal, clock) = renewal();
    let mut asking = Box::pin(renewal.grant(&clock));
    assert!(poll!(&mut asking).is_pending());
    listed.will([Ok(None)]);
    let mut waiting = Box::pin(renewal.grant(&clock));
    assert!(poll!(&mut waiting).is_pending());
    drop(asking);
    assert_eq!(token(&waiting.await.unwrap()), "token-2");
}

#[tokio::test]
async fn a_late_refusal_is_given_the_successor_whatever_failed_since() {
    let (listed, renewal, clock) = renewal();
    listed.will([Ok(None), Ok(Some(1_000)), Err(Class::Unauthorized)]);
    let first = renewal.grant(&clock).await.unwrap();
    assert!(renewal.renew(first.generation, &clock).await.unwrap().is_some());
    clock.advance(950);
    assert_eq!(at_once(1, &renewal, &clock).await, ["token-2"]);
    assert_eq!(listed.asked(), 3);
    let late = renewal.renew(first.generation, &clock).await.unwrap();
    assert_eq!(late.map(|grant| token(&grant)).as_deref(), Some("token-2"));
}

#[tokio::test]
async fn a_token_that_expires_at_once_serves_all_who_waited_for_it() {
    let (listed, renewal, clock) = renewal();
    listed.will([Ok(Some(0)), Ok(Some(0))]);
    assert_eq!(at_once(1_000, &renewal, &clock).await, vec!["token-1"; 1_000]);
    assert_eq!(at_once(1_000, &renewal, &clock).await, vec!["token-2"; 1_000]);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_however_many_ask() {
    let (listed, renewal, clock) = renewal();
    listed.will([Ok(None), Ok(None), Ok(None), Ok(None)]);
    let first = renewal.grant(&clock).await.unwrap();
    let renew = async |refused: &Grant, count| {
        let renewed = (0..count).map(|_| renewal.renew(refused.generation, &clock));
        let renewed: Vec<_> = join_all(renewed).await;
        let tokens = renewed.into_iter().map(|renewed| renewed.unwrap().map(|g| token(&g)));
        tokens.collect::<Vec<_>>()
    };
    let second = Some("token-2".to_owned());
    assert_eq!(renew(&first, 1_000).await, vec![second.clone(); 1_000]);
    // Who comes with the old one later is given what there is.
    clock.advance(2);
    assert_eq!(renew(&first, 2).await, vec![second; 2]);
    assert_eq!(listed.asked(), 2);
    // A successor that is refused as well is not too old; not before five seconds have passed.
    let second = renewal.grant(&clock).await.unwrap();
    clock.advance(2);
    assert_eq!(renew(&second, 2).await, [None, None]);
    clock.advance(1);
    assert_eq!(renew(&second, 2).await, vec![Some("token-3".to_owned()); 2]);
    assert_eq!(listed.asked(), 3);
}

#[tokio::test]
async fn a_refusal_that_cannot_be_renewed_is_told_once_to_all_who_wait() {
    let (listed, renewal, clock) = renewal();
    listed.will([Ok(None), Err(Class::Transient)]);
    let first = renewal.grant(&clock).await.unwrap();
    let renewed = join_all((0..1_000).map(|_| renewal.renew(first.generation, &clock))).await;
    assert!(renewed.into_iter().all(|renewed| renewed.is_err()));
    assert_eq!(listed.asked(), 2);
}

/// Pauses that are over at once: every timeout is.
struct Impatient(ManualClock);

impl Clock for Impatient {
    fn now(&self) -> jiff::Timestamp {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'_, ()> {
        assert_eq!(span, Duration::from_secs(20));
        Box::pin(std::future::ready(()))
    }
}

#[tokio::test]
async fn a_provider_has_a_timeout_of_its_own() {
    let (_, renewal, clock) = renewal();
    let fault = renewal.grant(&Impatient(clock)).await.map(drop).unwrap_err();
    assert_eq!(fault.to_string(), "there are no credentials: they were not provided within 20s");
}

//! Tests the delivery of notifications, and how long they are kept.

use futures_core::future::BoxFuture;
use job_notify::{Notification, Notifier, NotifierError};

use super::*;
use crate::Worker;

#[tokio::test]
async fn a_delivery_is_retried_and_can_be_repeated_by_hand() {
    let bed = TestBed::new(&[SUCCESS]).await;
    *bed.receivers.error.lock().unwrap() = Some(NotifierError::permanent("a.example answered 410"));
    bed.store.watch(&key("a"), &Watch::new().notify("https://a.example/x?secret")).await.unwrap();
    bed.run_until(10).await;
    let undelivered = bed.store.undelivered().await.unwrap();
    let [failed] = &undelivered[..] else { panic!("{undelivered:?}") };
    assert_eq!((failed.state.as_str(), failed.tries), ("failed", 1));
    assert_eq!(failed.last_error.as_deref(), Some("a.example answered 410"));
    assert_eq!(failed.receiver.as_deref(), Some("a.example/x"));
    *bed.receivers.error.lock().unwrap() = Some(NotifierError::transient("a.example is busy"));
    assert!(bed.store.retry(&failed.id).await.unwrap());
    bed.run_until(20).await;
    let tries = bed.store.undelivered().await.unwrap()[0].tries;
    assert!((4..=7).contains(&tries), "{tries}");
    *bed.receivers.error.lock().unwrap() = None;
    bed.run_until(60).await;
    assert_eq!(bed.receivers.delivered.lock().unwrap().len(), 1);
    assert!(!bed.store.retry(&failed.id).await.unwrap(), "it is delivered");
}

/// A worker without a notifier, or whose notifier does not accept the receiver.
#[tokio::test]
async fn a_webhook_is_left_to_the_workers_that_may_deliver_it() {
    for notifier in [None, Some(OtherReceivers)] {
        let bed = TestBed::new(&[SUCCESS]).await;
        bed.store.watch(&key("a"), &Watch::new().notify("https://a.example")).await.unwrap();
        let store = Store { notifier: None, ..bed.store.clone() };
        let error = store.watch(&key("b"), &Watch::new().notify("https://a.example")).await;
        assert!(matches!(error, Err(StoreError::Receiver(_))), "{error:?}");
        let store = match notifier {
            Some(notifier) => store.notifier(notifier),
            None => store,
        };
        let worker = Worker::new(store, bed.cloud.client()).with_clock(bed.clock.clone());
        worker.run_once().await;
        worker.run_once().await;
        let [pending] = &bed.store.notifications(&key("a")).await.unwrap()[..] else { panic!() };
        assert_eq!((pending.state.as_str(), pending.tries), ("pending", 0));
        bed.run_until(70).await;
        assert_eq!(bed.receivers.delivered.lock().unwrap().len(), 1);
    }
}

/// Twenty notifications for a receiver that does not answer are due before one for another receiver.
#[tokio::test]
async fn a_receiver_that_does_not_answer_does_not_delay_others() {
    let bed = TestBed::new(&[SUCCESS]).await;
    let store = Store { notifier: None, ..bed.store.clone() };
    let worker = Worker::new(store, bed.cloud.client()).with_clock(bed.clock.clone());
    for number in 0..=20 {
        let receiver = if number < 20 { "https://hangs.example" } else { "https://b.example" };
        let key = key(&format!("j{number}"));
        bed.store.watch(&key, &Watch::new().notify(receiver)).await.unwrap();
        bed.clock.advance(Duration::from_secs(1));
        worker.run_once().await;
    }
    let mut leased = Vec::new();
    loop {
        let due = bed.store.due_notifications(16).await.unwrap();
        if due.is_empty() {
            break;
        }
        leased.extend(due.into_iter().map(|due| due.address));
    }
    let hanging = leased.iter().filter(|address| *address == "https://hangs.example").count();
    assert_eq!((hanging, leased.len()), (4, 5), "{leased:?}");
    // Their leases end, and the others follow.
    bed.clock.advance(Duration::from_secs(121));
    bed.worker.run_once().await;
    assert_eq!(bed.receivers.delivered.lock().unwrap().len(), 21);
}

#[tokio::test]
async fn a_failed_notification_is_kept_after_its_last_try() {
    let bed = TestBed::new(&[SUCCESS]).await;
    let hour = Duration::from_secs(3600);
    bed.store.watch(&key("a"), &Watch::new().notify("https://a.example")).await.unwrap();
    for wait in bed.worker.claim().await.unwrap().waits {
        bed.worker.attempt(wait).await;
    }
    // The last try is long after the end of the wait.
    bed.clock.advance(5 * hour);
    *bed.receivers.error.lock().unwrap() = Some(NotifierError::permanent("410"));
    bed.worker.run_once().await;
    for (age, kept) in [(Duration::ZERO, 1), (hour / 2, 1), (hour, 0)] {
        bed.clock.advance(age);
        bed.store.delete_finished(hour).await.unwrap();
        assert_eq!(bed.store.undelivered().await.unwrap().len(), kept, "{age:?}");
    }
}

#[tokio::test]
async fn finished_waits_are_deleted_after_their_retention() {
    let bed = TestBed::new(&[SUCCESS]).await;
    for job in ["plain", "queued"] {
        let watch = if job == "queued" { Watch::new().enqueue("q") } else { Watch::new() };
        bed.store.watch(&key(job), &watch).await.unwrap();
    }
    bed.run_until(100).await;
    let hour = Duration::from_secs(3600);
    bed.store.delete_finished(hour).await.unwrap();
    assert!(bed.store.get(&key("plain")).await.unwrap().is_some());
    bed.clock.advance(2 * hour);
    bed.store.delete_finished(hour).await.unwrap();
    assert!(bed.store.get(&key("plain")).await.unwrap().is_none());
    assert!(bed.store.get(&key("queued")).await.unwrap().is_some(), "nobody has read the queue");
}

/// Accepts no receiver.
struct OtherReceivers;

impl Notifier for OtherReceivers {
    fn deliver<'a>(
        &'a self,
        _: &'a str,
        _: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifierError>> {
        Box::pin(async { Err(NotifierError::permanent("it is not in the allow-list")) })
    }

    fn check(&self, _: &str) -> Result<(), NotifierError> {
        Err(NotifierError::permanent("it is not in the allow-list"))
    }
}

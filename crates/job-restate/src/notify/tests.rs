//! Tests tries without an engine: what is stored between them, and what the metrics show.

use std::{future::pending, sync::Mutex};

use futures_core::future::BoxFuture;
use jiff::Timestamp;
use job_notify::{DeliveryState, NotifierError};
use job_transport::clock::Clock;
use serde_json::{Value, json};

use super::*;

/// Returns scripted results, and records the notifications.
#[derive(Default)]
struct ScriptedNotifier {
    results: Mutex<Vec<Result<(), NotifierError>>>,
    sent: Mutex<Vec<Notification>>,
}

impl Notifier for ScriptedNotifier {
    fn deliver<'a>(
        &'a self,
        _: &'a str,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifierError>> {
        self.sent.lock().unwrap().push(notification.clone());
        let result = self.results.lock().unwrap().pop().unwrap();
        Box::pin(async { result })
    }
}

/// A clock that stands still.
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(100)
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(pending())
    }
}

fn finished(tick: u64, document: &str) -> FinishedWait {
    serde_json::from_value(json!({
        "tick": tick,
        "outcome": "deadline_exceeded",
        "has_job_ended": false,
        "body": json!({"v": 1, "document": document}).to_string(),
        "receivers": [],
    }))
    .unwrap()
}

fn request(tick: u64, document: &str) -> DeliveryRequest {
    let key = "p1:354331b2c".parse().unwrap();
    DeliveryRequest::new(&key, &finished(tick, document), "https://example.com/hook?token=x", 7)
}

#[tokio::test]
async fn tries_are_counted_until_a_receiver_accepts() {
    let notifier = Arc::new(ScriptedNotifier::default());
    let error = |text: &str| Err(NotifierError::transient(text));
    *notifier.results.lock().unwrap() = vec![Ok(()), error("second"), error("first")];
    let metrics = Arc::new(Metrics::new());
    let clock = Arc::new(ReferenceClock::new(Arc::new(FixedClock)));
    let service = JobNotifier::new(Arc::new(notifier.clone()), clock.clone(), metrics.clone());
    let mut request = request(7, "");
    let expected = [
        (DeliveryState::Pending, Some("first"), 1),
        (DeliveryState::Pending, Some("second"), 1),
        (DeliveryState::Delivered, Some("second"), 0),
    ];
    for (tries, (state, last_error, undelivered)) in (1..).zip(expected) {
        // The engine stores the request and the result as text.
        let text = serde_json::to_string(&request).unwrap();
        request = serde_json::from_str(&text).unwrap();
        let result = service.try_once(&request).await;
        let text = serde_json::to_string(&result).unwrap();
        let result: TryResult = serde_json::from_str(&text).unwrap();
        request.delivery = result.delivery;
        assert_eq!((request.delivery.state(), request.delivery.tries()), (state, tries));
        assert_eq!(request.delivery.last_error(), last_error);
        assert_eq!(result.delay.is_some(), state == DeliveryState::Pending);
        assert_eq!(metrics.undelivered.len(clock.monotonic()), undelivered);
        let text = metrics.to_openmetrics(clock.monotonic());
        let gauge = format!("\ncce_job_undelivered_notifications {undelivered}\n");
        assert!(text.contains(&gauge), "{text}");
    }
    let sent = notifier.sent.lock().unwrap();
    assert!(sent.iter().all(|notification| *notification == sent[0]), "{sent:?}");
}

#[test]
fn two_stops_of_a_job_have_two_ids_and_long_documents_are_left_out() {
    let ids = [7, 8].map(|tick| request(tick, "").notification().id().to_owned());
    assert_eq!(ids, ["p1:354331b2c:deadline_exceeded:7", "p1:354331b2c:deadline_exceeded:8"]);
    // Seven MiB are not stored with each try.
    let request = request(7, &"x".repeat(7 << 20));
    assert!(serde_json::to_string(&request).unwrap().len() < 1000);
    let body: Value = serde_json::from_str(request.notification().body()).unwrap();
    assert_eq!(body, json!({"v": 1, "document": null, "omitted": ["document"]}));
}

#[test]
fn requests_of_earlier_versions_are_read() {
    let stored = json!({
        "address": "https://example.com/hook",
        "notification": {"key": "p1:354331b2c", "outcome": "failed", "body": "{}"},
        "wait_number": 9,
    });
    let request: DeliveryRequest = serde_json::from_value(stored).unwrap();
    assert_eq!(request.notification().id(), "p1:354331b2c:failed:9");
    assert_eq!(request.delivery, Delivery::new());
}

//! Tests waits from their start to their notification, on SQLite in memory and a clock that the test
//! sets.

use job_notify::{Notification, Notifier, NotifierError};
use job_poller::{
    WaitPolicy,
    machine::{Action, Input, Machine},
    observer::{AttemptFinished, BudgetStatus, WaitFinished, WaitStarted},
    schedule::{Adaptive, History},
};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    Store, StoreError, WaitStateLabel, WaitStatus, Watch,
    row::{WaitRow, WaitState},
    testing::{Cloud, FAILED, RUNNING, Reply, SUCCESS, TestBed, TestClock, key},
};

async fn status(store: &Store, job: &str) -> WaitStatus {
    store.get(&key(job)).await.unwrap().unwrap()
}

async fn outcome(store: &Store, job: &str) -> Option<String> {
    status(store, job).await.result.map(|result| result.outcome)
}

#[tokio::test]
async fn each_wait_has_its_outcome_and_one_notification() {
    let minutes = |minutes: u64| WaitPolicy::new().timeout(Duration::from_secs(minutes * 60));
    let rows = [
        (vec![RUNNING, SUCCESS], minutes(60), "succeeded", WaitStateLabel::Ended),
        (vec![RUNNING, FAILED], minutes(60), "failed", WaitStateLabel::Ended),
        (vec![Reply::Status(404, None)], minutes(60), "not_found", WaitStateLabel::Stopped),
        (vec![Reply::Status(403, None)], minutes(60), "permanent", WaitStateLabel::Stopped),
        (vec![RUNNING], minutes(5), "deadline_exceeded", WaitStateLabel::Stopped),
        (
            vec![Reply::Lost, RUNNING, Reply::Lost, SUCCESS],
            minutes(60),
            "succeeded",
            WaitStateLabel::Ended,
        ),
        (
            vec![Reply::Status(429, Some(30)), SUCCESS],
            minutes(60),
            "succeeded",
            WaitStateLabel::Ended,
        ),
    ];
    for (replies, policy, expected, label) in rows {
        let bed = TestBed::new(&replies).await;
        let watch = Watch::new().policy(policy).notify("https://hooks.example/a").enqueue("q");
        bed.store.watch(&key("a"), &watch).await.unwrap();
        bed.run_until(600).await;
        let status = status(&bed.store, "a").await;
        assert_eq!(status.state, label, "{replies:?}");
        let result = status.result.unwrap();
        assert_eq!(result.outcome, expected, "{replies:?}");
        let delivered = bed.receivers.delivered.lock().unwrap().clone();
        let [(address, notification)] = &delivered[..] else { panic!("{delivered:?}") };
        assert_eq!(address, "https://hooks.example/a");
        assert_eq!(notification.id(), format!("p:a:{expected}:{}", status.number));
        assert_eq!(notification.body(), result.report.get());
        let queued = bed.store.notifications(&key("a")).await.unwrap();
        assert_eq!(queued.iter().filter(|row| row.queue.as_deref() == Some("q")).count(), 1);
        let requests = bed.cloud.requests().len();
        bed.run_until(660).await;
        assert_eq!(bed.cloud.requests().len(), requests, "no request after the end");
    }
}

#[tokio::test]
async fn an_attempt_whose_worker_died_is_repeated_after_its_lease() {
    let bed = TestBed::new(&[SUCCESS]).await;
    bed.store.watch(&key("a"), &Watch::new()).await.unwrap();
    let lost = bed.worker.claim().await.unwrap();
    assert_eq!(lost.waits.len(), 1);
    // The attempt timeout and the margin of the lease: 60 s.
    for (second, is_finished) in [(59, false), (62, true)] {
        bed.run_until(second).await;
        assert_eq!(outcome(&bed.store, "a").await.is_some(), is_finished, "{second}");
    }
    // If the first worker was only slow, its result is dropped.
    bed.cloud.set(&[FAILED]);
    for wait in lost.waits {
        bed.worker.attempt(wait).await;
    }
    assert_eq!(outcome(&bed.store, "a").await.as_deref(), Some("succeeded"));
}

#[tokio::test]
async fn changes_during_an_attempt_are_kept() {
    let minutes = |minutes: u64| {
        Watch::new().policy(WaitPolicy::new().timeout(Duration::from_secs(minutes * 60)))
    };
    let bed = TestBed::new(&[RUNNING]).await;
    bed.store.watch(&key("a"), &minutes(10)).await.unwrap();
    let claim = bed.worker.claim().await.unwrap();
    let extended = bed.store.watch(&key("a"), &minutes(30).notify("https://a.example")).await;
    assert!(extended.unwrap().active.unwrap().is_in_flight);
    assert!(bed.store.hint(&key("a")).await.unwrap());
    for wait in claim.waits {
        bed.worker.attempt(wait).await;
    }
    let active = status(&bed.store, "a").await.active.unwrap();
    let left = active.deadline_at.unwrap().duration_since(bed.clock.now()).as_secs();
    assert!((1798..=1800).contains(&left), "{left}");
    let until_next = active.next_attempt_at.duration_since(bed.clock.now()).as_secs_f64();
    assert!((1.9..=2.1).contains(&until_next), "the hint is kept: {until_next}");
    // The deadline passes during an attempt, but a later one was requested.
    bed.run_until(1_780).await;
    bed.cloud.set(&[Reply::Lost]);
    bed.clock.advance(Duration::from_secs(25));
    let claim = bed.worker.claim().await.unwrap();
    bed.store.watch(&key("a"), &minutes(60)).await.unwrap();
    for wait in claim.waits {
        bed.worker.attempt(wait).await;
    }
    bed.cloud.set(&[SUCCESS]);
    bed.run_until(1_900).await;
    assert_eq!(outcome(&bed.store, "a").await.as_deref(), Some("succeeded"));
    assert_eq!(bed.receivers.delivered.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_goal_that_is_requested_during_the_last_attempt_is_waited_for() {
    // This job names no cluster and no node, so a wait until they are gone stops.
    let job = r#"{"spec": {"type": "DeleteNode"}, "status": {"phase": "Success"}}"#;
    let bed = TestBed::new(&[Reply::Body(job)]).await;
    bed.store.watch(&key("a"), &Watch::new()).await.unwrap();
    let claim = bed.worker.claim().await.unwrap();
    let until_gone = Watch::new().policy(WaitPolicy::new().until_gone());
    // A repeated request changes nothing, and a goal that contradicts the first one is refused.
    for watch in [&until_gone, &Watch::new()] {
        bed.store.watch(&key("a"), watch).await.unwrap();
    }
    let until_ready = Watch::new().policy(WaitPolicy::new().until_ready());
    let error = bed.store.watch(&key("a"), &until_ready).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict), "{error:?}");
    for wait in claim.waits {
        bed.worker.attempt(wait).await;
    }
    assert_eq!(status(&bed.store, "a").await.state, WaitStateLabel::Waiting);
    bed.run_until(10).await;
    assert_eq!(outcome(&bed.store, "a").await.as_deref(), Some("no_object"));
}

#[tokio::test]
async fn a_canceled_wait_ends_at_once_without_a_notification() {
    for is_in_flight in [false, true] {
        let bed = TestBed::new(&[SUCCESS]).await;
        bed.store.watch(&key("a"), &Watch::new().notify("https://a.example")).await.unwrap();
        let waits = if is_in_flight { bed.worker.claim().await.unwrap().waits } else { Vec::new() };
        let status = bed.store.cancel(&key("a")).await.unwrap().unwrap();
        assert_eq!(status.result.unwrap().outcome, "stopped");
        for wait in waits {
            bed.worker.attempt(wait).await;
        }
        bed.run_until(100).await;
        assert_eq!(outcome(&bed.store, "a").await.as_deref(), Some("stopped"));
        assert!(bed.receivers.delivered.lock().unwrap().is_empty());
        assert!(bed.store.cancel(&key("b")).await.unwrap().is_none());
        // A new wait for the same job has another number.
        let again = bed.store.watch(&key("a"), &Watch::new()).await.unwrap();
        assert!(again.number > status.number && again.state == WaitStateLabel::Waiting);
    }
}

#[tokio::test]
async fn requests_for_an_active_or_finished_wait_are_merged_or_refused() {
    let bed = TestBed::new(&[SUCCESS]).await;
    let strict = Watch::new().policy(WaitPolicy::new().strict());
    bed.store.watch(&key("a"), &Watch::new()).await.unwrap();
    let error = bed.store.watch(&key("a"), &strict).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict), "{error:?}");
    let error = bed.store.watch(&key("a"), &Watch::new().notify("ftp://a")).await.unwrap_err();
    assert!(matches!(error, StoreError::Receiver(_)), "{error:?}");
    let many = (0..17).fold(Watch::new(), |watch, number| watch.enqueue(number.to_string()));
    let error = bed.store.watch(&key("a"), &many).await.unwrap_err();
    assert!(matches!(error, StoreError::TooManyReceivers), "{error:?}");
    bed.run_until(10).await;
    // The result answers, and a new receiver is notified of it.
    let late = Watch::new().notify("https://late.example");
    for _ in 0..2 {
        let status = bed.store.watch(&key("a"), &late).await.unwrap();
        assert_eq!(status.state, WaitStateLabel::Ended);
        bed.run_until(20).await;
        assert_eq!(bed.receivers.delivered.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_paused_project_makes_no_requests() {
    let bed = TestBed::new(&[RUNNING]).await;
    let project = key("a").project;
    bed.store.watch(&key("a"), &Watch::new()).await.unwrap();
    bed.store.pause(&project).await.unwrap();
    bed.store.watch(&key("b"), &Watch::new()).await.unwrap();
    bed.run_until(300).await;
    assert_eq!(bed.cloud.requests().len(), 0);
    assert_eq!(status(&bed.store, "b").await.state, WaitStateLabel::Paused);
    let overdue = bed.store.list(&crate::ListQuery::new().overdue()).await.unwrap();
    assert_eq!(overdue.waits.len(), 2);
    bed.store.resume(&project).await.unwrap();
    bed.run_until(301).await;
    assert_eq!(bed.cloud.requests().len(), 2);
}

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

#[tokio::test]
async fn waits_go_on_after_the_database_was_full() {
    let bed = TestBed::new(&[RUNNING]).await;
    let watch = Watch::new().notify("https://a.example");
    bed.store.watch(&key("a"), &watch).await.unwrap();
    bed.run_until(20).await;
    let mut transaction = bed.store.database.begin_read().await.unwrap();
    let pages = transaction.row("PRAGMA page_count", &[]).await.unwrap().unwrap();
    let pages = pages.int("page_count").unwrap();
    assert!(pages < 100, "{pages}");
    transaction.rows("PRAGMA max_page_count = 100", &[]).await.unwrap();
    drop(transaction);
    let mut number = 0;
    let error = loop {
        number += 1;
        let started = bed.store.watch(&key(&format!("j{number}")), &watch).await;
        if let Err(error) = started {
            break error;
        }
    };
    let message = job_transport::transport::display_chain(&error).to_string();
    assert!(message.contains("database or disk is full"), "{message}");
    for _ in 0..20 {
        // Some of these calls fail.
        let _ = bed.worker.claim().await;
        bed.clock.advance(Duration::from_secs(1));
    }
    let mut transaction = bed.store.database.begin_read().await.unwrap();
    transaction.rows("PRAGMA max_page_count = 100000", &[]).await.unwrap();
    drop(transaction);
    bed.cloud.set(&[SUCCESS]);
    bed.run_until(300).await;
    for job in std::iter::once("a".to_owned()).chain((1..number).map(|job| format!("j{job}"))) {
        assert_eq!(outcome(&bed.store, &job).await.as_deref(), Some("succeeded"), "{job}");
    }
    assert_eq!(bed.receivers.delivered.lock().unwrap().len(), number);
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

/// 60 waits at 2 requests a second: each is read in turn, and no request stays unused.
#[tokio::test]
async fn the_budget_is_shared_fairly_and_used_up() {
    let mut bed = TestBed::new(&[RUNNING]).await;
    bed.worker = bed.worker.requests_per_second(2.0);
    for number in 0..60 {
        bed.store.watch(&key(&format!("j{number}")), &Watch::new()).await.unwrap();
    }
    bed.run_until(600).await;
    let requests = bed.cloud.requests();
    for start in (60..590).step_by(10) {
        let window = Duration::from_secs(start)..Duration::from_secs(start + 10);
        let sent = requests.iter().filter(|at| window.contains(*at)).count();
        assert!((19..=21).contains(&sent), "{sent} from {start} s on");
    }
    let mut query = crate::ListQuery::new().limit(7);
    let mut attempts = Vec::new();
    loop {
        let page = bed.store.list(&query).await.unwrap();
        attempts.extend(page.waits.iter().map(|wait| wait.active.as_ref().unwrap().attempts));
        let Some(next) = page.next else { break };
        query = query.after(next);
    }
    assert_eq!(attempts.len(), 60);
    let (least, most) = (attempts.iter().min().unwrap(), attempts.iter().max().unwrap());
    assert!(*least >= 18 && *most <= 22, "{least} {most}");
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

/// A gateway states a limit of 200 requests in five minutes, so 180 are sent. They are spread.
#[tokio::test]
async fn early_attempts_do_not_use_up_a_stated_quota() {
    let bed = TestBed::new(&[Reply::Quota, RUNNING]).await;
    for number in 0..60 {
        bed.store.watch(&key(&format!("j{number}")), &Watch::new()).await.unwrap();
    }
    bed.run_until(1200).await;
    let requests = bed.cloud.requests();
    let count = |from: u64, to: u64| {
        let window = Duration::from_secs(from)..Duration::from_secs(to);
        requests.iter().filter(|at| window.contains(*at)).count()
    };
    for from in (300..840).step_by(60) {
        let (minutes, window) = (count(from, from + 180), count(from, from + 300));
        assert!(minutes >= 30, "{minutes} in three minutes from {from} s on");
        assert!(window <= 180, "{window} in five minutes from {from} s on");
    }
}

/// 60 jobs at one request per second, so each is read once in a minute, on average 30 s after its end.
/// A list shows which have ended.
#[tokio::test]
async fn lists_show_which_jobs_to_read_next() {
    // The status of the list, by how much the ends may be read late on average, and how often the
    // list is read.
    for (status, most_late, lists) in [(200, 12, 20..=45), (403, 62, 2..=4)] {
        let mut bed = TestBed::new(&[Reply::EndsAt(300)]).await;
        bed.cloud.set_list(status);
        bed.worker = bed.worker.requests_per_second(1.0);
        for number in 0..60 {
            bed.store.watch(&key(&format!("j{number}")), &Watch::new()).await.unwrap();
        }
        bed.run_until(400).await;
        let finished = bed.store.list(&crate::ListQuery::new().finished()).await.unwrap().waits;
        let seconds = |wait: &WaitStatus| {
            wait.result.as_ref().unwrap().finished_at.as_second() - 1_800_000_300
        };
        let late: Vec<i64> = finished.iter().map(seconds).collect();
        // Every tenth job ends.
        assert_eq!(late.len(), 6, "{status}");
        assert!(late.iter().sum::<i64>() / 6 <= most_late, "{status}: {late:?}");
        let sent = bed.cloud.list_requests();
        assert!(lists.contains(&sent), "{status}: {sent} lists, {late:?}");
    }
}

#[tokio::test]
async fn throttling_pauses_all_waits() {
    let bed = TestBed::new(&[Reply::Status(429, Some(60)), RUNNING]).await;
    for number in 0..20 {
        bed.store.watch(&key(&format!("j{number}")), &Watch::new()).await.unwrap();
    }
    bed.run_until(120).await;
    let requests = bed.cloud.requests();
    let early = requests.iter().filter(|at| **at < Duration::from_secs(60)).count();
    // Those that were claimed before the reply.
    assert!(early <= 4, "{early}");
    assert!(requests.len() >= 24, "{}", requests.len());
}

#[tokio::test]
async fn workers_learn_from_the_jobs_that_ended() {
    let job = |phase: &str, second| {
        let body = format!(
            r#"{{"metadata": {{"creationTimestamp": "2027-01-15 08:00:00 +0000 UTC", "updateTimestamp": "2027-01-15 08:00:{second:02} +0000 UTC"}},
                "spec": {{"type": "CreateNode"}}, "status": {{"phase": "{phase}"}}}}"#
        );
        Reply::Body(body.leak())
    };
    let bed = TestBed::new(&[RUNNING]).await;
    for number in 0..3 {
        bed.cloud.set(&[job("Running", 10), job("Success", 40)]);
        bed.store.watch(&key(&format!("j{number}")), &Watch::new()).await.unwrap();
        bed.run_until(100 * (number + 1)).await;
    }
    let mut transaction = bed.store.database.begin_read().await.unwrap();
    let sql = "SELECT history FROM cce_history WHERE endpoint = 'cce.example'";
    let row = transaction.row(sql, &[]).await.unwrap().unwrap();
    let history: History = row.json("history").unwrap().unwrap();
    assert!(history.jobs("CreateNode") > 2.5, "{}", history.jobs("CreateNode"));
}

#[tokio::test]
async fn a_wait_that_cannot_be_read_does_not_stop_the_others() {
    let bed = TestBed::new(&[SUCCESS]).await;
    for job in ["a", "b"] {
        bed.store.watch(&key(job), &Watch::new()).await.unwrap();
    }
    let mut transaction = bed.store.database.begin().await.unwrap();
    let saved = transaction.row("SELECT wait FROM cce_waits WHERE key = 'p:a'", &[]).await.unwrap();
    let saved = saved.unwrap().text("wait").unwrap();
    let update = "UPDATE cce_waits SET wait = $1 WHERE key = 'p:a'";
    transaction.execute(update, &[r#"{"version": 99}"#.into()]).await.unwrap();
    transaction.commit().await.unwrap();
    bed.run_until(30).await;
    assert_eq!(outcome(&bed.store, "b").await.as_deref(), Some("succeeded"));
    assert_eq!(status(&bed.store, "a").await.state, WaitStateLabel::Unreadable);
    assert_eq!(bed.store.list(&crate::ListQuery::new().active()).await.unwrap().waits.len(), 1);
    let error = bed.store.watch(&key("a"), &Watch::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot read the column wait");
    // A program that can read it goes on.
    let mut transaction = bed.store.database.begin().await.unwrap();
    transaction.execute(update, &[(&saved).into()]).await.unwrap();
    transaction.commit().await.unwrap();
    bed.run_until(100).await;
    assert_eq!(outcome(&bed.store, "a").await.as_deref(), Some("succeeded"));
}

/// Counts what it receives: starts, attempts, ends, and states of the budget.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<[usize; 4]>>);

impl Observer for Counter {
    fn wait_started(&self, _: &WaitStarted) {
        self.0.lock().unwrap()[0] += 1;
    }

    fn attempt_finished(&self, _: &AttemptFinished) {
        self.0.lock().unwrap()[1] += 1;
    }

    fn wait_finished(&self, _: &WaitFinished) {
        self.0.lock().unwrap()[2] += 1;
    }

    fn budget_changed(&self, budget: &BudgetStatus) {
        assert_eq!(budget.requests_per_second, 50.0);
        self.0.lock().unwrap()[3] += 1;
    }
}

#[tokio::test]
async fn an_observer_receives_each_start_attempt_and_end() {
    let mut bed = TestBed::new(&[RUNNING, RUNNING, RUNNING, SUCCESS]).await;
    let counter = Counter::default();
    bed.worker = bed.worker.observer(counter.clone());
    for job in ["a", "b"] {
        bed.store.watch(&key(job), &Watch::new()).await.unwrap();
    }
    bed.run_until(60).await;
    let [started, attempts, finished, budget] = *counter.0.lock().unwrap();
    assert_eq!((started, attempts, finished), (2, bed.cloud.requests().len(), 2));
    assert!((5..=60).contains(&budget), "{budget}");
}

/// Drives a machine without a store: what a store must do as well.
async fn drive(
    machine: Machine,
    schedule: &dyn Schedule,
    replies: &[Reply],
) -> (Vec<Duration>, String) {
    let clock = TestClock::default();
    let cloud = Cloud::new(&clock, replies);
    let client = cloud.client().project(key("a").project);
    let (mut machine, mut input) = (machine, Input::Wake);
    loop {
        let action = machine.step(schedule, clock.monotonic(), input).action;
        input = match action {
            Action::Fetch { id, timeout, last } => {
                client.clone().attempt_timeout(timeout).job_since(&id, last.as_ref()).await.into()
            }
            Action::FetchObject { id, timeout } => {
                client.clone().attempt_timeout(timeout).object(&id).await.into()
            }
            Action::SleepUntil(at) => {
                clock.advance(at.saturating_sub(clock.monotonic()));
                Input::Wake
            }
            Action::Finish(result) => {
                let result = job_poller::durable::StoredResult::new(&key("a"), &result);
                return (cloud.requests(), result.outcome);
            }
        };
    }
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        6 => Just(RUNNING),
        1 => Just(SUCCESS),
        1 => Just(FAILED),
        1 => Just(Reply::Body(r#"{"status": {"phase": "Success"}, "spec": {"subJobs": [{"status": {"phase": "Running"}}]}}"#)),
        1 => Just(Reply::Body("not json")),
        1 => Just(Reply::Body(r#"{"metadata": {"uid": "other"}, "status": {"phase": "Running"}}"#)),
        2 => Just(Reply::Lost),
        1 => (prop_oneof![Just(404), Just(403), Just(500), Just(503)]).prop_map(|status| Reply::Status(status, None)),
        1 => (1_u32..100).prop_map(|seconds| Reply::Status(429, Some(seconds))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The machine is compared with a reference model in job-poller. A wait in a store must make the
    /// same requests at the same times, and have the same outcome.
    #[test]
    fn a_stored_wait_does_what_a_machine_in_memory_does(replies in vec(reply(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut bed = TestBed::new(&replies).await;
            bed.worker = bed.worker.requests_per_second(1e6).max_in_flight(1000);
            let minutes = WaitPolicy::new().timeout(Duration::from_secs(300));
            bed.store.watch(&key("a"), &Watch::new().policy(minutes)).await.unwrap();
            let mut transaction = bed.store.database.begin().await.unwrap();
            let row = WaitRow::lock(&mut transaction, &key("a")).await.unwrap().unwrap();
            drop(transaction);
            let WaitState::Active(wait, _) = row.state else { panic!("it is active") };
            let machine = wait.checkpoint().machine().clone();
            let (requests, expected) = drive(machine, &Adaptive::new(), &replies).await;
            bed.run_until(400).await;
            assert_eq!(outcome(&bed.store, "a").await, Some(expected));
            let stored = bed.cloud.requests();
            assert_eq!(stored.len(), requests.len());
            // Times in the database are rounded up to microseconds.
            let most = Duration::from_millis(1);
            let is_close = |(a, b): (&Duration, &Duration)| a.abs_diff(*b) <= most;
            assert!(stored.iter().zip(&requests).all(is_close), "{stored:?} {requests:?}");
        });
    }
}

//! Tests waits from their start to their notification, on SQLite in memory and a clock that the test
//! sets.

mod budget;
mod deliveries;
mod leases;
mod lists;
mod machine;
mod projects;

use std::{collections::HashSet, sync::Mutex};

use job_poller::{
    WaitPolicy,
    observer::{AttemptFinished, BudgetStatus, WaitFinished, WaitStarted},
    schedule::History,
};

use super::*;
use crate::{
    Store, StoreError, WaitStateLabel, WaitStatus, Watch,
    testing::{FAILED, RUNNING, Reply, SUCCESS, TestBed, key},
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
    assert_eq!(overdue.waits.len(), 0);
    let (active, unused) = ("q:a".parse().unwrap(), "unused".parse().unwrap());
    bed.store.watch(&active, &Watch::new()).await.unwrap();
    bed.store.pause(&unused).await.unwrap();
    let paused = bed.store.paused_projects().await.unwrap();
    assert_eq!(paused, HashSet::from([project.clone(), unused.clone()]));
    for project in [&project, &unused] {
        bed.store.resume(project).await.unwrap();
    }
    assert!(bed.store.paused_projects().await.unwrap().is_empty());
    bed.run_until(301).await;
    assert_eq!(bed.cloud.requests().len(), 3);
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
    let message = display_chain(&error).to_string();
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

#[tokio::test]
async fn workers_learn_from_the_jobs_that_ended() {
    /// A node that is created at `began`, and is last updated some seconds later.
    fn job(phase: &str, began: Timestamp, seconds: u64) -> Reply {
        let time = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%S +0000 UTC");
        let (created_at, updated_at) = (time(began), time(began + Duration::from_secs(seconds)));
        let body = format!(
            r#"{{"metadata": {{"creationTimestamp": "{created_at}", "updateTimestamp": "{updated_at}"}},
                "spec": {{"type": "CreateNode", "resourceName": "n1"}}, "status": {{"phase": "{phase}"}}}}"#
        );
        Reply::Body(body.leak())
    }
    let bed = TestBed::new(&[RUNNING]).await;
    for number in 0..4 {
        let began = bed.clock.now();
        bed.cloud.set(&[job("Running", began, 0)]);
        bed.store.watch(&key(&format!("j{number}")), &Watch::new()).await.unwrap();
        bed.run_until(100 * number + 40).await;
        bed.cloud.set(&[job("Success", began, 40)]);
        bed.run_until(100 * (number + 1)).await;
    }
    let mut transaction = bed.store.database.begin_read().await.unwrap();
    let sql = "SELECT history FROM cce_history WHERE endpoint = 'cce.example'";
    let row = transaction.row(sql, &[]).await.unwrap().unwrap();
    let history: History = row.json("history").unwrap().unwrap();
    assert!(history.jobs("CreateNode") > 3.0, "{}", history.jobs("CreateNode"));
    drop(transaction);
    // By now enough is known to expect the end of the next job.
    bed.run_until(500).await;
    let began = bed.clock.now();
    bed.cloud.set(&[job("Running", began, 0)]);
    bed.store.watch(&key("next"), &Watch::new()).await.unwrap();
    bed.worker.run_once().await;
    let active = status(&bed.store, "next").await.active.unwrap();
    assert_eq!(active.name.as_deref(), Some("n1"));
    assert_eq!(active.progress.map(|progress| progress.total), Some(1));
    assert_eq!(active.began_at.map(|at| at.as_second()), Some(began.as_second()));
    let left = active.expected_end_at.unwrap().duration_since(began).as_secs();
    assert!((30..=55).contains(&left), "the other jobs took 40 s, and this one {left} s");
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

#[tokio::test]
async fn the_job_as_last_read_is_kept_with_its_wait() {
    let rows = [
        (vec![], false, None),
        (vec![Reply::Status(404, None)], false, None),
        (vec![RUNNING], false, Some("Running")),
        (vec![RUNNING], true, Some("Running")),
        (vec![RUNNING, SUCCESS], false, Some("Success")),
        (vec![Reply::Status(404, None)], true, None),
    ];
    for (replies, is_canceled, expected) in rows {
        let bed = TestBed::new(&replies).await;
        assert!(bed.store.job(&key("a")).await.unwrap().is_none(), "no wait is stored");
        bed.store.watch(&key("a"), &Watch::new()).await.unwrap();
        if !replies.is_empty() {
            bed.run_until(100).await;
        }
        if is_canceled {
            bed.store.cancel(&key("a")).await.unwrap();
        }
        let job = bed.store.job(&key("a")).await.unwrap();
        let phase = job.and_then(|job| job.phase().map(ToString::to_string));
        assert_eq!(phase.as_deref(), expected, "{replies:?} {is_canceled}");
    }
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
    bed.worker = bed.worker.observer(counter.clone()).read_lists_of_jobs(false);
    for job in ["a", "b"] {
        bed.store.watch(&key(job), &Watch::new()).await.unwrap();
    }
    bed.run_until(60).await;
    let [started, attempts, finished, budget] = *counter.0.lock().unwrap();
    assert_eq!((started, attempts, finished), (2, bed.cloud.requests().len(), 2));
    assert!((5..=60).contains(&budget), "{budget}");
}

//! Tests the summary of a store, and the changes of its waits.

use std::collections::HashSet;

use job_notify::NotifierError;
use job_poller::WaitPolicy;

use super::*;
use crate::{
    ListQuery, Watch,
    testing::{FAILED, RUNNING, SUCCESS, TestBed, key},
};

#[tokio::test]
async fn a_summary_counts_waits_by_their_state() {
    let bed = TestBed::new(&[SUCCESS]).await;
    let webhook = Watch::new().notify("https://a.example").enqueue("q");
    *bed.receivers.error.lock().unwrap() = Some(NotifierError::permanent("410"));
    bed.store.watch(&key("succeeded"), &webhook).await.unwrap();
    bed.run_until(10).await;
    *bed.receivers.error.lock().unwrap() = Some(NotifierError::transient("503"));
    bed.cloud.set(&[FAILED]);
    bed.store.watch(&key("failed"), &webhook).await.unwrap();
    bed.run_until(20).await;
    bed.cloud.set(&[RUNNING]);
    bed.store.watch(&key("canceled"), &Watch::new()).await.unwrap();
    bed.store.cancel(&key("canceled")).await.unwrap();
    let second = Watch::new().policy(WaitPolicy::new().timeout(Duration::from_secs(1)));
    bed.store.watch(&key("late"), &second).await.unwrap();
    bed.store.watch(&key("active"), &Watch::new()).await.unwrap();
    bed.run_until(30).await;
    let other = "q:paused".parse().unwrap();
    bed.store.watch(&other, &Watch::new()).await.unwrap();
    bed.store.pause(&other.project).await.unwrap();
    let summary = bed.store.summary().await.unwrap();
    let expected =
        WaitCounts { active: 2, paused: 1, overdue: 0, succeeded: 1, failed: 1, stopped: 2 };
    assert_eq!(summary.waits, expected);
    let expected_notifications =
        NotificationCounts { pending: 1, retrying: 1, failed: 1, queued: 2 };
    assert_eq!(summary.notifications, expected_notifications);
    let budget = summary.budget;
    assert_eq!((budget.queued, budget.in_flight, budget.requests_per_second), (0, 0, 50.0));
    // The first try of a delivery is in progress, or has not begun.
    bed.store.watch(&key("succeeded"), &Watch::new().notify("https://b.example")).await.unwrap();
    let summary = bed.store.summary().await.unwrap();
    let expected_notifications = NotificationCounts { pending: 2, ..expected_notifications };
    assert_eq!(summary.notifications, expected_notifications);
    // No worker runs for three minutes. The wait of the paused project is not overdue.
    bed.clock.advance(Duration::from_secs(180));
    let summary = bed.store.summary().await.unwrap();
    assert_eq!(summary.waits, WaitCounts { overdue: 1, ..expected });
    let page = bed.store.list(&ListQuery::new().overdue()).await.unwrap();
    assert_eq!(page.waits.len(), 1);
    assert_eq!(summary.budget.queued, 1);
    let text = serde_json::to_string(&summary).unwrap();
    assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary);
}

#[tokio::test]
async fn a_wait_whose_objects_are_gone_failed_if_they_should_be_ready() {
    let bed = TestBed::new(&[SUCCESS]).await;
    bed.store.watch(&key("a"), &Watch::new()).await.unwrap();
    bed.run_until(10).await;
    let mut transaction = bed.store.database.begin_read().await.unwrap();
    let row = transaction.row("SELECT is_success FROM cce_waits", &[]).await.unwrap().unwrap();
    assert_eq!(row.opt_int("is_success").unwrap(), Some(1), "it is stored, and not derived");
    drop(transaction);
    for (is_success, succeeded, failed) in [(true, 1, 0), (false, 0, 1)] {
        let mut transaction = bed.store.database.begin().await.unwrap();
        let sql = "UPDATE cce_waits SET outcome = 'gone', is_success = $1";
        transaction.execute(sql, &[is_success.into()]).await.unwrap();
        transaction.commit().await.unwrap();
        let counts = bed.store.summary().await.unwrap().waits;
        assert_eq!((counts.succeeded, counts.failed), (succeeded, failed));
        let page = bed.store.list(&ListQuery::new().failed()).await.unwrap();
        assert_eq!(page.waits.len(), failed);
        let result = bed.store.get(&key("a")).await.unwrap().unwrap().result.unwrap();
        assert_eq!((&*result.outcome, result.is_success), ("gone", is_success));
    }
}

/// Reads all changes from `cursor` on.
async fn read_changes(bed: &TestBed, cursor: &mut ChangeCursor) -> (Vec<String>, usize) {
    let (mut keys, mut calls) = (Vec::new(), 0);
    loop {
        let changes = bed.store.changes(cursor).await.unwrap();
        calls += 1;
        keys.extend(changes.waits.iter().map(|wait| wait.key.to_string()));
        *cursor = changes.next;
        if !changes.has_more {
            return (keys, calls);
        }
    }
}

#[tokio::test]
async fn changes_are_returned_once_they_are_settled() {
    let bed = TestBed::new(&[RUNNING]).await;
    // More than one call returns, with the same time.
    for number in 0..1500 {
        bed.store.watch(&key(&format!("j{number}")), &Watch::new()).await.unwrap();
    }
    let mut cursor = ChangeCursor::default();
    let (keys, calls) = read_changes(&bed, &mut cursor).await;
    assert_eq!((keys.len(), calls), (1500, 2));
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 1500);
    bed.clock.advance(Duration::from_secs(10));
    read_changes(&bed, &mut cursor).await;
    let changes: [(&str, &[&str]); 4] = [
        ("hint", &["p:j1"]),
        ("cancel", &["p:j1", "p:j2"]),
        ("nothing, for 10 s", &["p:j1", "p:j2"]),
        ("nothing", &[]),
    ];
    for (what, expected) in changes {
        match what {
            "hint" => drop(bed.store.hint(&key("j1")).await.unwrap()),
            "cancel" => drop(bed.store.cancel(&key("j2")).await.unwrap()),
            _ => {}
        }
        bed.clock.advance(Duration::from_secs(1));
        let (keys, _) = read_changes(&bed, &mut cursor).await;
        assert_eq!(keys, expected, "{what}");
        if what == "nothing, for 10 s" {
            bed.clock.advance(Duration::from_secs(10));
            read_changes(&bed, &mut cursor).await;
        }
    }
    bed.store.pause(&key("j1").project).await.unwrap();
    assert_eq!(read_changes(&bed, &mut cursor).await.0.len(), 1499);
}

//! Tests what happens after a worker was killed.

use super::*;

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
async fn what_a_killed_process_was_doing_is_repeated_at_once_if_its_leases_are_released() {
    let bed = TestBed::new(&[SUCCESS]).await;
    let watch = Watch::new().notify("https://a.example");
    // The process is killed during a delivery, an attempt, and the reading of a list.
    bed.store.watch(&key("ended"), &watch).await.unwrap();
    for wait in bed.worker.claim().await.unwrap().waits {
        bed.worker.attempt(wait).await;
    }
    assert_eq!(bed.store.due_notifications(1).await.unwrap().len(), 1);
    bed.store.watch(&key("active"), &watch).await.unwrap();
    assert_eq!(bed.worker.claim().await.unwrap().waits.len(), 1);
    let mut transaction = bed.store.database.begin().await.unwrap();
    let lease = bed.clock.now() + Duration::from_secs(15);
    let sql = "INSERT INTO cce_lists (project, due, lease) VALUES ('p', $1, $1)";
    transaction.execute(sql, &[lease.into()]).await.unwrap();
    transaction.commit().await.unwrap();

    for (is_released, in_flight, delivered) in [(false, 2, 0), (true, 0, 2)] {
        if is_released {
            bed.store.release_leases().await.unwrap();
        }
        let budget = bed.store.summary().await.unwrap().budget;
        assert_eq!(budget.in_flight, in_flight);
        bed.run_until(if is_released { 4 } else { 2 }).await;
        assert_eq!(bed.receivers.delivered.lock().unwrap().len(), delivered, "{is_released}");
    }
}

//! Tests how waits share the request budget.

use super::*;
use crate::ListQuery;

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
    let mut query = ListQuery::new().limit(7);
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

/// 60 jobs at one request per second, so each is read once in a minute, on average 30 s after its end.
/// A list shows which have ended.
#[tokio::test]
async fn lists_show_which_jobs_to_read_next() {
    // The status of the list, by how much the ends may be read late on average, and how often the
    // list is read.
    for (status, most_late, lists) in [(200, 12, 20..=50), (403, 62, 2..=4)] {
        let mut bed = TestBed::new(&[Reply::EndsAt(300)]).await;
        bed.cloud.set_list(status);
        bed.worker = bed.worker.requests_per_second(1.0);
        for number in 0..60 {
            bed.store.watch(&key(&format!("j{number}")), &Watch::new()).await.unwrap();
        }
        bed.run_until(400).await;
        let finished = bed.store.list(&ListQuery::new().finished()).await.unwrap().waits;
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

/// A gateway states a limit of 200 requests in five minutes, so 180 are sent. They are spread.
#[tokio::test]
async fn early_attempts_do_not_use_up_a_stated_quota() {
    let mut bed = TestBed::new(&[Reply::Quota, RUNNING]).await;
    bed.worker = bed.worker.read_lists_of_jobs(false);
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

#[tokio::test]
async fn throttling_pauses_all_waits() {
    let mut bed = TestBed::new(&[Reply::Status(429, Some(60)), RUNNING]).await;
    bed.worker = bed.worker.read_lists_of_jobs(false);
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

//! Hints: how soon a hinted job is read, and what hints cost the other jobs.

use super::{
    list_service::{List, ListService},
    *,
};

#[tokio::test(start_paused = true)]
async fn a_hint_reads_the_job_at_once_but_at_most_every_two_seconds() {
    let service = ListService::new(List::Right, [300]);
    // Without hints, no reading is near the end of the job.
    let fleet = Fleet::builder(service.clone())
        .list_reads(ListReads::off())
        .schedule(Fixed::new(60 * SECOND))
        .start();
    let id = service.ids().remove(0);
    let watch = fleet.watch(id.clone());
    sleep_for(10 * SECOND).await;
    let before = service.requests(Some(0)).len();
    // 1,000 hints a second for 20 s.
    for _ in 0..20_000 {
        assert!(fleet.hint(&id));
        sleep_for(SECOND / 1_000).await;
    }
    let hinted = service.requests(Some(0)).len() - before;
    assert!((9..=11).contains(&hinted), "{hinted}");
    // The job ends, and a hint announces it one second later.
    sleep_for(271 * SECOND).await;
    assert!(fleet.hint(&id));
    let finished = watch.await.unwrap();
    assert_eq!(finished.outcome, Outcome::Succeeded);
    let last = *service.requests(Some(0)).last().unwrap();
    assert!((300.0..=301.1).contains(&last), "{last}");
    assert!(!fleet.hint(&id), "the wait is over");
}

#[tokio::test(start_paused = true)]
async fn false_hints_keep_the_budget() {
    let service = ListService::new(List::Right, (0..100).map(|_| 600));
    let fleet = Fleet::builder(service.clone())
        .list_reads(ListReads::off())
        .requests_per_second(5.0)
        .start();
    let ids = service.ids();
    let watches: Vec<_> = ids.iter().map(|id| fleet.watch(id.clone())).collect();
    for number in 0..300_000 {
        fleet.hint(&ids[number % ids.len()]);
        sleep_for(SECOND / 1_000).await;
    }
    let sent = service.requests.lock().unwrap().len();
    assert!(sent <= 5 * 300 + 1, "{sent}");
    for result in join_all(watches).await {
        result.unwrap().into_success().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn hints_that_announce_all_ends_make_readings_rare_until_one_is_missing() {
    let service = ListService::new(List::Right, (1..=40).map(|number| number * 100));
    let fleet = Fleet::builder(service.clone())
        .list_reads(ListReads::off())
        .policy(WaitPolicy::new().no_timeout())
        .start();
    let watches: Vec<_> = service.ids().into_iter().map(|id| fleet.watch(id)).collect();
    let readings_until = |second: u64| {
        let requests = service.requests.lock().unwrap();
        requests.iter().filter(|(at, _)| at.as_secs() < second).count()
    };
    // The end of the job after the thirtieth is not announced.
    for (number, id) in service.ids().iter().enumerate() {
        let end = 100 * (number as u64 + 1) + 1;
        sleep_for(Duration::from_secs(end).saturating_sub(service.began.elapsed())).await;
        if number != 30 {
            fleet.hint(id);
        }
    }
    for result in join_all(watches).await {
        result.unwrap().into_success().unwrap();
    }
    let per_job_and_second = |from: u64, to: u64, jobs: usize| {
        let readings = readings_until(to) - readings_until(from);
        readings as f64 / (to - from) as f64 / jobs as f64
    };
    let before = per_job_and_second(0, 900, 35);
    let trusted = per_job_and_second(2_000, 3_000, 15);
    let after = per_job_and_second(3_500, 4_000, 3);
    assert!(trusted * 2.0 < before && trusted * 1.5 < after, "{before} {trusted} {after}");
}

#[tokio::test(start_paused = true)]
async fn hinted_jobs_starve_no_other_job() {
    let service = ListService::new(List::Right, (0..400).map(|_| 5_000));
    let fleet = Fleet::builder(service.clone())
        .list_reads(ListReads::off())
        .requests_per_second(20.0)
        .policy(WaitPolicy::new().no_timeout())
        .start();
    let ids = service.ids();
    let _watches: Vec<_> = ids.iter().map(|id| fleet.watch(id.clone())).collect();
    // 100 of the jobs are hinted all the time. They alone would use up the budget.
    for number in 0..3_000 {
        for id in &ids[..100] {
            fleet.hint(id);
        }
        sleep_for(SECOND / 10).await;
        assert_eq!(fleet.stats().jobs, 400, "{number}");
    }
    for number in [0, 99, 100, 250, 399] {
        let last = service.requests(Some(number)).last().copied().unwrap();
        let max_gap = service.max_gap(Some(number)).max(300.0 - last);
        // Twice the gap of polling in turn, or the longest delay.
        assert!(max_gap <= 61.0, "{number}: {max_gap}");
    }
}

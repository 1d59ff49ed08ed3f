//! Lists of jobs: when a fleet reads them, and what it makes of rows that are wrong.

#[path = "../../benches/common/date_header.rs"]
pub(super) mod date_header;
#[path = "../../benches/lists/random_lists.rs"]
mod random_lists;

use job_model::HumanDuration;
use proptest::prelude::*;

use super::{
    list_service::{List, ListService, one_after_the_other, run},
    *,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_list_that_is_wrong_changes_no_outcome_and_hides_no_end_for_long(seed: u64) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        let result = runtime.block_on(random_lists::check_random_lists(seed));
        prop_assert_eq!(result, Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_fresh_replaces_most_readings() {
    let service = ListService::new(List::Right, one_after_the_other());
    let fleet = Fleet::builder(service.clone()).start();
    let events = run(&service, &fleet).await;
    let stats = fleet.stats();
    assert_eq!((stats.list_suspensions, stats.lists), (0, service.requests(None).len() as u64));

    let alone = ListService::new(List::Right, one_after_the_other());
    let fleet = Fleet::builder(alone.clone()).list_reads(ListReads::off()).start();
    run(&alone, &fleet).await;
    assert_eq!(alone.requests(None).len(), 0);
    // After the first ends have proven it, the jobs themselves are read much less often.
    let readings = |of: &ListService| {
        let requests = of.requests.lock().unwrap();
        requests.iter().filter(|(at, job)| *at > 500 * SECOND && job.is_some()).count()
    };
    let (with_list, alone) = (readings(&service), readings(&alone));
    assert!(with_list * 3 < alone, "{with_list} {alone}");

    // The list showed most ends before the jobs were read.
    let announced = events.iter().filter(|(_, event)| *event == Event::ListedEnded).count();
    assert!((20..=30).contains(&announced), "{announced}");
    // The last job is read at least every 300 s while the list covers it.
    let max_gap = service.max_gap(Some(29));
    assert!((100.0..=301.0).contains(&max_gap), "{max_gap}");
    let is_listed =
        |event: &Event| matches!(event, Event::NextAttempt { reason: AttemptReason::Listed, .. });
    assert!(events.iter().any(|(_, event)| is_listed(event)));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_is_suspended_for_a_time_that_grows() {
    let rows = [
        (List::Status(403), "the list of jobs was refused"),
        (List::Status(404), "the list of jobs was refused"),
        (List::Status(405), "the list of jobs was refused"),
        (List::Status(500), "the list of jobs could not be read"),
        (List::Garbage, "the list of jobs could not be read"),
        (List::Slow, "the list of jobs took longer than 5s"),
        (List::Large((4 << 20) + 1), "the list of jobs is larger than 4 MiB"),
        (List::Lag(20), "the list of jobs is stale"),
        (List::Lag(300), "the list of jobs is stale"),
    ];
    for (list, expected) in rows {
        let service = ListService::new(list, one_after_the_other());
        let fleet = Fleet::builder(service.clone()).start();
        let events = run(&service, &fleet).await;
        let suspensions = events.iter().filter_map(|(_, event)| match event {
            Event::ListSuspended { length, .. } => Some((length.as_secs(), event.to_string())),
            _ => None,
        });
        let suspensions: Vec<_> = suspensions.collect();
        assert_eq!(fleet.stats().list_suspensions, suspensions.len() as u64, "{list:?}");
        let lengths: Vec<u64> = suspensions.iter().map(|(length, _)| *length).collect();
        assert!(lengths.len() >= 2, "{list:?} {lengths:?}");
        assert!(lengths.windows(2).all(|pair| pair[1] == (2 * pair[0]).min(3600)), "{lengths:?}");
        for (length, text) in suspensions {
            let length = HumanDuration(Duration::from_secs(length));
            let expected = format!("{expected}; reading each job by itself for {length}");
            assert_eq!(text, expected);
        }
        let (lists, all) = (service.requests(None).len(), service.requests.lock().unwrap().len());
        assert!(lists * 20 <= all, "{list:?} {lists} {all}");
        let max_gap = service.max_gap(Some(29));
        assert!(max_gap <= 61.0, "{list:?} {max_gap}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_missing_from_the_list_is_read_alone() {
    let ends_at = [2_900].into_iter().chain(one_after_the_other());
    let service = ListService::new(List::FirstMissing, ends_at);
    let fleet = Fleet::builder(service.clone()).start();
    run(&service, &fleet).await;
    let [missing, listed] = [0, 30].map(|job| service.requests(Some(job)).len());
    assert!(service.max_gap(Some(0)) <= 61.0);
    assert!(listed * 2 < missing, "{listed} {missing}");
}

#[tokio::test(start_paused = true)]
async fn lists_do_not_exceed_their_bytes_per_second() {
    let large = List::Large(1 << 20);
    let rows = [(ListReads::new(), 4.0), (ListReads::new().bytes_per_second(64 << 10), 16.0)];
    for (list_reads, min_gap) in rows {
        let service = ListService::new(large, one_after_the_other());
        let fleet = Fleet::builder(service.clone()).list_reads(list_reads).start();
        run(&service, &fleet).await;
        let requests = service.requests(None);
        assert!(requests.len() > 20);
        let smallest = requests.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::MAX, f64::min);
        assert!(smallest >= min_gap - 0.001, "{smallest}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_job_needs_no_list() {
    let mut history = History::new();
    let observation = job_poller::schedule::JobObservation::new(
        "CreateCluster",
        Duration::ZERO,
        500 * SECOND,
        true,
    );
    (0..10).for_each(|_| history.record(&observation));
    let service = ListService::new(List::Right, [500]);
    let fleet = Fleet::builder(service.clone()).adaptive(Adaptive::new(), history).start();
    run(&service, &fleet).await;
    assert_eq!(service.requests(None).len(), 0);
}

/// The first list has the durations of jobs that ended before.
#[tokio::test(start_paused = true)]
async fn a_fleet_without_a_history_learns_from_the_first_list() {
    let earlier = (0..20).map(|number| 500 + number);
    let service = ListService::with_earlier(List::Right, [512], earlier);
    let fleet = Fleet::builder(service.clone()).start();
    run(&service, &fleet).await;
    assert_eq!(service.requests(None).len(), 1);
    assert!(fleet.history().jobs("CreateCluster") > 10.0);
    // Most requests are made around the time at which the other jobs ended.
    let requests = service.requests(Some(0));
    let before = requests.iter().filter(|at| **at < 400.0).count();
    assert!(before <= 16, "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_misses_many_changes_at_once_is_suspended_once() {
    // The first jobs prove the list. The rows of the last ones then show their ends too late, in most
    // runs all at once.
    let late: Vec<u64> = (1..=10).map(|number| number * 100).chain([1_500; 20]).collect();
    let rows = [(List::Lag(300), vec![500; 20])].into_iter();
    let mut counts = Vec::new();
    for (list, ends_at) in rows.chain(std::iter::repeat_n((List::LagLater(6), late), 8)) {
        let service = ListService::new(list, ends_at);
        let fleet = Fleet::builder(service.clone()).start();
        let events = run(&service, &fleet).await;
        let is_suspended = |event: &Event| matches!(event, Event::ListSuspended { .. });
        counts.push(events.iter().filter(|(_, event)| is_suspended(event)).count());
    }
    assert!(counts.iter().all(|count| *count <= 1) && counts[0] == 1, "{counts:?}");
    assert!(counts[1..].contains(&1), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_resumed_wait_does_not_make_a_right_list_stale() {
    let service = ListService::new(List::Right, one_after_the_other());
    let fleet = Fleet::builder(service.clone()).start();
    // Some of the jobs end while nobody watches them, and the list is read for the others meanwhile.
    let ids = service.ids();
    let (unwatched, watched) = (&ids[20..24], ids[..20].iter().chain(&ids[24..]));
    let watches: Vec<_> = watched.map(|id| fleet.watch(id.clone())).collect();
    let stopped: Vec<_> = unwatched.iter().map(|id| fleet.watch(id.clone())).collect();
    sleep_for(2_050 * SECOND).await;
    let checkpoints: Vec<Checkpoint> =
        fleet.checkpoints().filter(|one| unwatched.contains(one.job_id())).collect();
    assert_eq!(checkpoints.len(), 4);
    drop(stopped);
    // Their planned attempts are overdue by then.
    sleep_for(400 * SECOND).await;
    let resumed: Vec<_> = checkpoints.into_iter().map(|one| fleet.resume(one)).collect();
    for result in join_all(watches.into_iter().chain(resumed)).await {
        result.unwrap().into_success().unwrap();
    }
    assert_eq!(fleet.stats().list_suspensions, 0);
}

/// The rows of jobs that the fleet has watched show their ends, too.
#[tokio::test(start_paused = true)]
async fn a_watched_job_is_learned_from_once() {
    let ends_at = (0..10).map(|number| 500 + number).chain([1_500, 1_600]);
    let service = ListService::new(List::Right, ends_at);
    let fleet = Fleet::builder(service.clone()).start();
    run(&service, &fleet).await;
    assert!(fleet.stats().lists > 20, "{:?}", fleet.stats());
    let jobs = fleet.history().jobs("CreateCluster");
    // Earlier jobs count less. If all counted twice, this would be 15.
    assert!((9.0..=10.0).contains(&jobs), "{jobs}");
}

//! Lists of jobs: when a fleet reads them, and what it makes of rows that are wrong.

#[path = "../../benches/common/date_header.rs"]
mod date_header;
#[path = "../../benches/lists/random_lists.rs"]
mod random_lists;

use std::sync::Mutex;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Response, StatusCode, header::DATE};
use jiff::{SignedDuration, Timestamp};
use job_poller::{
    fleet::ListReads,
    source::{JobSource, ListId},
};
use job_transport::{FetchError, ListReading, Reading};
use proptest::prelude::*;
use tokio::time::Instant;

use super::*;

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

/// How the list of the service replies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum List {
    Right,
    Status(u16),
    Garbage,
    Slow,
    /// The body has this many bytes.
    Large(usize),
    /// The rows show the jobs as they were this many seconds ago.
    Lag(u64),
    /// The same, but only after 1,100 s.
    LagLater(u64),
    /// The row of the first job is missing.
    FirstMissing,
}

/// A service whose jobs run for some seconds.
struct ListService {
    began: Instant,
    list: List,
    /// When each job ends, in seconds.
    ends_at: Vec<u64>,
    /// Jobs that ended before the fleet was started, and how long each took, in seconds.
    earlier: Vec<u64>,
    requests: Mutex<Vec<(Duration, Option<usize>)>>,
}

const START: Timestamp = Timestamp::constant(1_767_225_600, 0);

impl ListService {
    fn new(list: List, ends_at: impl IntoIterator<Item = u64>) -> Arc<Self> {
        Self::with_earlier(list, ends_at, [])
    }

    fn with_earlier(
        list: List,
        ends_at: impl IntoIterator<Item = u64>,
        earlier: impl IntoIterator<Item = u64>,
    ) -> Arc<Self> {
        #[expect(clippy::disallowed_methods, reason = "the paused clock")]
        let began = Instant::now();
        let (ends_at, earlier) = (ends_at.into_iter().collect(), earlier.into_iter().collect());
        Arc::new(Self { began, list, ends_at, earlier, requests: Mutex::default() })
    }

    fn ids(&self) -> Vec<JobId> {
        (0..self.ends_at.len()).map(|number| format!("job-{number}").parse().unwrap()).collect()
    }

    /// Returns the times of the requests: of a job, or of the list.
    fn requests(&self, of: Option<usize>) -> Vec<f64> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|(_, job)| *job == of).map(|(at, _)| at.as_secs_f64()).collect()
    }

    /// Returns the longest time between two requests of a job.
    fn max_gap(&self, of: Option<usize>) -> f64 {
        self.requests(of).windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max)
    }

    fn job(&self, number: usize, at: Duration) -> (&'static str, Timestamp) {
        let end = Duration::from_secs(self.ends_at[number]);
        if end <= at { ("Success", time(end)) } else { ("Running", START) }
    }

    fn row(&self, number: usize, at: Duration) -> String {
        let (phase, updated) = self.job(number, at);
        format!(
            r#"{{"metadata":{{"uid":"job-{number}","creationTimestamp":"{START}","updateTimestamp":"{updated}"}},"spec":{{"type":"CreateCluster"}},"status":{{"status":"{phase}"}}}}"#
        )
    }

    fn list_body(&self, now: Duration) -> String {
        let lag = match self.list {
            List::Lag(seconds) => seconds,
            List::LagLater(seconds) if now > 1_100 * SECOND => seconds,
            _ => 0,
        };
        let first = usize::from(self.list == List::FirstMissing);
        let at = now.saturating_sub(Duration::from_secs(lag));
        let rows = (first..self.ends_at.len()).map(|number| self.row(number, at));
        let earlier = self.earlier.iter().enumerate().map(|(number, took)| {
            let created = START - SignedDuration::from_hours(10);
            let ended = created + SignedDuration::from_secs((*took).try_into().unwrap());
            format!(
                r#"{{"metadata":{{"uid":"earlier-{number}","creationTimestamp":"{created}","updateTimestamp":"{ended}"}},"spec":{{"type":"CreateCluster"}},"status":{{"status":"Success","completionTime":"{ended}"}}}}"#
            )
        });
        let body = format!("[{}]", rows.chain(earlier).collect::<Vec<_>>().join(","));
        match self.list {
            List::Garbage => "{}".into(),
            List::Large(bytes) => format!("{body}{}", " ".repeat(bytes - body.len())),
            _ => body,
        }
    }
}

fn time(at: Duration) -> Timestamp {
    START + SignedDuration::try_from(at).unwrap()
}

fn dated(body: String, now: Duration) -> Response<Bytes> {
    let reply = Response::builder().header(DATE, date_header::date_header(time(now)));
    reply.body(Bytes::from(body)).unwrap()
}

impl JobSource for ListService {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        let (now, number) = (self.began.elapsed(), id.as_str()[4..].parse().unwrap());
        self.requests.lock().unwrap().push((now, Some(number)));
        let body = self.row(number, now).replace(r#""status":"#, r#""phase":"#);
        let body = body.replacen(r#""phase":{"phase""#, r#""status":{"phase""#, 1);
        Box::pin(async move { Reading::from_response(dated(body, now)) })
    }

    fn list_of(&self, _: &JobId) -> Option<ListId> {
        Some(ListId::default())
    }

    fn fetch_list(&self, _: ListId) -> BoxFuture<'_, Result<ListReading, FetchError>> {
        let now = self.began.elapsed();
        self.requests.lock().unwrap().push((now, None));
        Box::pin(async move {
            if self.list == List::Slow {
                sleep_for(6 * SECOND).await;
            }
            let mut reply = dated(self.list_body(now), now);
            if let List::Status(status) = self.list {
                *reply.status_mut() = StatusCode::from_u16(status).unwrap();
            }
            ListReading::from_response(&reply)
        })
    }
}

/// Runs a fleet until all jobs have ended. Returns its events, with the job's number.
async fn run(service: &Arc<ListService>, fleet: &Fleet) -> Vec<(String, Event)> {
    let mut events = fleet.events();
    let watches: Vec<_> = service.ids().into_iter().map(|id| fleet.watch(id)).collect();
    let mut seen = Vec::new();
    let all = join_all(watches);
    let mut all = pin!(all);
    loop {
        tokio::select! {
            biased;
            Some(event) = events.next() => {
                let (id, event) = event.unwrap();
                seen.push((id.to_string(), event));
            }
            results = &mut all => {
                results.into_iter().for_each(|result| _ = result.unwrap().into_success().unwrap());
                return seen;
            }
        }
    }
}

/// Jobs that end one after the other, so that the list can be proven.
fn one_after_the_other() -> impl Iterator<Item = u64> {
    (1..=30).map(|number| number * 100)
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
            let expected = format!("{expected}; reading each job by itself for {length} s");
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
async fn a_hint_reads_the_job_at_once_but_at_most_every_two_seconds() {
    let service = ListService::new(List::Right, [300]);
    let fleet = Fleet::builder(service.clone()).list_reads(ListReads::off()).start();
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

//! Tests the lists of jobs with a simulated service, and compares them with single readings.

use job_model::job::JobList;
use job_sim::{ListFault, Plan, Sim, SimTransport, TimeSource};
use job_transport::{Client, ListReading};

use super::*;
use crate::{WaitKey, database::Row};

/// A service with jobs, and a store that waits for them.
struct Bed {
    bed: TestBed,
    sim: Arc<Sim>,
    /// The keys of the waits, and when their jobs end, in seconds since the start.
    jobs: Vec<(WaitKey, f64)>,
}

/// What the waits for all jobs have cost.
#[derive(Debug)]
struct Figures {
    /// The number of requests, including the lists.
    requests: u32,
    lists: u32,
    /// How late the ends were read, in seconds.
    mean_delay: f64,
    max_delay: f64,
}

impl Figures {
    fn new(sim: &Sim, delays: &[f64]) -> Self {
        Self {
            requests: sim.requests(),
            lists: sim.list_requests(),
            mean_delay: delays.iter().sum::<f64>() / delays.len() as f64,
            max_delay: delays.iter().copied().fold(0.0, f64::max),
        }
    }
}

/// Returns the plans of jobs that take from 150 to 450 seconds, in no order. If `is_random`, the
/// durations of their steps are random, so that less can be learned.
fn plans(count: u64, is_random: bool) -> impl Iterator<Item = Plan> {
    (0..count).map(move |number| {
        let seconds = 150 + number * 189 % 300;
        let plan = Plan::create_cluster().with_duration(Duration::from_secs(seconds));
        if is_random { plan.with_random_durations(number) } else { plan }
    })
}

const ENDPOINT: &str = "https://cce.example";

impl Bed {
    /// Starts waits for `count` jobs. See [`plans`].
    async fn new(endpoint: &str, count: u64, reads_lists: bool, is_random: bool) -> Self {
        let mut bed = TestBed::new(&[RUNNING]).await;
        let plan = Plan::create_cluster().with_duration(Duration::from_secs(1));
        let sim = Arc::new(Sim::with_clock(plan, TimeSource::Clock, bed.clock.clone()));
        let transport = SimTransport::new(sim.clone());
        let (endpoint, clock) = (endpoint.parse().unwrap(), bed.clock.clone());
        let client = Client::with_clock(endpoint, sim.credentials(), transport, clock.clone());
        let worker = Worker::new(bed.store.clone(), client).with_clock(clock);
        bed.worker = worker.read_lists_of_jobs(reads_lists);
        let mut jobs = Vec::new();
        for plan in plans(count, is_random) {
            let seconds = plan.duration().as_secs_f64();
            let key = WaitKey { project: sim.project().clone(), job: sim.add(plan) };
            bed.store.watch(&key, &Watch::new()).await.unwrap();
            jobs.push((key, seconds));
        }
        Self { bed, sim, jobs }
    }

    async fn run_until_finished(&self) {
        let mut seconds = 400;
        while self.count("SELECT count(*) AS count FROM cce_waits WHERE outcome IS NULL").await > 0
        {
            assert!(seconds < 2_000);
            seconds += 20;
            self.bed.run_until(seconds).await;
        }
    }

    /// Returns the number of waits for which the list replaces readings.
    async fn covered(&self) -> i64 {
        self.count("SELECT count(*) AS count FROM cce_waits WHERE covered = 1 AND outcome IS NULL")
            .await
    }

    async fn count(&self, sql: &'static str) -> i64 {
        self.row(sql).await.unwrap().int("count").unwrap()
    }

    fn set_faults(&self, faults: &str) {
        self.sim.set_list_faults(ListFault::parse_list(faults).unwrap());
    }

    async fn figures(&self) -> Figures {
        let mut delays = Vec::new();
        for (key, ends) in &self.jobs {
            let status = self.bed.store.get(key).await.unwrap().unwrap();
            let result = status.result.unwrap_or_else(|| panic!("{key} has not finished"));
            assert_eq!(result.outcome, "succeeded");
            let finished_at = result.finished_at.as_millisecond() - 1_800_000_000_000;
            delays.push(finished_at as f64 / 1e3 - ends);
        }
        Figures::new(&self.sim, &delays)
    }

    async fn row(&self, sql: &'static str) -> Option<Row> {
        let mut transaction = self.bed.store.database.begin_read().await.unwrap();
        transaction.row(sql, &[]).await.unwrap()
    }

    /// Returns the number of jobs in the history. `None` if there is no history.
    async fn known_jobs(&self) -> Option<f64> {
        let row = self.row("SELECT history FROM cce_history").await?;
        let history: History = row.json("history").unwrap().unwrap();
        Some(history.jobs("CreateCluster"))
    }
}

/// One request shows 30 jobs.
#[tokio::test]
async fn a_fresh_list_saves_requests_and_does_not_delay_ends() {
    let mut figures = Vec::new();
    for reads_lists in [false, true] {
        let bed = Bed::new(ENDPOINT, 30, reads_lists, true).await;
        bed.run_until_finished().await;
        figures.push(bed.figures().await);
    }
    let [single, listed] = &figures[..] else { panic!() };
    assert_eq!(single.lists, 0);
    let saves = f64::from(listed.requests) <= 0.6 * f64::from(single.requests);
    let is_early = listed.mean_delay <= 1.15 * single.mean_delay;
    let is_bounded = listed.max_delay <= 10.0;
    assert!(saves && is_early && is_bounded, "without lists {single:?}, with lists {listed:?}");
}

#[tokio::test]
async fn a_list_that_is_wrong_delays_no_end_for_long() {
    // The fault of the list, the longest delay, and the number of lists.
    let rows = [
        ("lag:30", 60.0, 3..=20),
        // The list is trusted by then.
        ("frozen:140", 300.0, 5..=80),
        ("missing:0.5", 60.0, 20..=200),
    ];
    for (faults, max_delay, lists) in rows {
        let bed = Bed::new(ENDPOINT, 12, true, false).await;
        bed.set_faults(faults);
        bed.run_until_finished().await;
        let (sent, figures) = (bed.sim.list_requests(), bed.figures().await);
        let is_early = figures.max_delay <= max_delay && figures.mean_delay <= max_delay / 4.0;
        assert!(is_early && lists.contains(&sent), "{faults}: {sent} lists, {figures:?}");
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_rarely_read() {
    for faults in ["403", "503", "oversized", "stall"] {
        let bed = Bed::new(ENDPOINT, 12, true, false).await;
        bed.set_faults(faults);
        bed.bed.run_until(200).await;
        // At once, after one minute, and after three.
        assert_eq!(bed.sim.list_requests(), 3, "{faults}");
        assert_eq!(bed.covered().await, 0, "{faults}");
    }
}

#[tokio::test]
async fn a_list_that_freezes_is_not_trusted_any_more() {
    let bed = Bed::new(ENDPOINT, 20, true, false).await;
    bed.bed.run_until(140).await;
    assert_eq!(bed.covered().await, 20, "the list has shown enough changes");
    bed.set_faults("frozen:140");
    let mut second = 140;
    while bed.covered().await > 0 {
        second += 1;
        bed.bed.run_until(second).await;
    }
    assert!(second < 260, "given up after {} s", second - 140);
    // The jobs are read as without the list.
    let latest = bed.row("SELECT max(due) AS due FROM cce_waits WHERE outcome IS NULL").await;
    let latest = latest.unwrap().time("due").unwrap().unwrap();
    let left = latest.duration_since(bed.bed.clock.now()).as_secs_f64();
    assert!(left <= 60.0, "the next reading is due in {left} s");
}

#[tokio::test]
async fn two_workers_do_not_read_the_same_list() {
    let bed = Bed::new(ENDPOINT, 12, true, false).await;
    let worker = &bed.bed.worker;
    worker.add_lists().await.unwrap();
    let first = worker.claim_list().await.unwrap();
    assert!(first.is_some() && worker.claim_list().await.unwrap().is_none());
    // The first worker has crashed.
    bed.bed.clock.advance(Duration::from_secs(16));
    assert!(worker.claim_list().await.unwrap().is_some());
}

#[tokio::test]
async fn lists_of_paused_projects_are_not_read() {
    let bed = Bed::new(ENDPOINT, 12, true, false).await;
    bed.bed.store.pause(bed.sim.project()).await.unwrap();
    bed.bed.run_until(60).await;
    assert_eq!(bed.sim.requests(), 0);
    bed.bed.store.resume(bed.sim.project()).await.unwrap();
    bed.bed.run_until(100).await;
    assert!(bed.sim.list_requests() > 0);
    bed.bed.store.pause(bed.sim.project()).await.unwrap();
    let requests = bed.sim.requests();
    bed.bed.run_until(200).await;
    assert_eq!(bed.sim.requests(), requests);
    assert_eq!(bed.row("SELECT active FROM cce_lists").await.unwrap().int("active").unwrap(), 0);
}

#[tokio::test]
async fn the_lists_of_small_projects_are_not_read() {
    let bed = Bed::new(ENDPOINT, 9, true, false).await;
    bed.bed.run_until(100).await;
    assert_eq!(bed.sim.list_requests(), 0);
}

#[tokio::test]
async fn other_jobs_in_the_list_are_learned_from_once_and_not_on_loopback() {
    for (endpoint, expected) in [(ENDPOINT, Some(3.0..=5.0)), ("http://127.0.0.1:1", None)] {
        let bed = Bed::new(endpoint, 12, true, false).await;
        for minutes in 5..9 {
            let plan = Plan::create_cluster().with_duration(Duration::from_secs(minutes * 60));
            bed.sim.add_finished(plan, Duration::from_secs(600 * minutes));
        }
        for second in [10, 100] {
            bed.bed.run_until(second).await;
            assert!(bed.sim.list_requests() > 0);
            let known = bed.known_jobs().await;
            let is_expected = match &expected {
                Some(range) => known.is_some_and(|known| range.contains(&known)),
                None => known.is_none(),
            };
            assert!(is_expected, "{endpoint}, {second} s: {known:?}");
        }
    }
}

#[tokio::test]
async fn rows_with_absurd_times_are_not_learned_from() {
    let bed = TestBed::new(&[RUNNING]).await;
    bed.store.watch(&key("watched"), &Watch::new()).await.unwrap();
    let row = |job: &str, created: &str, ended: &str| {
        format!(
            r#"{{"metadata": {{"uid": "{job}", "creationTimestamp": "{created}", "updateTimestamp": "{ended}"}},
                "spec": {{"type": "CreateNode"}}, "status": {{"status": "Success", "completionTime": "{ended}"}}}}"#
        )
    };
    let rows = [
        row("future", "2027-01-15T08:00:00Z", "2090-01-15T08:00:00Z"),
        row("backward", "2027-01-15T07:00:00Z", "2027-01-15T06:00:00Z"),
        row("without", "", ""),
        row("watched", "2027-01-15T06:00:00Z", "2027-01-15T06:10:00Z"),
        row("good", "2027-01-15T06:00:00Z", "2027-01-15T06:20:00Z"),
    ];
    let list = JobList::from_slice(format!("[{}]", rows.join(",")).as_bytes()).unwrap();
    let mut reading = ListReading::new(list);
    let project = key("watched").project;
    let client = bed.worker.clients.for_project(&project).unwrap();
    let mut transaction = bed.store.database.begin().await.unwrap();
    // Without a date, a time in the future is not recognized.
    for (date, since, jobs, until) in [
        (None, None, 0, None),
        (Some("2027-01-15T08:00:00Z"), None, 1, Some("2027-01-15T06:20:00Z")),
        (
            Some("2027-01-15T08:00:00Z"),
            Some("2027-01-15T06:20:00Z"),
            0,
            Some("2027-01-15T06:20:00Z"),
        ),
    ] {
        let time = |text: Option<&str>| text.map(|text| text.parse::<Timestamp>().unwrap());
        reading.date = time(date);
        let since = time(since);
        let durations = bed.worker.durations(&mut transaction, &project, &client, &reading, since);
        let (observations, learned_until) = durations.await.unwrap();
        assert_eq!(observations.into_iter().flatten().count(), jobs, "{date:?} {since:?}");
        assert_eq!(learned_until, time(until), "{date:?} {since:?}");
    }
}

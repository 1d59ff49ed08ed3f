//! Tests of waits until clusters and nodes are ready, beside waits for the end of the same jobs.

use std::sync::Mutex;

use job_model::{Job, object::ObjectId};
use job_poller::{
    FinishedJob, Until, WaitError,
    fleet::WaitRequest,
    observer::{AttemptFinished, Observer, WaitFinished, WaitOutcome},
    source::source_fn,
};
use job_sim::ObjectPlan;
use job_transport::Reading;
use tokio::time::Instant;

use super::*;

/// A job takes this long, and its objects are ready this long after its end.
const JOB: Duration = Duration::from_secs(100);
const LAG: Duration = Duration::from_secs(60);

const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// Returns what a stored wait is for.
fn goal(checkpoint: &Checkpoint) -> String {
    let policy = serde_json::to_value(checkpoint.policy()).unwrap();
    policy["until"].as_str().unwrap().into()
}

fn sim() -> Sim {
    let plan = Plan::create_cluster().with_duration(JOB);
    Sim::new(plan, TimeSource::Clock).default_object_plan(ObjectPlan::ready_after(LAG))
}

fn policy(until: Until) -> WaitPolicy {
    match until {
        Until::Ended => WaitPolicy::new(),
        Until::Ready => WaitPolicy::new().until_ready(),
        Until::Gone => WaitPolicy::new().until_gone(),
    }
}

/// A watch of the first job, with times in seconds.
#[derive(Clone, Copy)]
struct Watch {
    begins_at: u64,
    until: Until,
    timeout: u64,
    dropped_at: Option<u64>,
}

const ENDED: Watch = Watch { begins_at: 0, until: Until::Ended, timeout: 3_600, dropped_at: None };
const READY: Watch = Watch { until: Until::Ready, ..ENDED };

fn outcome(result: &Result<FinishedJob, WaitError>) -> &'static str {
    match result {
        Ok(finished) => match finished.outcome {
            Outcome::Succeeded => "succeeded",
            Outcome::Failed(_) => "failed",
            Outcome::Ready => "ready",
            Outcome::Broken => "broken",
            Outcome::Gone => "gone",
        },
        Err(error) => error.kind().as_str(),
    }
}

/// Watches the first job of the service several times. Returns how and when each watch has ended, in
/// tens of seconds, because delays after errors are random.
async fn run(sim: Sim, watches: &[Watch]) -> (Vec<String>, Service) {
    let service = Service::new(sim);
    #[expect(clippy::disallowed_methods, reason = "the paused clock")]
    let began = Instant::now();
    let fleet = Fleet::builder(service.client())
        .schedule(Fixed::new(10 * SECOND))
        .list_reads(ListReads::off())
        .start();
    let results = watches.iter().map(|watch| {
        let (fleet, id) = (fleet.clone(), service.sim.job().clone());
        async move {
            sleep_for(seconds(watch.begins_at)).await;
            let policy = policy(watch.until).timeout(seconds(watch.timeout));
            let subscribed = fleet.watch_with(WaitRequest::new(id).policy(policy));
            let dropped = async {
                match watch.dropped_at {
                    Some(at) => sleep_for(seconds(at) - began.elapsed()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                result = subscribed => {
                    if let Err(error) = &result {
                        assert_eq!(goal(error.checkpoint()), watch.until.as_str());
                    }
                    format!("{} at {}", outcome(&result), began.elapsed().as_secs() / 10 * 10)
                }
                () = dropped => "dropped".into(),
            }
        }
    });
    let results = join_all(results).await;
    tokio::task::yield_now().await;
    assert_eq!((fleet.stats().jobs, fleet.stats().in_flight), (0, 0));
    (results, service)
}

#[tokio::test(start_paused = true)]
async fn each_watch_of_a_job_ends_at_its_own_goal() {
    let late = |watch: Watch, begins_at| Watch { begins_at, ..watch };
    let dropped = |watch: Watch, at| Watch { dropped_at: Some(at), ..watch };
    let forgotten = || sim().forget_jobs_after(Duration::ZERO);
    let failing = || {
        let plan = Plan::create_cluster().with_failure("no such flavor").with_duration(JOB);
        Sim::new(plan, TimeSource::Clock)
    };
    type Row = (&'static str, fn() -> Sim, Vec<Watch>, &'static [&'static str]);
    let rows: Vec<Row> = vec![
        ("both", sim, vec![ENDED, READY], &["succeeded at 100", "ready at 160"]),
        ("ready first", sim, vec![READY, ENDED], &["ready at 160", "succeeded at 100"]),
        ("ready later", sim, vec![ENDED, late(READY, 45)], &["succeeded at 100", "ready at 160"]),
        ("ended later", sim, vec![READY, late(ENDED, 45)], &["ready at 160", "succeeded at 100"]),
        ("ended last", sim, vec![READY, late(ENDED, 135)], &["ready at 160", "succeeded at 130"]),
        ("dropped", sim, vec![dropped(READY, 45), ENDED], &["dropped", "succeeded at 100"]),
        ("dropped later", sim, vec![dropped(READY, 145), ENDED], &["dropped", "succeeded at 100"]),
        ("ended dropped", sim, vec![dropped(ENDED, 45), READY], &["dropped", "ready at 160"]),
        ("forgotten", forgotten, vec![ENDED, READY], &["vanished at 110", "ready at 160"]),
        (
            "forgotten, dropped",
            forgotten,
            vec![ENDED, dropped(READY, 45)],
            &["vanished at 110", "dropped"],
        ),
        (
            "forgotten, later",
            forgotten,
            vec![READY, late(ENDED, 135)],
            &["ready at 160", "vanished at 130"],
        ),
        ("failed", failing, vec![ENDED, READY], &["failed at 100", "failed at 100"]),
    ];
    for (name, sim, watches, expected) in rows {
        let (results, service) = run(sim(), &watches).await;
        assert_eq!(results, expected, "{name}");
        let is_read = watches.iter().any(|watch| watch.until == Until::Ready)
            && expected.iter().any(|line| line.starts_with("ready"))
            || name == "dropped later";
        assert_eq!(service.sim.object_requests() > 0, is_read, "{name}: the objects are read");
    }
}

#[tokio::test(start_paused = true)]
async fn each_watch_until_its_goal_ends_at_its_own_deadline() {
    let timeout = |watch: Watch, timeout| Watch { timeout, ..watch };
    let settling = || {
        let sim = sim();
        sim.inject_faults(Fault::parse_script("2*ok, 99*phase:Success").unwrap());
        sim
    };
    type Row = (&'static str, fn() -> Sim, Vec<Watch>, &'static [&'static str]);
    let rows: Vec<Row> = vec![
        (
            "ended first",
            sim,
            vec![timeout(ENDED, 50), timeout(READY, 130)],
            &["deadline_exceeded at 40", "not_ready at 120"],
        ),
        (
            "while the objects are read",
            sim,
            vec![timeout(READY, 130), READY],
            &["not_ready at 120", "ready at 160"],
        ),
        (
            "while the job is active",
            sim,
            vec![timeout(READY, 50), ENDED],
            &["deadline_exceeded at 40", "succeeded at 100"],
        ),
        // The last attempt shows the end of the job, and no time is left for its objects.
        (
            "at the end of the job",
            sim,
            vec![timeout(ENDED, 102), timeout(READY, 102)],
            &["succeeded at 100", "not_ready at 100"],
        ),
        (
            "while the job settles",
            settling,
            vec![timeout(ENDED, 30), timeout(READY, 300)],
            &["succeeded at 30", "ready at 160"],
        ),
    ];
    for (name, sim, watches, expected) in rows {
        assert_eq!(run(sim(), &watches).await.0, expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_names_no_object_succeeds_for_a_watch_of_its_end() {
    let source = source_fn(|_| async {
        let body = br#"{"spec": {"type": "CreateNode"}, "status": {"phase": "Success"}}"#;
        Ok(Reading::new(Job::from_slice(body).unwrap()))
    });
    let fleet = Fleet::builder(source).start();
    let watch =
        |until| fleet.watch_with(WaitRequest::new("a".parse().unwrap()).policy(policy(until)));
    let [ended, ready] = [watch(Until::Ended), watch(Until::Ready)];
    assert_eq!(outcome(&ended.await), "succeeded");
    assert_eq!(outcome(&ready.await), "no_object");
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_a_watch_has_its_own_goal() {
    let service = Service::new(sim());
    let fleet = Fleet::builder(service.client()).start();
    let id = service.sim.job();
    let watch = |until| fleet.watch_with(WaitRequest::new(id.clone()).policy(policy(until)));
    let watches = [watch(Until::Ended), watch(Until::Ready)];
    sleep_for(30 * SECOND).await;
    let checkpoints = watches.each_ref().map(|watch| watch.checkpoint().unwrap());
    drop(watches);
    let expected = [("succeeded", Until::Ended), ("ready", Until::Ready)];
    for (checkpoint, (expected, until)) in checkpoints.into_iter().zip(expected) {
        assert_eq!(goal(&checkpoint), until.as_str());
        let text = serde_json::to_string(&checkpoint).unwrap();
        let resumed = fleet.resume(serde_json::from_str(&text).unwrap());
        assert_eq!(outcome(&resumed.await), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_reads_an_object_at_once_but_at_most_every_two_seconds() {
    let service = Service::new(sim());
    let fleet = Fleet::builder(service.client()).schedule(Fixed::new(60 * SECOND)).start();
    let id = service.sim.job().clone();
    let watch = fleet.watch_with(WaitRequest::new(id.clone()).policy(policy(Until::Ready)));
    // The end of the job was read at 120 s.
    sleep_for(130 * SECOND).await;
    let before = service.sim.object_requests();
    assert_eq!(before, 1);
    for _ in 0..20_000 {
        assert!(fleet.hint(&id));
        sleep_for(SECOND / 1_000).await;
    }
    let hinted = service.sim.object_requests() - before;
    assert!((9..=11).contains(&hinted), "{hinted}");
    sleep_for(11 * SECOND).await;
    fleet.hint(&id);
    let finished = watch.await.unwrap();
    assert_eq!(finished.outcome, Outcome::Ready);
    assert_eq!(finished.elapsed.as_secs(), 161);
}

#[tokio::test(start_paused = true)]
async fn a_list_covers_no_wait_that_reads_objects() {
    let service = Service::new(sim().default_object_plan(ObjectPlan::ready_after(1_000 * SECOND)));
    let policy = policy(Until::Ready).no_timeout();
    let fleet = Fleet::builder(service.client()).policy(policy).start();
    // Jobs that end one after the other, so that the list is proven.
    let plan = |number: u64| Plan::create_cluster().with_duration(seconds(number * 100));
    let jobs: Vec<_> = (1..=30).map(|number| service.sim.add(plan(number))).collect();
    let mut events = fleet.events();
    let watches: Vec<_> = jobs.iter().map(|id| fleet.watch(id.clone())).collect();
    let mut all = pin!(join_all(watches));
    let mut reading = std::collections::BTreeSet::new();
    let mut was_listed = false;
    let results = loop {
        tokio::select! {
            biased;
            Some(event) = events.next() => {
                let (id, event) = event.unwrap();
                if let Event::ReadingObjects { .. } = event {
                    reading.insert(id.clone());
                }
                if let Event::NextAttempt { reason: AttemptReason::Listed, .. } = event {
                    was_listed = true;
                    assert!(!reading.contains(&id), "{id} reads objects");
                }
            }
            results = &mut all => break results,
        }
    };
    assert!(was_listed && reading.len() == 30);
    let requests = service.requests.lock().unwrap();
    let times = |of: &str| requests.iter().filter(|(_, id)| id == of).map(|(at, _)| *at).collect();
    for result in &results {
        let finished = result.as_ref().unwrap();
        assert_eq!(finished.outcome, Outcome::Ready);
        let readings: Vec<Duration> = times(finished.objects[0].id.as_str());
        let max_gap = readings.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(max_gap <= 61 * SECOND, "{max_gap:?}");
    }
    // The list is not read after the last job has ended, although objects are.
    let lists: Vec<Duration> = times("jobs");
    let last = lists.last().unwrap();
    assert!((2_500..=3_010).contains(&last.as_secs()), "{last:?}");
    assert!(requests.last().unwrap().0 > 3_990 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_fleet_waits_for_objects_without_jobs() {
    let service = Service::new(sim());
    let resized = [(Duration::ZERO, "Resizing"), (LAG, "Available")];
    service.sim.add_cluster("c", ObjectPlan::phases(resized));
    service.sim.add_node("c", "n", ObjectPlan::ready().vanishes_after(LAG));
    let fleet = Fleet::builder(service.client()).schedule(Fixed::new(10 * SECOND)).start();
    let cluster = ObjectId::Cluster("c".parse().unwrap());
    let node = ObjectId::Node { cluster: "c".parse().unwrap(), node: "n".parse().unwrap() };
    let gone = WaitRequest::for_object(node).policy(policy(Until::Gone));
    let watches = [
        fleet.watch_with(WaitRequest::for_object(cluster.clone())),
        fleet.watch_with(WaitRequest::for_object(cluster)),
        fleet.watch_with(gone),
    ];
    assert_eq!(fleet.stats().jobs, 2, "two watches share a wait");
    let ended = join_all(watches).await;
    let ended = ended.iter().map(|result| {
        let finished = result.as_ref().unwrap();
        (outcome(result), finished.elapsed.as_secs(), finished.attempts, finished.object_readings)
    });
    let ended: Vec<_> = ended.collect();
    // 404s at 60 s and 70 s.
    assert_eq!(ended, [("ready", 60, 0, 7), ("ready", 60, 0, 7), ("gone", 70, 0, 8)]);
    assert_eq!(service.sim.list_requests(), 0, "no list shows clusters or nodes");
}

#[tokio::test(start_paused = true)]
async fn the_budget_holds_for_jobs_with_many_nodes() {
    let service = Service::new(sim());
    let add = |number: u64| {
        let plan = Plan::scale_up_cluster(20).with_duration(JOB + seconds(number));
        service.sim.add(plan)
    };
    let fleet = Fleet::builder(service.client())
        .requests_per_second(10.0)
        .policy(policy(Until::Ready))
        .start();
    let watches: Vec<_> = (0..50).map(|number| fleet.watch(add(number))).collect();
    for result in join_all(watches).await {
        let finished = result.unwrap();
        assert_eq!((finished.outcome, finished.objects.len()), (Outcome::Ready, 20));
    }
    let asked = service.requests.lock().unwrap();
    assert!(service.sim.object_requests() >= 50 * 20);
    assert_eq!(fleet.stats().requests, asked.len() as u64);
    let within = |from: Duration| {
        asked.iter().filter(|(at, _)| (from..from + 10 * SECOND).contains(at)).count()
    };
    let max = asked.iter().map(|(from, _)| within(*from)).max().unwrap();
    assert!(max <= 110, "{max}");
}

#[tokio::test(start_paused = true)]
async fn a_fleet_learns_how_long_objects_take_after_their_jobs() {
    let service = Service::new(sim());
    let fleet = Fleet::builder(service.client()).policy(policy(Until::Ready)).start();
    let plans: [fn() -> Plan; 3] =
        [Plan::create_cluster, || Plan::scale_up_cluster(2), Plan::delete_node];
    let jobs = (0..90).map(|number| plans[number % 3]().with_duration(JOB));
    let watches = jobs.map(|plan| fleet.watch(service.sim.add(plan)));
    for result in join_all(watches).await {
        assert!(result.unwrap().is_success());
    }
    let history = fleet.history();
    for law in ["CreateCluster", "ScaleupCluster", "DeleteNode"] {
        assert!(history.jobs(law) > 5.0, "{law}");
    }
    for law in ["CreateCluster:ready", "ScaleupCluster:ready", "DeleteNode:gone"] {
        assert!(history.jobs(law) > 5.0, "{law}: {}", history.jobs(law));
    }
    // With what was learned, a cluster is read when clusters become ready.
    let mut delays = Vec::new();
    for history in [History::new(), history] {
        let fleet = Fleet::builder(service.client())
            .adaptive(Adaptive::new().jitter(0.0), history)
            .policy(policy(Until::Ready))
            .start();
        let plan = Plan::create_cluster().with_duration(JOB);
        let watches: Vec<_> = (0..20).map(|_| fleet.watch(service.sim.add(plan.clone()))).collect();
        let results = join_all(watches).await.into_iter();
        delays.push(results.map(|result| result.unwrap().elapsed - JOB - LAG).sum::<Duration>());
    }
    assert!(delays[1] * 2 < delays[0], "{delays:?}");
}

#[derive(Default)]
struct Counts {
    attempts: u32,
    objects: u32,
    outcomes: Vec<WaitOutcome>,
}

struct CountingObserver(Arc<Mutex<Counts>>);

impl Observer for CountingObserver {
    fn attempt_finished(&self, attempt: &AttemptFinished) {
        let mut counts = self.0.lock().unwrap();
        *(if attempt.is_object { &mut counts.objects } else { &mut counts.attempts }) += 1;
    }

    fn wait_finished(&self, finished: &WaitFinished) {
        self.0.lock().unwrap().outcomes.push(finished.outcome);
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_sees_which_attempts_read_objects() {
    let service = Service::new(sim());
    let counts = Arc::<Mutex<Counts>>::default();
    let fleet = Fleet::builder(service.client()).observer(CountingObserver(counts.clone())).start();
    let id = service.sim.job();
    let watch = |until| fleet.watch_with(WaitRequest::new(id.clone()).policy(policy(until)));
    let (ended, ready) = (watch(Until::Ended), watch(Until::Ready));
    assert_eq!(outcome(&ended.await), "succeeded");
    let finished = ready.await.unwrap();
    let counts = counts.lock().unwrap();
    assert_eq!((counts.attempts, counts.objects), (finished.attempts, finished.object_readings));
    assert_eq!(counts.objects, service.sim.object_requests());
    // There was one wait, and it has ended as its last watch.
    assert_eq!(counts.outcomes, [WaitOutcome::Ready]);
}

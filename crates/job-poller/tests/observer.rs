//! Tests what an observer receives of a wait and of a fleet.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use http::StatusCode;
use job_model::JobId;
use job_poller::{
    Checkpoint, Fleet, Wait, WaitErrorKind, WaitPolicy,
    fleet::WaitRequest,
    observer::{
        AttemptFinished, AttemptResult, BudgetStatus, Observer, WaitFinished, WaitOutcome,
        WaitStarted,
    },
    schedule::{Exponential, Fixed},
};
use job_sim::{Fault, Plan, Sim, SimTransport, TimeSource};
use job_transport::{Client, ErrorClass, FetchErrorKind};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Writes each observation as a line, without the budget.
#[derive(Default)]
struct Recorder(Mutex<String>);

impl Recorder {
    fn push(&self, line: &str) {
        let mut text = self.0.lock().unwrap();
        text.push_str(line);
        text.push('\n');
    }

    fn take(&self) -> String {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Recorder {
    fn wait_started(&self, WaitStarted { elapsed_before, .. }: &WaitStarted) {
        self.push(&format!("started after {elapsed_before:?}"));
    }

    fn attempt_finished(&self, attempt: &AttemptFinished) {
        let lookup = if attempt.is_sub_job_lookup { " of a sub-job" } else { "" };
        let result = match attempt.result {
            AttemptResult::Error { kind, class, .. } => {
                format!("{}: {}", class.as_str(), kind.as_str())
            }
            result => result.as_str().into(),
        };
        self.push(&format!("attempt{lookup} took {:?}: {result}", attempt.latency));
    }

    fn wait_finished(&self, wait: &WaitFinished) {
        let WaitFinished { outcome, elapsed, attempts, .. } = wait;
        let (outcome, job_type) = (outcome.as_str(), wait.job_type.as_deref().unwrap_or("no type"));
        let delay = if wait.detection_delay.is_some() { ", detection delay known" } else { "" };
        self.push(&format!("{outcome} ({job_type}) in {elapsed:?}, {attempts} attempts{delay}"));
    }
}

fn service(plan: Plan) -> (Arc<Sim>, Client, JobId) {
    let sim = Arc::new(Sim::new(plan, TimeSource::Clock));
    let client = sim.client("https://cce.example".parse().unwrap(), SimTransport::new(sim.clone()));
    let id = sim.job().clone();
    (sim, client, id)
}

/// How a caller ends a wait.
#[derive(Clone, Copy, Debug)]
enum End {
    Await,
    DropAfter(Duration),
    StopAfter(Duration),
}

/// A case: the job, the faults of the first requests, the timeout, and how the caller ends the wait.
struct Case {
    name: &'static str,
    plan: Plan,
    faults: Vec<Fault>,
    timeout: Duration,
    end: End,
}

fn cases() -> Vec<Case> {
    let case = |name, plan, faults, timeout, end| {
        let timeout = Duration::from_secs(timeout);
        Case { name, plan, faults, timeout, end }
    };
    let short = Duration::from_millis(2500);
    let (node, cluster) = (Plan::delete_node, Plan::create_cluster);
    vec![
        case("success", node(), vec![], 60, End::Await),
        case("failure", node().with_failure("in use"), vec![], 60, End::Await),
        case(
            "failure whose step is looked up",
            Plan::scale_up_cluster(1).with_failure("no such image").visible_depth(1),
            vec![],
            60,
            End::Await,
        ),
        case(
            "errors",
            node(),
            vec![
                Fault::Reset,
                Fault::ErrorReply(StatusCode::SERVICE_UNAVAILABLE),
                Fault::Throttled(2 * SECOND),
                Fault::Stall,
            ],
            60,
            End::Await,
        ),
        case("refused", node(), vec![Fault::ErrorReply(StatusCode::FORBIDDEN)], 60, End::Await),
        case("deadline", cluster(), vec![], 3, End::Await),
        case("dropped", cluster(), vec![], 60, End::DropAfter(short)),
        case("stopped", cluster(), vec![], 60, End::StopAfter(short)),
        case("dropped during an attempt", node(), vec![Fault::Stall], 60, End::DropAfter(SECOND)),
    ]
}

#[tokio::test(start_paused = true)]
async fn an_observer_receives_each_attempt_and_one_end() {
    let mut text = String::new();
    for Case { name, plan, faults, timeout, end } in cases() {
        let backoff = Exponential::new(SECOND..=SECOND).jitter(0.0);
        let policy =
            WaitPolicy::new().timeout(timeout).attempt_timeout(5 * SECOND).backoff(backoff);
        let mut logs = [false, true].map(|in_fleet| (in_fleet, Arc::new(Recorder::default())));
        for (in_fleet, recorder) in &mut logs {
            let (sim, client, id) = service(plan.clone());
            faults.iter().for_each(|fault| sim.inject_fault(fault.clone()));
            let schedule = Fixed::new(SECOND);
            if *in_fleet {
                let fleet = Fleet::builder(client).observer(recorder.clone()).schedule(schedule);
                // The budget does not delay the lookup of a sub-job.
                let fleet = fleet.policy(policy).requests_per_second(1e6).start();
                let watch = fleet.watch(id.clone());
                match end {
                    End::Await => drop(watch.await),
                    End::DropAfter(span) => drop(tokio::time::timeout(span, watch).await),
                    End::StopAfter(span) => {
                        let watch = tokio::spawn(watch);
                        pause(span).await;
                        assert!(fleet.cancel(&id));
                        assert!(watch.await.unwrap().is_err());
                    }
                }
            } else {
                let wait = Wait::new(client, id).observer(recorder.clone()).schedule(schedule);
                let wait = wait.policy(policy);
                match end {
                    End::Await => drop(wait.await),
                    End::DropAfter(span) => drop(tokio::time::timeout(span, wait).await),
                    End::StopAfter(span) => drop(wait.stop_on(pause(span)).await),
                }
            }
        }
        let [wait, fleet] = logs.map(|(_, recorder)| recorder.take());
        assert_eq!(wait, fleet, "{name}");
        text += &format!("{name}\n{wait}\n");
    }
    insta::assert_snapshot!(text);
}

async fn pause(span: Duration) {
    #[expect(clippy::disallowed_methods, reason = "the paused clock")]
    tokio::time::sleep(span).await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_never_begins_is_not_observed() {
    let recorder = Arc::new(Recorder::default());
    let (_sim, client, id) = service(Plan::delete_node());
    drop(Wait::new(client.clone(), id.clone()).observer(recorder.clone()));
    drop(Wait::new(client, id).observer(recorder.clone()).events());
    assert_eq!(recorder.take(), "");
}

#[tokio::test(start_paused = true)]
async fn watches_of_one_job_are_observed_as_one_wait() {
    let recorder = Arc::new(Recorder::default());
    let (_sim, client, id) = service(Plan::create_cluster());
    let fleet = Fleet::builder(client).observer(recorder.clone()).schedule(Fixed::new(SECOND));
    let fleet = fleet.start();
    let first = fleet.watch(id.clone());
    let policy = WaitPolicy::new().timeout(SECOND / 2);
    let second = fleet.watch_with(WaitRequest::new(id.clone()).policy(policy));
    assert_eq!(second.await.unwrap_err().kind(), WaitErrorKind::DeadlineExceeded);
    assert!(!recorder.take().contains("deadline"), "the first watch still waits");
    assert!(first.await.is_ok());
    let log = recorder.take();
    assert!(log.contains("succeeded (CreateCluster)"), "{log}");
    assert!(!log.contains("started"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn a_resumed_wait_is_observed_with_its_earlier_time() {
    let (_sim, client, id) = service(Plan::delete_node());
    let error = Wait::new(client.clone(), id).stop_on(pause(SECOND)).await.unwrap_err();
    let checkpoint: Checkpoint = error.into_checkpoint();
    for in_fleet in [false, true] {
        let recorder = Arc::new(Recorder::default());
        let (client, checkpoint) = (client.clone(), checkpoint.clone());
        if in_fleet {
            let fleet = Fleet::builder(client).observer(recorder.clone()).start();
            drop(fleet.resume(checkpoint));
        } else {
            let wait = Wait::resume(client, checkpoint).observer(recorder.clone());
            let stopped = wait.stop_on(async {}).await;
            assert_eq!(stopped.unwrap_err().kind(), WaitErrorKind::Stopped);
        }
        let log = recorder.take();
        assert!(log.starts_with("started after 1"), "{log}");
    }
}

/// Calls the fleet from each method, which would block forever if the fleet held its lock.
#[derive(Default)]
struct Reentrant {
    fleet: OnceLock<Fleet>,
    calls: Mutex<[u32; 4]>,
}

impl Reentrant {
    fn call(&self, method: usize) {
        if let Some(fleet) = self.fleet.get() {
            assert!(fleet.stats().jobs <= 1);
        }
        self.calls.lock().unwrap()[method] += 1;
    }
}

impl Observer for Reentrant {
    fn wait_started(&self, _: &WaitStarted) {
        self.call(0);
    }

    fn attempt_finished(&self, _: &AttemptFinished) {
        self.call(1);
    }

    fn wait_finished(&self, _: &WaitFinished) {
        self.call(2);
    }

    fn budget_changed(&self, _: &BudgetStatus) {
        self.call(3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fleet_calls_its_observer_without_its_lock() {
    let observer = Arc::new(Reentrant::default());
    let (_sim, client, id) = service(Plan::delete_node());
    let fleet = Fleet::builder(client).observer(Box::new(observer.clone())).start();
    assert!(observer.fleet.set(fleet.clone()).is_ok());
    assert!(fleet.watch(id.clone()).await.is_ok());
    drop(fleet.watch(id));
    fleet.shutdown().await;
    let calls = *observer.calls.lock().unwrap();
    assert_eq!((calls[0], calls[2]), (2, 2));
    assert!(calls[1] > 1 && calls[3] > 1, "{calls:?}");
}

/// Records the budget with its time.
struct Budgets {
    started_at: Instant,
    all: Mutex<Vec<(Duration, BudgetStatus)>>,
}

impl Observer for Budgets {
    fn budget_changed(&self, budget: &BudgetStatus) {
        self.all.lock().unwrap().push((self.started_at.elapsed(), *budget));
    }
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_reported_at_most_once_a_second_until_it_is_at_rest() {
    #[expect(clippy::disallowed_methods, reason = "the paused clock")]
    let started_at = Instant::now();
    let budgets = Arc::new(Budgets { started_at, all: Mutex::default() });
    let (sim, client, _) = service(Plan::delete_node());
    sim.inject_fault(Fault::Throttled(4 * SECOND));
    let fleet = Fleet::builder(client).requests_per_second(10.0).observer(budgets.clone()).start();
    let watches: Vec<_> = (0..30).map(|_| fleet.watch(sim.add(Plan::delete_node()))).collect();
    for watch in watches {
        assert!(watch.await.is_ok());
    }
    pause(600 * SECOND).await;
    let all = std::mem::take(&mut *budgets.all.lock().unwrap());
    assert!(all.windows(2).all(|pair| pair[1].0 - pair[0].0 >= SECOND), "{all:?}");
    let throttled = all.iter().find(|(_, status)| !status.throttled_for.is_zero()).unwrap().1;
    assert!(throttled.requests_per_second < 10.0, "{throttled:?}");
    assert!(throttled.throttled_for > 2 * SECOND && throttled.jobs == 30, "{throttled:?}");
    assert!(all.iter().any(|(_, status)| status.queued > 0));
    // The last report is that of a fleet at rest. After it there are none.
    let (at, last) = all.last().unwrap();
    assert_eq!((last.jobs, last.queued, last.in_flight), (0, 0, 0));
    assert_eq!(last.throttled_for, Duration::ZERO);
    assert!(last.requests_per_second > 9.999, "{last:?}");
    assert!(*at < 60 * SECOND, "{at:?}");

    // A fleet whose last handle is dropped reports once more.
    drop(fleet);
    assert_eq!(budgets.all.lock().unwrap().len(), 1);
}

#[test]
fn results_and_outcomes_have_stable_words() {
    let error = |class| AttemptResult::from_error(FetchErrorKind::EmptyBody, class);
    let results = [
        (AttemptResult::Reading, "reading"),
        (AttemptResult::Unchanged, "unchanged"),
        (error(ErrorClass::Transient), "transient"),
        (error(ErrorClass::Throttled), "throttled"),
        (error(ErrorClass::Unauthorized), "unauthorized"),
        (error(ErrorClass::NotFound), "not_found"),
        (error(ErrorClass::Permanent), "permanent"),
    ];
    for (result, word) in results {
        assert_eq!(result.as_str(), word);
    }
    let outcomes = [
        (WaitOutcome::Succeeded, "succeeded"),
        (WaitOutcome::Failed, "failed"),
        (WaitOutcome::Dropped, "dropped"),
        (WaitOutcome::Error(WaitErrorKind::DeadlineExceeded), "deadline_exceeded"),
        (WaitOutcome::Error(WaitErrorKind::Stopped), "stopped"),
    ];
    for (outcome, word) in outcomes {
        assert_eq!(outcome.as_str(), word);
    }
}

/// Panics when an attempt or a wait has ended, and when the budget has changed.
struct PanickingObserver;

impl Observer for PanickingObserver {
    fn attempt_finished(&self, _: &AttemptFinished) {
        panic!("the observer is broken");
    }

    fn wait_finished(&self, _: &WaitFinished) {
        panic!("the observer is broken");
    }

    fn budget_changed(&self, _: &BudgetStatus) {
        panic!("the observer is broken");
    }
}

/// A second panic while the first one unwinds would abort the process.
#[tokio::test(start_paused = true)]
async fn an_observer_that_always_panics_stops_its_waits_and_not_the_process() {
    let (_sim, client, id) = service(Plan::create_cluster());
    let wait = Wait::new(client.clone(), id.clone()).observer(PanickingObserver);
    assert!(tokio::spawn(wait).await.unwrap_err().is_panic());

    let fleet = Fleet::builder(client).observer(PanickingObserver).start();
    let watches = [fleet.watch(id.clone()), fleet.watch(id)];
    for watch in watches {
        assert_eq!(watch.await.unwrap_err().kind(), WaitErrorKind::Stopped);
    }
    fleet.shutdown().await;
}

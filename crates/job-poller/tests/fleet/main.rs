//! Tests of many waits under one budget, with a paused clock.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod budget;
mod ends;
mod events;
mod hints;
mod lifecycle;
mod list_service;
mod lists;
mod objects;
mod quota;
mod service;

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use futures_util::future::join_all;
use job_model::JobId;
use job_poller::{
    Checkpoint, Event, Fleet, Outcome, WaitErrorKind, WaitPolicy,
    fleet::ListReads,
    machine::AttemptReason,
    schedule::{Adaptive, Fixed, History, PollState, Schedule},
};
use job_sim::{Fault, Plan, Sim, TimeSource};
use tokio::{runtime::Handle, time::advance};

use service::{REPLY_LATENCY, SECOND, Service, sleep_for};

#[tokio::test(start_paused = true)]
async fn all_waits_end_correctly_within_the_budget() {
    let service = Service::with_default_plan();
    let jobs = service.add_jobs(1_000);
    let fleet =
        Fleet::builder(service.client()).requests_per_second(100.0).max_in_flight(2).start();
    let watches = jobs.into_iter().map(|(id, fails)| {
        let watch = fleet.watch(id);
        async move { (fails, watch.await.unwrap().outcome) }
    });
    for (fails, outcome) in join_all(watches).await {
        assert_eq!(matches!(outcome, Outcome::Failed(_)), fails);
    }
    let stats = fleet.stats();
    assert_eq!((stats.jobs, stats.in_flight, stats.queued, stats.finished), (0, 0, 0, 1_000));
    assert_eq!(stats.requests, service.request_count() as u64);
    assert_eq!(service.in_flight.lock().unwrap().1, 2);
    // The maximum in any ten seconds.
    let asked = service.requests.lock().unwrap();
    let max = asked.iter().map(|(from, _)| {
        let within = asked.iter().skip_while(|(at, _)| at < from);
        within.take_while(|(at, _)| *at < *from + 10 * SECOND).count()
    });
    let max = max.step_by(97).max().unwrap();
    assert!(max <= 1_010, "{max}");
    // The fleet has learned from these jobs, and another fleet can use its history.
    assert!(fleet.history().jobs("CreateCluster") > 20.0);
}

#[tokio::test(start_paused = true)]
async fn two_watches_of_a_job_share_its_requests() {
    let service = Service::with_default_plan();
    let fleet = Fleet::builder(service.client()).schedule(Fixed::new(SECOND)).start();
    let [one, other, third] = [(); 3].map(|()| fleet.watch(service.sim.job().clone()));
    assert_eq!(fleet.stats().jobs, 1);
    drop(third);
    let (one, mut other) = (tokio::spawn(one), other.events());
    let mut events = Vec::new();
    while let Some(event) = other.next().await {
        events.push(event.unwrap().1);
    }
    let (one, other) = (one.await.unwrap().unwrap(), other.finish().await.unwrap());
    assert_eq!(one, other);
    assert_eq!(service.request_count(), one.attempts as usize);
    let planned = events.iter().filter(|event| matches!(event, Event::NextAttempt { .. }));
    assert_eq!(planned.count(), one.attempts as usize - 1);
    // After the job has ended, a watch starts a new wait.
    let again = fleet.watch(service.sim.job().clone()).await.unwrap();
    assert_eq!(again.attempts, 1);
    assert_eq!(service.request_count(), one.attempts as usize + 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_watch_leaks_nothing() {
    let service = Service::with_default_plan();
    let ids: Vec<_> = service.add_jobs(50).into_iter().map(|(id, _)| id).collect();
    let fleet = Fleet::builder(service.client()).requests_per_second(20.0).max_in_flight(5).start();
    // Queued, during an attempt, and during a pause.
    for wait in [0, 1, 30, 130, 1_000, 9_000].map(Duration::from_millis) {
        let watches: Vec<_> = ids.iter().map(|id| fleet.watch(id.clone())).collect();
        sleep_for(wait).await;
        drop(watches);
        let stats = fleet.stats();
        assert_eq!((stats.jobs, stats.in_flight, stats.queued), (0, 0, 0), "after {wait:?}");
        sleep_for(REPLY_LATENCY).await;
        let before = service.request_count();
        sleep_for(100 * SECOND).await;
        assert_eq!(service.request_count(), before, "after {wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_last_handle_and_wait() {
    let service = Service::with_default_plan();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let fleet = Fleet::builder(service.client()).start();
    let watch = fleet.watch(service.sim.job().clone());
    assert_eq!(tasks(), before + 1);
    drop(fleet);
    // The remaining wait still gets its result.
    assert_eq!(watch.await.unwrap().outcome, Outcome::Succeeded);
    tokio::task::yield_now().await;
    assert_eq!(tasks(), before);
}

/// Half of the jobs poll every second. The others use the longest gap.
struct Greedy;

impl Schedule for Greedy {
    fn plan(&self, state: &PollState<'_>) -> job_poller::schedule::PollPlan {
        let max_gap = state.share.unwrap().max_gap;
        let is_greedy = state.job_type == Some("CreateCluster");
        job_poller::schedule::PollPlan::after(if is_greedy { SECOND } else { max_gap })
    }
}

#[tokio::test(start_paused = true)]
async fn no_wait_starves() {
    let adaptive: Arc<dyn Schedule> = Arc::new(Adaptive::new());
    let greedy: Arc<dyn Schedule> = Arc::new(Greedy);
    let rows = [
        ("adaptive", &adaptive, 4.0),
        ("adaptive, larger budget", &adaptive, 10.0),
        ("greedy", &greedy, 4.0),
    ];
    for (name, schedule, per_second) in rows {
        let service = Service::with_default_plan();
        let plans = [Plan::create_cluster, Plan::delete_node];
        let add = |number: usize| service.sim.add(plans[number % 2]().slower(100_000));
        let fleet = Fleet::builder(service.client())
            .schedule(schedule.clone())
            .list_reads(ListReads::off())
            .requests_per_second(per_second)
            .policy(WaitPolicy::new().no_timeout())
            .start();
        let watches: Vec<_> = (0..200).map(|number| fleet.watch(add(number))).collect();
        sleep_for(1_500 * SECOND).await;
        let mut last = BTreeMap::new();
        let mut longest = Duration::ZERO;
        for (at, id) in &*service.requests.lock().unwrap() {
            let before = last.insert(id.clone(), *at).unwrap_or_default();
            longest = longest.max(at.saturating_sub(before));
        }
        assert_eq!(last.len(), watches.len(), "{name}");
        // Twice the round-robin gap.
        assert!(longest.as_secs_f64() <= 2.0 * 200.0 / per_second, "{name}: {longest:?}");
        let spent = service.request_count() as f64 / per_second / 1_500.0;
        assert!((0.999..=1.001).contains(&spent), "{name}: {spent}");
        let request_price = fleet.stats().request_price;
        assert!(
            name == "greedy" || request_price > Duration::from_millis(250),
            "the budget is used up: {request_price:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn delay_reason_is_budget_when_the_budget_is_binding() {
    let service = Service::with_default_plan();
    let ids: Vec<_> = service.add_jobs(100).into_iter().map(|(id, _)| id).collect();
    for (per_second, expected) in [(1000.0, AttemptReason::Scheduled), (1.0, AttemptReason::Budget)]
    {
        let fleet = Fleet::builder(service.client())
            .list_reads(ListReads::off())
            .requests_per_second(per_second)
            .start();
        let watches: Vec<_> = ids.iter().map(|id| fleet.watch(id.clone())).collect();
        let mut one = fleet.watch(ids[50].clone()).events();
        let (mut over, mut last) = (pin!(sleep_for(250 * SECOND)), None);
        loop {
            tokio::select! {
                Some(Ok((_, event))) = one.next() => if let Event::NextAttempt { reason, .. } = event {
                    last = Some(reason);
                },
                () = &mut over => break,
            }
        }
        drop(watches);
        assert_eq!(last, Some(expected), "{per_second}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_pauses_all_and_throttling_slows_all() {
    let sim = Sim::new(Plan::create_cluster().slower(1000), TimeSource::Clock);
    sim.inject_faults([None, Some(Fault::Throttled(60 * SECOND))]);
    let service = Service::new(sim);
    let ids: Vec<_> = service.add_jobs(100).into_iter().map(|(id, _)| id).collect();
    let fleet = Fleet::builder(service.client()).requests_per_second(10.0).start();
    let watches: Vec<_> = ids.into_iter().map(|id| fleet.watch(id)).collect();
    sleep_for(SECOND).await;
    let asked = service.request_count();
    assert!(asked < 5, "{asked}");
    let slow = fleet.stats().requests_per_second;
    // A cut of 30 %, of which a ninth recovers in each second.
    assert!((7.2..7.4).contains(&slow), "{slow}");
    sleep_for(4 * SECOND).await;
    let later = fleet.stats().requests_per_second;
    assert!((8.5..8.8).contains(&later), "it recovers without a request: {later}");
    sleep_for(54 * SECOND).await;
    assert_eq!(service.request_count(), asked, "no requests during the pause");
    sleep_for(3 * SECOND).await;
    assert!(service.request_count() > asked + 10);
    let stats = fleet.stats();
    assert_eq!((stats.throttled, stats.jobs), (1, watches.len()));
    assert!((stats.requests_per_second - 10.0).abs() < 1e-9, "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn queued_waits_end_at_their_deadline() {
    let service = Service::with_default_plan();
    let ids: Vec<_> = service.add_jobs(10).into_iter().map(|(id, _)| id).collect();
    let policy = WaitPolicy::new().timeout(60 * SECOND);
    let fleet = Fleet::builder(service.client()).requests_per_second(0.02).policy(policy).start();
    let watches = ids.into_iter().map(|id| fleet.watch(id));
    let errors = join_all(watches).await.into_iter().map(Result::unwrap_err);
    for (number, error) in errors.enumerate() {
        assert_eq!(error.kind(), WaitErrorKind::DeadlineExceeded);
        let attempts = u32::from(number < 2);
        assert_eq!((error.attempts(), error.elapsed()), (attempts, 60 * SECOND), "{number}");
    }
    // With a zero timeout each wait makes one attempt, in turn.
    let policy = WaitPolicy::new().timeout(Duration::ZERO);
    let fleet = Fleet::builder(service.client()).requests_per_second(1.0).policy(policy).start();
    let watches = service.add_jobs(5).into_iter().map(|(id, _)| fleet.watch(id));
    for result in join_all(watches).await {
        assert_eq!(result.unwrap_err().attempts(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_fleet_resumes_from_its_checkpoints() {
    let service = Service::with_default_plan();
    let jobs = service.add_jobs(60);
    let fleet = Fleet::builder(service.client()).requests_per_second(10.0).start();
    let watches: Vec<_> = jobs.iter().map(|(id, _)| fleet.watch(id.clone())).collect();
    sleep_for(20 * SECOND).await;
    let running: Vec<Checkpoint> = fleet.checkpoints().collect();
    assert_eq!(running.len(), 60);
    let attempts = |all: &[Checkpoint]| {
        all.iter()
            .map(|one| one.clone().resume("2020-02-02T00:00:00Z".parse().unwrap()).0.attempts())
            .sum::<u32>()
    };
    assert!(attempts(&running) > 100, "{}", attempts(&running));
    let [at, job] = [watches[7].elapsed(), watches[7].checkpoint().unwrap().elapsed()];
    assert_eq!((at, job), (20 * SECOND, 20 * SECOND));
    assert!(watches[7].job().is_some());
    fleet.stop();
    let stopped = join_all(watches).await.into_iter().map(|ended| {
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), WaitErrorKind::Stopped);
        serde_json::to_string(error.checkpoint()).unwrap()
    });
    let stopped: Vec<_> = stopped.collect();
    assert_eq!(fleet.checkpoints().count(), 0);

    let again = Fleet::builder(service.client()).start();
    let watches: Vec<_> =
        stopped.iter().map(|kept| again.resume(serde_json::from_str(kept).unwrap())).collect();
    for (ended, (_, fails)) in join_all(watches).await.into_iter().zip(jobs) {
        let ended = ended.unwrap();
        assert_eq!(matches!(ended.outcome, Outcome::Failed(_)), fails);
        assert!(ended.elapsed >= 20 * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn new_waits_use_the_history_learned_so_far() {
    let service = Service::with_default_plan();
    let fleet = Fleet::builder(service.client())
        .adaptive(Adaptive::new().jitter(0.0), History::new())
        .start();
    let job = || service.sim.add(Plan::create_cluster().slower(60));
    let (mut attempts, mut known) = (Vec::new(), History::new());
    for _ in 0..12 {
        known = fleet.history();
        attempts.push(fleet.watch(job()).await.unwrap().attempts);
    }
    // All jobs take the same time. Once that is known, fewer requests are needed.
    assert!(attempts[11] < attempts[0], "{attempts:?}");
    // Another fleet with the history that the last wait used needs as many, or nearly: the service
    // sends its time in whole seconds, so the age of a job is off by up to a second.
    let other =
        Fleet::builder(service.client()).adaptive(Adaptive::new().jitter(0.0), known).start();
    let again = other.watch(job()).await.unwrap().attempts;
    assert!(again.abs_diff(attempts[11]) <= 3 && again < attempts[0], "{again} {attempts:?}");
}

/// Runs random operations on a fleet with a faulty service. All waits end with the right outcome,
/// and nothing is left.
#[tokio::test(start_paused = true)]
async fn random_operations_on_a_fleet_leak_nothing() {
    for seed in 0..30 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock);
        let faults = Fault::parse_script("reset, 503, 429, garbage").unwrap();
        let service =
            Service::new(sim.random_faults(seed, 0.2, faults.into_iter().flatten().collect()));
        let jobs = service.add_jobs(20);
        let fleet = Fleet::builder(service.client())
            .requests_per_second(rng.f64() * 30.0)
            .max_in_flight(rng.usize(1..6))
            .policy(WaitPolicy::new().no_timeout())
            .start();
        let (mut watches, mut streams) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            match rng.u8(..6) {
                0 | 1 => watches.push(fleet.watch(rng.choice(&jobs).unwrap().0.clone())),
                2 => streams.push(fleet.watch(rng.choice(&jobs).unwrap().0.clone()).events()),
                3 if !watches.is_empty() => drop(watches.swap_remove(rng.usize(..watches.len()))),
                4 if !streams.is_empty() => {
                    let stream = rng.usize(..streams.len());
                    streams[stream].next().await;
                }
                _ => {
                    advance(Duration::from_millis(rng.u64(..5_000))).await;
                    tokio::task::yield_now().await;
                }
            }
        }
        let fails = |id: &JobId| jobs.iter().any(|(job, fails)| job == id && *fails);
        let mut drained = Vec::new();
        for mut stream in streams {
            drained.push(tokio::spawn(async move {
                while stream.next().await.is_some() {}
                (stream.job_id().clone(), stream.finish().await)
            }));
        }
        for watch in watches {
            let id = watch.job_id().clone();
            let outcome = watch.await.unwrap().outcome;
            assert_eq!(matches!(outcome, Outcome::Failed(_)), fails(&id), "seed {seed}");
        }
        for stream in drained {
            let (id, ended) = stream.await.unwrap();
            let outcome = ended.unwrap().outcome;
            assert_eq!(matches!(outcome, Outcome::Failed(_)), fails(&id), "seed {seed}");
        }
        let stats = fleet.stats();
        assert_eq!((stats.jobs, stats.in_flight, stats.queued), (0, 0, 0), "seed {seed}");
    }
}

//! Tests of how a budget plans: for new jobs, during throttling, and with a limit on requests in
//! flight.

use std::{collections::BTreeSet, time::Duration};

use job_model::JobId;
use job_poller::{Fleet, WaitPolicy, fleet::WaitRequest};
use job_sim::{Plan, Sim, TimeSource};

use crate::service::{SECOND, Service, sleep_for};

#[tokio::test(start_paused = true)]
async fn all_jobs_are_polled_again_after_a_minute_of_throttling() {
    let bad = 300 * SECOND..360 * SECOND;
    let sim =
        Sim::new(Plan::create_cluster(), TimeSource::Clock).outage(bad, "429".parse().unwrap());
    let service = Service::new(sim);
    let add = || service.sim.add(Plan::create_cluster().slower(100_000));
    let policy = WaitPolicy::new().no_timeout();
    let fleet = Fleet::builder(service.client()).requests_per_second(4.0).policy(policy).start();
    let watches: Vec<_> = (0..200).map(|_| fleet.watch(add())).collect();
    sleep_for(600 * SECOND).await;
    let asked = service.requests.lock().unwrap();
    let later = asked.iter().filter(|(at, _)| (420..520).contains(&at.as_secs()));
    let ids: BTreeSet<_> = later.map(|(_, id)| id).collect();
    assert_eq!(ids.len(), watches.len());
}

#[tokio::test(start_paused = true)]
async fn the_first_poll_of_a_submitted_job_is_delayed_when_the_budget_is_binding() {
    for (per_second, expected) in [(100.0, 0..1), (1.0, 20..190)] {
        let service = Service::with_default_plan();
        let fleet = Fleet::builder(service.client())
            .requests_per_second(per_second)
            .policy(WaitPolicy::new().no_timeout())
            .start();
        let add = || service.sim.add(Plan::create_cluster().slower(100_000));
        let _others: Vec<_> = (0..100).map(|_| fleet.watch(add())).collect();
        sleep_for(300 * SECOND).await;
        let (new, unknown) = (add(), add());
        let submitted = WaitRequest::new(new.clone()).submitted("CreateCluster");
        let _watches = [fleet.watch_with(submitted), fleet.watch(unknown.clone())];
        sleep_for(300 * SECOND).await;
        let asked = service.requests.lock().unwrap();
        let first = |id: &JobId| {
            let (at, _) = asked.iter().find(|(_, other)| other == id.as_str()).unwrap();
            at.as_secs() - 300
        };
        assert!(expected.contains(&first(&new)), "{per_second}: {}", first(&new));
        // The age of the other job is unknown.
        assert!(first(&unknown) < 10, "{per_second}: {}", first(&unknown));
    }
}

#[tokio::test(start_paused = true)]
async fn the_in_flight_limit_counts_as_a_budget() {
    let service = Service::with_default_plan();
    let add = || service.sim.add(Plan::create_cluster().slower(100_000));
    let policy = WaitPolicy::new().no_timeout();
    // A reply takes 20 ms, so one request in flight allows 50 per second.
    for (in_flight, is_spent) in [(100, false), (1, true)] {
        let fleet = Fleet::builder(service.client())
            .requests_per_second(1e6)
            .max_in_flight(in_flight)
            .policy(policy)
            .start();
        let _watches: Vec<_> = (0..1_000).map(|_| fleet.watch(add())).collect();
        sleep_for(100 * SECOND).await;
        let request_price = fleet.stats().request_price;
        assert_eq!(
            request_price > Duration::from_millis(250),
            is_spent,
            "{in_flight}: {request_price:?}"
        );
    }
}

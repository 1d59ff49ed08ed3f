//! Property tests of the scheduler in virtual time: what it may advance, and that it wastes no
//! request of a budget that is used up.

mod simulation;

use std::{sync::Arc, time::Duration};

use job_transport::{FetchError, FetchErrorKind};
use proptest::prelude::*;

use self::simulation::{Faults, Setup, Simulation, reading};
use super::*;
use crate::{
    fleet::lists::ListReads,
    machine::WaitPolicy,
    schedule::{Adaptive, History},
    source::source_fn,
};

/// The lists of a source that has none.
fn no_lists() -> Lists {
    let source = source_fn(|_| async { Err(FetchError::new(FetchErrorKind::EmptyBody)) });
    Lists::new(Arc::new(source), ListReads::off())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_request_is_wasted_and_no_wait_starves(
        seed: u64,
        jobs in 1_usize..120,
        per_second in 0.3_f64..8.0,
        is_refilled: bool,
    ) {
        let setup =
            Setup { seed, jobs, per_second, max_in_flight: 40, faults: Faults::None, is_refilled };
        let mut simulation = Simulation::new(setup);
        simulation.run(400)?;
        simulation.check_gaps()?;
        simulation.end()?;
    }

    #[test]
    fn only_planned_attempts_are_advanced(
        seed: u64,
        jobs in 1_usize..80,
        per_second in 0.3_f64..8.0,
        max_in_flight in 1_usize..10,
        is_outage: bool,
    ) {
        let faults = if is_outage { Faults::Outage } else { Faults::Random };
        let setup = Setup { seed, jobs, per_second, max_in_flight, faults, is_refilled: true };
        let mut simulation = Simulation::new(setup);
        simulation.run(400)?;
        simulation.end()?;
    }
}

/// The properties above are about runs like this one.
#[test]
fn a_fleet_whose_price_falls_advances_attempts() {
    let setup = Setup {
        seed: 1,
        jobs: 100,
        per_second: 2.0,
        max_in_flight: 20,
        faults: Faults::None,
        is_refilled: false,
    };
    let mut simulation = Simulation::new(setup);
    simulation.run(600).unwrap();
    assert!(simulation.advanced > 200, "{}", simulation.advanced);
}

/// Their plans are in their states, and no schedule is asked again.
#[test]
fn the_attempts_of_resumed_waits_can_be_advanced() {
    let mut scheduler = Scheduler::new(
        Budget::new(1.0, 20),
        no_lists(),
        ScheduleSource::learned(Adaptive::new(), History::new()),
    );
    let policy = Arc::new(WaitPolicy::new().no_timeout());
    let read_at = Duration::from_secs(1);
    for number in 0..100 {
        let id = format!("job-{number}").parse().unwrap();
        let mut machine = Machine::new(id, policy.clone()).with_seed(number);
        let schedule = Adaptive::new();
        let _ = machine.step(&schedule, Duration::ZERO, Input::Wake);
        let _ = machine.step(&schedule, read_at, reading("Running"));
        let machine = machine.resume();
        let new = NewWait { machine, elapsed_before: read_at, schedule: None, job_type: None };
        scheduler.subscribe(Duration::ZERO, new);
    }
    assert!(scheduler.poll(Duration::ZERO).attempts.is_empty());
    assert_eq!((scheduler.planned.len(), scheduler.ready.len()), (100, 0));
}

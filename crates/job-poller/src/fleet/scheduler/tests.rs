//! Property tests of the scheduler in virtual time: what it may advance, and that it wastes no
//! request of a budget that is used up.

mod simulation;

use proptest::prelude::*;

use self::simulation::{Faults, Setup, Simulation};

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

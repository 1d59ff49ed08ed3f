//! `cargo xtask simulate`: runs whole waits in a simulated network. A seed always gives the same
//! simulation.

use std::{ops::Range, process::Command};

use crate::cargo::cargo;

/// The test of the package `job-poller` that simulates networks.
const TEST: &str = "waits_report_the_true_outcome_despite_any_faults";

/// Returns the command that simulates each of `seeds` for `hours` simulated hours.
pub(crate) fn command(seeds: &Range<u64>, hours: u64) -> Command {
    let mut cargo_test = cargo(&["test", "--locked", "--release", "--package", "job-poller"]);
    cargo_test
        .args(["--test", "simulation", TEST])
        .env("SIMULATION_SEEDS", format!("{}..{}", seeds.start, seeds.end))
        .env("SIMULATION_HOURS", hours.to_string());
    cargo_test
}

/// Parses `--seed N`, `--seeds A..B` and `--hours H`. Returns `None` if the arguments are invalid.
/// The default is 20 seeds of 2 hours, as in `ci`.
pub(crate) fn parse_arguments(arguments: &[&str]) -> Option<(Range<u64>, u64)> {
    let (mut seeds, mut hours) = (0..20, 2);
    for pair in arguments.chunks(2) {
        match *pair {
            ["--seed", seed] => {
                let seed = seed.parse().ok()?;
                seeds = seed..seed + 1;
            }
            ["--seeds", range] => {
                let (from, to) = range.split_once("..")?;
                seeds = from.parse().ok()?..to.parse().ok()?;
            }
            ["--hours", number] => hours = number.parse().ok()?,
            _ => return None,
        }
    }
    (!seeds.is_empty() && hours > 0).then_some((seeds, hours))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise the command would run no test and succeed.
    #[test]
    fn the_simulation_test_exists() {
        let source = include_str!("../../crates/job-poller/tests/simulation/main.rs");
        assert!(source.contains(&format!("fn {TEST}(")));
    }

    #[test]
    fn seed_and_hour_arguments_parse_or_are_rejected() {
        type Row<'a> = (&'a [&'a str], Option<(Range<u64>, u64)>);
        let rows: [Row<'_>; 7] = [
            (&[], Some((0..20, 2))),
            (&["--seed", "7"], Some((7..8, 2))),
            (&["--hours", "6", "--seeds", "5..9"], Some((5..9, 6))),
            (&["--seeds", "9..5"], None),
            (&["--hours", "0"], None),
            (&["--seed"], None),
            (&["--seed", "many"], None),
        ];
        for (given, expected) in rows {
            assert_eq!(parse_arguments(given), expected, "{given:?}");
        }
    }
}

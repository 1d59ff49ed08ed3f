//! Prints what a run measured, and checks it against its bounds.

use std::{ops::Range, time::Duration};

use crate::{
    bounds::Bounds,
    case::{Case, Measurement, WINDOW_SECS},
};

/// Number of windows that are printed at most.
const PRINTED_WINDOWS: usize = 120;

/// Prints the figures of a run and checks their bounds.
pub(crate) fn report(case: &Case, measured: &Measurement, bounds: &mut Bounds) {
    println!(
        "  {} ends detected {:.2} s late on average; request price {:.1} s; \
         {:.2} µs of processor time per poll, including the service",
        measured.seen,
        measured.mean_delay(),
        measured.stats.request_price.as_secs_f64(),
        measured.micros_per_poll(),
    );
    print_windows(case, measured);
    // The bound is twice the round-robin gap, or the longest delay of the schedule.
    let max_gap = (2.0 * f64::from(case.jobs) / case.per_second).max(MAX_DELAY.as_secs_f64());
    let longest = measured.request_stats.max_gap.as_secs_f64();
    if case.outage.is_none() {
        bounds.check("longest gap / twice the round-robin gap", longest / max_gap, 0.0..=1.0);
        check_budget(case, measured, bounds);
    }
    // Each wait is for one job, and no job is requested again after its end was reported.
    let reported = measured.ends_reported as f64 / measured.request_stats.ends as f64;
    bounds.check("ends reported to callers / by the service", reported, 1.0..=1.0);
    if let Some((from, to)) = case.outage {
        let seconds = [from, to].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
        let requests = measured.requests(seconds[0]..seconds[1]);
        bounds.check("requests during the outage", requests, 0.0..=MAX_REQUESTS_IN_OUTAGE);
    }
}

/// Checks that the budget is used up in each window in which it binds, and that there are enough
/// such windows.
fn check_budget(case: &Case, measured: &Measurement, bounds: &mut Bounds) {
    // The first second has no price yet.
    let windows: Vec<_> = measured.windows().skip(1).collect();
    let used = |(seconds, _): &(Range<usize>, bool)| case.part_used(measured, seconds.clone());
    let most = windows.iter().map(used).fold(0.0, f64::max);
    bounds.check("budget used in ten seconds, maximum", most, 0.0..=1.01);
    let binding: Vec<_> = windows.iter().filter(|(_, is_binding)| *is_binding).collect();
    let least = binding.iter().copied().map(used).fold(f64::INFINITY, f64::min);
    bounds.check("budget used in ten seconds, minimum while it binds", least, 0.99..=1.01);
    let part = binding.len() as f64 / windows.len() as f64;
    bounds.check("windows in which the budget binds / all", part, case.min_binding..=1.0);
}

/// The longest delay of the schedule.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// The maximum number of requests while the service replies 503. Without advanced attempts there
/// are 6,354.
const MAX_REQUESTS_IN_OUTAGE: f64 = 6_400.0;

/// Prints the part of the budget that was used in each window, in percent. A window in which the
/// budget was not used up all the time has a mark.
fn print_windows(case: &Case, measured: &Measurement) {
    println!("  percent of the budget used in each {WINDOW_SECS} s (* not used up all the time):");
    let windows: Vec<String> = measured
        .windows()
        .take(PRINTED_WINDOWS)
        .map(|(seconds, is_binding)| {
            let mark = if is_binding { "" } else { "*" };
            format!("{:.0}{mark}", case.part_used(measured, seconds) * 100.0)
        })
        .collect();
    for line in windows.chunks(30) {
        println!("    {}", line.join(" "));
    }
}

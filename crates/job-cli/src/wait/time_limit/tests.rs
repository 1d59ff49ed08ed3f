//! Tests of time limits.

use job_poller::machine::Machine;

use super::*;

const START: &str = "2027-01-15T08:00:00Z";

fn at(seconds: f64) -> Timestamp {
    let start: Timestamp = START.parse().unwrap();
    start.checked_add(SignedDuration::from_secs_f64(seconds)).unwrap()
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn timeout(span: f64) -> TimeLimit {
    TimeLimit::Timeout(Some(seconds(span)))
}

/// A deadline that is this many seconds after the start of the command.
fn deadline(left: f64) -> TimeLimit {
    TimeLimit::new(None, Some(DeadlineArg(at(left))), at(0.0))
}

/// A wait that has run for `elapsed` seconds at the start of the command.
fn wait(policy: WaitPolicy, elapsed: f64) -> Checkpoint {
    let machine = Machine::new("a".parse().unwrap(), policy);
    Checkpoint::new(machine, seconds(elapsed)).with_taken_at(at(0.0))
}

#[test]
fn a_deadline_needs_an_offset() {
    for (text, expected) in [
        ("2027-01-15T08:00:00Z", Some(START)),
        ("2027-01-15T10:00:00+02:00", Some(START)),
        ("2027-01-15T08:00:00.25Z", Some("2027-01-15T08:00:00.25Z")),
        ("2027-01-15T08:00:00", None),
        ("2027-01-15", None),
        ("9m", None),
        ("", None),
    ] {
        let parsed = text.parse::<DeadlineArg>().ok().map(|DeadlineArg(at)| at.to_string());
        assert_eq!(parsed.as_deref(), expected, "{text}");
    }
}

#[test]
fn a_limit_counts_from_the_start_of_a_wait_and_a_deadline_from_now() {
    let policy = WaitPolicy::new().timeout(seconds(77.0));
    for (limit, elapsed, expected) in [
        (TimeLimit::Default, 30.0, 77.0),
        (timeout(60.0), 30.0, 60.0),
        (deadline(60.0), 0.0, 60.0),
        (deadline(60.0), 30.0, 90.0),
        // A deadline in the past allows one attempt.
        (deadline(-60.0), 0.0, 0.0),
        (deadline(-60.0), 30.0, 30.0),
    ] {
        let checkpoint = wait(policy, elapsed);
        let resumed = (elapsed > 0.0).then_some((&checkpoint, seconds(elapsed)));
        let policy = limit.apply(policy, resumed);
        assert_eq!(policy.deadline(), seconds(expected), "{limit:?} after {elapsed} s");
    }
    // The deadline of this wait in whole seconds, as in the command for the next slice.
    let checkpoint = wait(policy.timeout(seconds(77.25)), 30.0);
    let same = deadline(48.0).apply(*checkpoint.policy(), Some((&checkpoint, seconds(30.0))));
    assert_eq!(same.deadline(), seconds(77.25));
    let unlimited = TimeLimit::Timeout(None).apply(policy, None);
    assert_eq!(unlimited.deadline(), Duration::MAX);
}

#[test]
fn resuming_allows_the_same_time_again_or_the_rest() {
    let unlimited = TimeLimit::Timeout(None);
    let rows = [
        // After a timeout, a new wait gets the same timeout again.
        (timeout(60.0), Some(58.0), false, "--timeout 1m"),
        (TimeLimit::Default, Some(3598.0), false, ""),
        (timeout(0.0), Some(0.0), false, ""),
        (deadline(59.5), Some(58.0), false, "--timeout 1m"),
        (deadline(-5.0), Some(0.0), false, ""),
        // A resumed wait gets the elapsed time plus the timeout.
        (timeout(60.0), Some(58.0), true, "--timeout 2m"),
        (timeout(60.0), Some(118.0), true, "--timeout 2m58s"),
        (TimeLimit::Default, Some(3598.0), true, "--timeout 2h"),
        (timeout(0.0), Some(0.0), true, ""),
        (timeout(0.2), Some(0.0), true, "--timeout 1s"),
        (deadline(60.0), Some(118.0), true, "--timeout 2m58s"),
        // After a signal, the limit stays.
        (timeout(60.0), None, false, "--timeout 1m"),
        (timeout(60.0), None, true, "--timeout 1m"),
        (TimeLimit::Default, None, true, ""),
        (deadline(60.0), None, false, "--deadline 2027-01-15T08:01:00Z"),
        (deadline(60.0), None, true, "--deadline 2027-01-15T08:01:00Z"),
        (unlimited, None, true, "--timeout none"),
    ];
    for (limit, timed_out, from_file, expected) in rows {
        let next = limit.to_resume(timed_out.map(seconds), from_file).words().join(" ");
        assert_eq!(next, expected, "{limit:?} after {timed_out:?} s, from a file: {from_file}");
    }
}

#[test]
fn the_next_slice_has_the_same_deadline() {
    let minutes = |minutes: f64| WaitPolicy::new().timeout(seconds(60.0 * minutes));
    let waits = [wait(minutes(2.0), 60.0), wait(minutes(1.5), 29.75)];
    let unlimited = wait(WaitPolicy::new().no_timeout(), 60.0);
    let [first, second] = &waits;
    let (one, both, mixed) = (&[first][..], &[first, second][..], &[first, &unlimited][..]);
    // The latest deadline, in whole seconds. If they differ, each is in the state.
    for (limit, waits, without_state, with_state) in [
        (timeout(60.0), one, "--deadline 2027-01-15T08:01:00Z", "--deadline 2027-01-15T08:01:00Z"),
        (
            timeout(60.0),
            &[first, first],
            "--deadline 2027-01-15T08:01:00Z",
            "--deadline 2027-01-15T08:01:00Z",
        ),
        (timeout(60.0), both, "--deadline 2027-01-15T08:01:01Z", ""),
        (TimeLimit::Default, mixed, "--timeout none", ""),
        (TimeLimit::Default, &[&unlimited], "--timeout none", "--timeout none"),
        (
            deadline(0.25),
            both,
            "--deadline 2027-01-15T08:00:00.25Z",
            "--deadline 2027-01-15T08:00:00.25Z",
        ),
    ] {
        let next = [false, true]
            .map(|has_state| limit.to_continue(waits.iter().copied(), has_state).words().join(" "));
        assert_eq!(next, [without_state, with_state], "{limit:?} {}", waits.len());
    }
}

#[test]
fn the_time_that_is_left_is_explained() {
    let own = [
        wait(WaitPolicy::new().timeout(seconds(600.0)), 60.0),
        wait(WaitPolicy::new().timeout(seconds(60.0)), 55.0),
    ];
    let unlimited = [wait(WaitPolicy::new().no_timeout(), 60.0)];
    let minutes = |minutes: u64| NextLimit::Timeout(Some(Duration::from_secs(60 * minutes)));
    for (limit, in_file, expected) in [
        (NextLimit::Default, None, "for up to 1h more"),
        (NextLimit::Default, Some(&own[..]), "for up to 9m more"),
        (NextLimit::Default, Some(&unlimited), "without a time limit"),
        (minutes(2), None, "for up to 2m more"),
        (minutes(2), Some(&own), "for up to 1m 5s more"),
        (NextLimit::Timeout(None), Some(&own), "without a time limit"),
        (NextLimit::Deadline(at(0.0)), Some(&own), "until 2027-01-15T08:00:00Z"),
    ] {
        assert_eq!(limit.explain(in_file), expected, "{limit:?}");
    }
}

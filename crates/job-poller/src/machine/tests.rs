//! Tests of waits, as transcripts of scripts.

use insta::assert_snapshot;
use jiff::Timestamp;

use super::{
    script::{Setup, attempt, parse, setup},
    *,
};
use crate::schedule::{Adaptive, BudgetShare, Exponential};

mod attempt_errors;
mod decoding;
mod objects;
mod observations;

fn one_hour_setup() -> Setup {
    setup().timeout(3600.0)
}

/// Returns the input for the only reply of a script.
fn input_of(script: &str) -> Input {
    attempt(parse(script).reply(0), Duration::MAX).0
}

#[test]
fn the_job_succeeds() {
    assert_snapshot!(setup().transcripts(["init running*2 success", "running@5 success@12^15"]));
}

#[test]
fn the_delay_counts_from_the_later_of_the_end_and_the_start_of_the_wait() {
    let rows = [
        ("the job ended during the wait", "running@5 success@12^15", ", read 3s after its end"),
        ("it ended an hour before", "success@10^3610", ", read 100ms after its end"),
        ("it ended before, and is read late", "503 success@10^3610", ", read 1.2s after its end"),
        ("the reply has no date", "success@10", "0 sub-job lookups"),
    ];
    for (name, script, expected) in rows {
        let transcript = setup().transcript(script);
        assert!(transcript.trim_end().ends_with(expected), "{name}: {transcript}");
    }
}

#[test]
fn a_failed_job_reports_its_deepest_failed_sub_job() {
    assert_snapshot!(setup().transcripts([
        "running[A=running] running[A=failed] failed[A=failed]",
        "failed[A=failed,B=running,C=init]",
        "failed@10^12",
    ]));
}

#[test]
fn sub_job_and_progress_changes_emit_events() {
    assert_snapshot!(setup().transcript(
        "running[A=running] running[B=init,A=success] running[B=running,A=success]*2 success[B=success,A=success]"
    ));
}

#[test]
fn success_with_an_active_sub_job_settles() {
    assert_snapshot!(one_hour_setup().transcripts([
        "success[A=running] success[A=success]",
        "success[A=running]",
        "success[A=running] failed[A=failed]",
        "success[A=init] running[A=running] success[A=success]",
        "success[A=running] 404",
        "success[A=running] 403",
        "success[A=running] 503",
        "success[A=running] drop success[A=success]",
        "success[A=running] 429(600s)",
    ]));
}

#[test]
fn deadline_while_settling_succeeds_with_inconsistencies() {
    assert_snapshot!(setup().timeout(15.0).transcript("success[A=running]"));
}

#[test]
fn settling_ends_with_its_window_after_a_clipped_delay() {
    let window = |ms| {
        let settle = |policy: WaitPolicy| policy.settle(Duration::from_millis(ms), 99);
        one_hour_setup().policy(settle).transcript("success[A=running]")
    };
    let rows = [("the delay is clipped", window(15_000)), ("clipped to a second", window(20_500))];
    let none = one_hour_setup().policy(|policy| policy.settle(Duration::from_secs(60), 0));
    assert_snapshot!(
        join_transcripts(rows) + "\n-- no readings: " + &none.transcript("success[A=running]")
    );
}

#[test]
fn success_with_failed_or_phaseless_sub_job_succeeds_immediately() {
    assert_snapshot!(one_hour_setup().transcript("success[A=none,B=failed]"));
}

#[test]
fn strict_policy_fails_on_a_failed_sub_job() {
    let strict = one_hour_setup().policy(WaitPolicy::strict);
    assert_snapshot!(strict.transcripts([
        "success[A=none,B=failed]",
        "success[A=none]",
        "success[A=running,B=failed] 404",
    ]));
}

#[test]
fn running_jobs_with_all_sub_jobs_done_are_polled_sooner() {
    const GROWING: Exponential =
        Exponential::new(Duration::from_secs(2)..=Duration::from_secs(60)).jitter(0.0);
    static ADAPTIVE: Adaptive = Adaptive::new().jitter(0.0);
    let script = "running[A=running]*5 running[A=success]*4 running[B=running] success";
    let growing = Setup { schedule: &GROWING, ..one_hour_setup() }.transcript(script);
    let adaptive = Setup { schedule: &ADAPTIVE, ..one_hour_setup() }.transcript(script);
    assert_snapshot!(format!("-- exponential: {growing}\n-- adaptive: {adaptive}"));
}

#[test]
fn a_failed_sub_job_ends_the_wait_only_with_fail_fast() {
    let script = "running[A=failed] success[A=failed]";
    let fast = one_hour_setup().policy(WaitPolicy::fail_fast).transcript(script);
    assert_snapshot!(format!("{}\n-- fail_fast: {fast}", one_hour_setup().transcript(script)));
}

#[test]
fn failed_sub_jobs_missing_from_the_reply_are_looked_up() {
    assert_snapshot!(one_hour_setup().transcripts([
        // The step failed, and its own reply contains the reason.
        "failed?[A=failed?] failed?[B=failed]",
        // No step failed; one is running, and one has no phase.
        "failed?[A=success,B=running,C=none] running[D=running] failed[E=failed]",
        // At most three lookups; an error changes nothing.
        "failed?[A=none,B=none,C=none,D=none] drop 404 none",
        // A sub-job that contradicts the list is not accepted; a different job is not either.
        "failed?[A=failed?] running[B=failed]",
        "failed?[A=failed?] failed:b",
        "failed?[A=failed?] failed?:A[B=failed]",
        // At most ten seconds, and no lookup beyond a Retry-After.
        "failed?[A=none,B=none,C=none] none~8s none~8s",
        "failed?[A=none,B=none] 429(1s)",
        // No lookup after an error.
        "success[A=running,B=failed?] 404",
        "failed?[A=none,B=none] 401",
        // There is nothing to look up.
        "failed?",
        "failed?[A=failed]",
    ]));
}

#[test]
fn zero_timeout_still_looks_up_the_failed_sub_job() {
    let script = "failed?[A=failed?] failed?[B=failed]";
    assert_snapshot!(setup().timeout(0.0).transcript(script));
}

#[test]
fn max_tree_lookups_looks_up_sub_jobs_of_a_success() {
    let complete = one_hour_setup().policy(|policy| policy.max_tree_lookups(5));
    let script = "success[A=success,B=success] success[C=success] drop success";
    assert_snapshot!(complete.transcript(script));
}

#[test]
fn absent_and_unknown_phases_are_not_terminal() {
    assert_snapshot!(one_hour_setup().transcript("none Upgrading*2 successful SUCCESS"));
}

#[test]
fn an_unchanged_job_is_reported_as_stalled() {
    const FIVE_MINUTES: crate::schedule::Fixed =
        crate::schedule::Fixed::new(Duration::from_secs(300));
    let setup = Setup { schedule: &FIVE_MINUTES, ..one_hour_setup() };
    let stop = setup.policy(WaitPolicy::stop_when_stalled);
    assert_snapshot!(format!(
        "{}\n{}\n-- stop_when_stalled: {}",
        setup.transcript("none*4 running*2 success"),
        setup.transcript("running@1*2 running@2*2 running[A=running]@2*2 success"),
        stop.transcript("running"),
    ));
}

#[test]
fn a_backward_phase_change_is_accepted() {
    assert_snapshot!(
        one_hour_setup().transcript("running init success[A=running] running success")
    );
}

#[test]
fn stale_replies_are_dropped_at_most_three_times_in_a_row() {
    assert_snapshot!(one_hour_setup().transcripts([
        "running@9 init@5 running@9 success@10",
        "running@9 init@5*4 success",
        "running@9 success@5",
        "running@9 failed@5",
        "success[A=running]@9 success[A=init]@5*2 success@9",
    ]));
}

#[test]
fn the_last_attempt_starts_before_the_deadline() {
    let at = |seconds, script: &str| setup().timeout(seconds).transcript(script);
    let rows = [
        ("the delay is clipped", at(15.0, "running")),
        ("the last attempt may read the end", at(15.0, "running*2 success")),
        ("an attempt in flight is canceled at the deadline", at(25.0, "running running~99s")),
        ("no attempt follows one that ends in the reserve", at(25.0, "running~24s success")),
        ("the delay ends at the start of the reserve", at(22.2, "running")),
        ("less than a second is left", at(3.0, "running~2.6s success")),
        ("a second before the reserve", at(13.0, "running running~0.5s success")),
        ("the job is never read", at(90.0, "503~99s")),
        ("zero: one attempt with its full timeout", at(0.0, "running~5s success")),
        ("zero, and an error", at(0.0, "503")),
    ];
    assert_snapshot!(join_transcripts(rows));
}

#[test]
fn no_timeout_means_no_deadline() {
    let endless = setup().policy(WaitPolicy::no_timeout);
    let mut ended = Duration::ZERO;
    let script = parse("running 503*5000 running success");
    ended += endless.run(&script, |_, _, _| ());
    assert!(ended > Duration::from_secs(40 * 60 * 60), "{ended:?}");
}

#[test]
fn heartbeats_are_emitted_when_nothing_changes() {
    let beating = setup().policy(|policy| policy.heartbeat(Duration::from_secs(20)));
    assert_snapshot!(beating.transcript("init*2 running*4 success"));
}

#[test]
fn job_age_is_computed_from_service_timestamps() {
    let created = r#"{"metadata": {"creationTimestamp": "2020-02-02T08:00:00Z"},
        "spec": {"type": "CreateCluster"}, "status": {"phase": "Running"}}"#;
    let pause = |date: Option<&str>| {
        let date = date.map(|date| date.parse().unwrap());
        let job = Job::from_slice(created.as_bytes()).unwrap();
        let mut machine = setup().policy(WaitPolicy::no_timeout).machine();
        let input = Input::Reading { snapshot: job.into(), date, credentials_refreshed: false };
        let schedule = Adaptive::new().jitter(0.0);
        match machine.step(&schedule, Duration::from_secs(1), input).action {
            Action::SleepUntil(at) => at.as_secs(),
            action => panic!("{action:?}"),
        }
    };
    assert_eq!(pause(Some("2020-02-02T08:33:20Z")), 24);
    // If the `Date` is before the creation or missing, the job is as old as the wait.
    assert_eq!((pause(Some("2020-02-02T07:00:00Z")), pause(None)), (8, 8));
}

#[test]
fn a_step_returns_the_plan_if_it_called_the_schedule() {
    let schedule = Adaptive::new();
    let share = BudgetShare::new(Duration::from_secs(10), Duration::from_secs(99));
    let rows = [("running", true), ("503", false), ("success", false)];
    for (script, has_plan) in rows {
        let mut machine = setup().policy(WaitPolicy::no_timeout).machine();
        let first = machine.step_with_share(&schedule, share, Duration::ZERO, Input::Wake);
        assert_eq!(first.plan, None, "{script}");
        let (elapsed, input) = (Duration::from_secs(1), input_of(script));
        let mut alone = machine.clone();
        let step = machine.step_with_share(&schedule, share, elapsed, input.clone());
        assert_eq!(step.plan.is_some(), has_plan, "{script}");
        if let Some(plan) = step.plan {
            assert_eq!(step.action, Action::SleepUntil(elapsed + plan.delay));
            let plan_alone = alone.step(&schedule, elapsed, input).plan.unwrap();
            assert!(plan.delay > 2 * plan_alone.delay, "the share's request price is higher");
            assert!(plan.urgency.is_some() && plan_alone.urgency.is_some());
        }
    }
}

#[test]
fn job_is_available_during_sub_job_lookup() {
    let mut machine = setup().machine();
    for (now, input) in [(0, Input::Wake), (1, input_of("failed?[A=none]"))] {
        let step = machine.step(setup().schedule, Duration::from_secs(now), input);
        assert!(matches!(step.action, Action::Fetch { .. }), "{step:?}");
    }
    assert_eq!(machine.job().as_deref().map(Job::label), Some("CreateCluster"));
}

#[test]
fn a_late_wake_sends_one_attempt_and_replans() {
    let suspended = Setup { wake_latency: Duration::from_secs(25), ..one_hour_setup() };
    assert_snapshot!(suspended.transcript("running*2 success"));
}

#[test]
fn jitter_keeps_delays_within_bounds() {
    static JITTERED: Exponential =
        Exponential::new(Duration::from_secs(2)..=Duration::from_secs(5)).factor(2.0);
    let setup = Setup { schedule: &JITTERED, ..one_hour_setup() };
    let setup = setup.policy(|policy| policy.backoff(WaitPolicy::new().backoff));
    assert_snapshot!(setup.transcript("running*5 drop*4 success"));
}

#[test]
fn jittered_delays_depend_only_on_the_seed() {
    let pauses = |seed| {
        let mut machine = Machine::new("a".parse().unwrap(), WaitPolicy::new()).with_seed(seed);
        let mut input = Input::Wake;
        let pauses = (0..6).filter_map(|number| {
            let action = machine.step(&Adaptive::new(), Duration::ZERO, input.clone()).action;
            (machine.next_attempt_at, machine.not_before) =
                (CompactDuration::ZERO, CompactDuration::ZERO);
            input = match number % 2 {
                0 => input_of("running"),
                _ => Input::Wake,
            };
            if let Action::SleepUntil(at) = action { Some(at) } else { None }
        });
        pauses.collect::<Vec<_>>()
    };
    let [one, other] = [pauses(1), pauses(2)];
    assert_eq!(one, pauses(1));
    assert!(one.iter().zip(&other).all(|(one, other)| one != other), "{one:?} {other:?}");
    assert!(one[0] != one[1] && one[1] != one[2], "{one:?}");
}

#[test]
fn a_wait_can_be_stopped_in_any_state() {
    let at = |seconds, script: &str| {
        Setup { stop_at: Duration::from_secs_f64(seconds), ..setup() }.transcript(script)
    };
    let rows = [
        ("during a delay", at(5.0, "running")),
        ("during an attempt", at(11.0, "running running~5s")),
        ("while settling: the wait stops with an error", at(5.0, "success[A=running]")),
        ("during a lookup: the known failure is reported", at(1.0, "failed?[A=none] none~5s")),
    ];
    assert_snapshot!(join_transcripts(rows));
}

#[test]
fn refreshed_credentials_emit_an_event() {
    assert_snapshot!(setup().transcript("+running +503 +running:b success"));
}

#[test]
fn early_and_late_wakes_get_the_right_action() {
    let running = || input_of("running");
    let at = Duration::from_secs;
    let rows: [(&str, Vec<(Duration, Input)>); 4] = [
        (
            "too early: the same sleep again",
            vec![(at(0), Input::Wake), (at(0), running()), (at(3), Input::Wake)],
        ),
        (
            "after the deadline: no attempt",
            vec![(at(0), Input::Wake), (at(0), running()), (at(60), Input::Wake)],
        ),
        ("the first wake is late", vec![(at(60), Input::Wake)]),
        (
            "late wake: an immediate attempt",
            vec![(at(0), Input::Wake), (at(0), running()), (at(59), Input::Wake)],
        ),
    ];
    let rows = rows.map(|(name, inputs)| {
        let mut machine = setup().machine();
        let actions =
            inputs.into_iter().map(|(now, input)| machine.step(setup().schedule, now, input));
        format!("{name}: {:?}", actions.last().expect("a step").action)
    });
    assert_snapshot!(rows.join("\n"));
}

#[test]
fn a_resumed_wait_honors_its_plan_and_retry_after() {
    let at = Duration::from_secs;
    let stopped = |setup: Setup, script: &str| {
        let mut last = None;
        setup.run(&parse(script), |_, step, _| last = Some(step.action.clone()));
        let Some(Action::Finish(result)) = last else {
            panic!("the wait should have ended: {last:?}")
        };
        result.unwrap_err().into_checkpoint().resume(Timestamp::UNIX_EPOCH)
    };
    let asked = || stopped(setup(), "running 429(55s)");
    let rows = [
        ("the same deadline, and a Retry-After beyond it: no attempt", asked(), setup()),
        ("a later deadline: not before the Retry-After", asked(), one_hour_setup()),
        ("no Retry-After: at once", stopped(setup(), "running"), one_hour_setup()),
        (
            "too many errors: not before the Retry-After",
            {
                let one = one_hour_setup().policy(|policy| policy.max_consecutive_errors(1));
                stopped(one, "429(60s)")
            },
            one_hour_setup(),
        ),
        (
            "a shorter timeout: earlier than planned",
            {
                let stop = Setup { stop_at: at(5), ..one_hour_setup() };
                stopped(stop, "running")
            },
            setup().timeout(9.0),
        ),
        (
            "just before the deadline: with its full timeout",
            {
                let stop = Setup { stop_at: at(5), ..one_hour_setup() };
                stopped(stop, "running")
            },
            setup().timeout(6.001),
        ),
        (
            "a zero timeout: one more attempt",
            stopped(setup().timeout(0.0), "running"),
            setup().timeout(0.0),
        ),
    ];
    let rows = rows.map(|(name, (machine, elapsed), setup)| {
        let mut machine = machine.with_policy(setup.policy);
        let step = machine.step(setup.schedule, elapsed + at(1), Input::Wake);
        format!("{name}, after {elapsed:?}: {:?}", step.action)
    });
    assert_snapshot!(rows.join("\n"));
}

fn join_transcripts<const N: usize>(rows: [(&str, String); N]) -> String {
    rows.map(|(name, transcript)| format!("-- {name}: {transcript}")).join("\n")
}

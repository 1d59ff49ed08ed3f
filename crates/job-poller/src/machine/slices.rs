//! Tests that a wait in slices makes the same requests and has the same outcome as one without. Only
//! a reduced checkpoint is kept between two slices.

use job_model::object::ObjectId;
use proptest::prelude::*;

use super::{
    replay::replies,
    script::{Setup, attempt, attempt_object, cases, compare, parse, setup},
    *,
};
use crate::{reply_script::ReplyScript, schedule::Adaptive};

static ADAPTIVE: Adaptive = Adaptive::new();

/// What must be the same with and without slices.
#[derive(Debug, PartialEq)]
struct Course {
    requests: Vec<(Duration, String)>,
    outcome: String,
    /// The events of each step that had any.
    events: Vec<(Duration, Vec<String>)>,
    /// `None` if the wait was stopped while it looked up the steps of a job that had ended.
    elapsed: Option<Duration>,
}

/// Returns the outcome in words, with the state of each object.
fn describe(result: &Result<FinishedJob, WaitError>) -> String {
    match result {
        Ok(ended) => {
            let objects = ended.objects.iter().map(|one| (&one.id, one.state));
            format!("{} {:?}", ended.outcome.as_str(), objects.collect::<Vec<_>>())
        }
        Err(error) => error.kind().as_str().into(),
    }
}

/// Returns the events of a step, except those that depend on what a reduced checkpoint does not contain.
/// All changes of one reading are one entry: after a slice, they include steps that have not changed.
fn comparable(events: &[Event]) -> Vec<String> {
    let mut shown: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Phase { .. } | Event::SubJob { .. } | Event::Progress(_) => {
                Some("changes".to_owned())
            }
            // A heartbeat is not due if there are other events.
            Event::Deviations(_) | Event::Heartbeat => None,
            event => Some(format!("{event:?}")),
        })
        .collect();
    shown.dedup();
    shown
}

/// Runs a wait. It is stopped at the times in `stops`, if no attempt is in flight then, and resumed
/// at once. Returns its course, and the lengths of the checkpoints.
fn run(setup: &Setup, script: &ReplyScript, stops: &[Duration]) -> (Course, Vec<usize>) {
    let (mut machine, mut now, mut next) = (setup.machine(), Duration::ZERO, Input::Wake);
    let (mut stops, mut lengths, mut requests) = (stops.iter().peekable(), Vec::new(), Vec::new());
    let mut events = Vec::new();
    loop {
        let step = machine.step(setup.schedule, now, next);
        let shown = comparable(&step.events);
        events.extend((!shown.is_empty()).then_some((now, shown)));
        let (input, latency) = match step.action {
            Action::Fetch { timeout, id, .. } => {
                requests.push((now, id.to_string()));
                attempt(script.reply(requests.len() - 1), timeout)
            }
            Action::FetchObject { id, timeout } => {
                requests.push((now, id.to_string()));
                attempt_object(script.reply(requests.len() - 1), &id, timeout)
            }
            Action::SleepUntil(at) => {
                while stops.next_if(|stop| **stop <= now).is_some() {}
                let Some(stop) = stops.next_if(|stop| **stop < at) else {
                    (now, next) = (at.max(now), Input::Wake);
                    continue;
                };
                now = *stop;
                let action = machine.step(setup.schedule, now, Input::Stop).action;
                let Action::Finish(result) = action else { panic!("{action:?}") };
                let error = match *result {
                    Err(error) => error,
                    // The job has ended, and a wait that is stopped does not look up its steps.
                    Ok(ended) => {
                        let outcome = describe(&Ok(ended));
                        return (Course { requests, outcome, events, elapsed: None }, lengths);
                    }
                };
                assert_eq!(error.kind(), WaitErrorKind::Stopped);
                let reduced = error.into_checkpoint().reduced();
                let bytes = postcard::to_allocvec(&reduced).unwrap();
                lengths.push(bytes.len());
                let stored: Checkpoint = postcard::from_bytes(&bytes).unwrap();
                machine = stored.machine().clone().resume();
                (Input::Wake, Duration::ZERO)
            }
            Action::Finish(result) => {
                let outcome = describe(&result);
                return (Course { requests, outcome, events, elapsed: Some(now) }, lengths);
            }
        };
        (now, next) = (now + latency, input);
    }
}

#[test]
fn a_slice_that_ends_near_the_deadline_does_not_extend_the_last_attempt() {
    let cluster: fn() -> ObjectId = || ObjectId::Cluster("c".parse().unwrap());
    let ready = setup().policy(WaitPolicy::until_ready);
    // A `Retry-After` delays the last attempt of the wait for 60 s to 58.2 s or more, which is less than
    // two seconds before the deadline. Its reply comes after the deadline.
    let rows = [
        ("a job", setup(), "running 429(48s) running~5s", "deadline_exceeded"),
        (
            "a cluster",
            Setup { object: Some(cluster), ..ready },
            "Creating 429(48s) Available~5s",
            "not_ready",
        ),
        (
            "a node that a lookup has found",
            ready,
            "CreateNode/success[CreateNode#s=success] 429(58s) \
             CreateNode/success:s[InstallNode#n=success] Active~5s",
            "not_ready",
        ),
    ];
    for (name, setup, script, outcome) in rows {
        let script = parse(script);
        let (whole, _) = run(&setup, &script, &[]);
        let (sliced, lengths) = run(&setup, &script, &[Duration::from_millis(58_100)]);
        assert_eq!(lengths.len(), 1, "{name}: the wait was not stopped");
        assert_eq!(sliced, whole, "{name}");
        let end = Some(Duration::from_secs(60));
        assert_eq!((&*whole.outcome, whole.elapsed), (outcome, end), "{name}");
    }
}

#[test]
fn a_reading_that_equals_the_kept_part_of_the_job_replaces_the_last_reading() {
    let with_steps = r#"{"spec": {"type": "CreateCluster", "subJobs": [{"status": {"phase": "Running"}}]},
        "status": {"phase": "Running"}}"#;
    let without_steps = r#"{"spec":{"type":"CreateCluster"},"status":{"phase":"Running"}}"#;
    let (setup, interval) = (setup(), Duration::from_secs(10));
    let events = |is_sliced: bool| {
        let (mut machine, mut events) = (setup.machine(), Vec::new());
        for (number, body) in [with_steps, without_steps, with_steps].into_iter().enumerate() {
            let now = interval * u32::try_from(number).unwrap();
            let step = machine.step(setup.schedule, now, Input::Wake);
            let Action::Fetch { last, .. } = step.action else { panic!("{:?}", step.action) };
            let reading = JobSnapshot::from_slice(body.as_bytes()).unwrap();
            let input = Input::from(job_transport::Reading::new(reading));
            let step = machine.step(setup.schedule, now, compare(input, last));
            events.push(comparable(&step.events));
            if is_sliced && number == 0 {
                machine = Checkpoint::new(machine, now).reduced().machine().clone().resume();
            }
        }
        events
    };
    let whole = events(false);
    assert_eq!(whole[2][0], "changes", "{whole:?}");
    assert_eq!(events(true), whole);
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn a_wait_in_slices_has_the_same_course_as_one_wait(
        replies in prop::collection::vec(replies(), 1..20),
        strict: bool,
        fail_fast: bool,
        until in prop::sample::select(vec![Until::Ended, Until::Ready, Until::Gone]),
        object: bool,
        stalled_after in prop::sample::select(vec![20, 100, 1000]),
        stop_when_stalled: bool,
        stops in prop::collection::vec(1..300_000_u64, 20),
        // The last attempt before the deadline has rules of its own.
        late_stops in prop::collection::vec(290_000..300_000_u64, 3),
    ) {
        let policy = |policy: WaitPolicy| {
            let policy = policy.until(until).max_tree_lookups(2);
            let policy = policy.stalled_after(Duration::from_secs(stalled_after));
            let policy = if stop_when_stalled { policy.stop_when_stalled() } else { policy };
            let policy = if strict { policy.strict() } else { policy };
            if fail_fast { policy.fail_fast() } else { policy }
        };
        let cluster: fn() -> ObjectId = || ObjectId::Cluster("c".parse().unwrap());
        let object = object.then_some(cluster);
        let setup = Setup { schedule: &ADAPTIVE, object, ..setup().timeout(300.0).policy(policy) };
        let script = ReplyScript::new(replies);
        let stops = stops.into_iter().chain(late_stops);
        let mut stops: Vec<_> = stops.map(Duration::from_millis).collect();
        stops.sort();
        let (mut whole, _) = run(&setup, &script, &[]);
        let (sliced, lengths) = run(&setup, &script, &stops);
        if sliced.elapsed.is_none() {
            whole.requests.truncate(sliced.requests.len());
            whole.elapsed = None;
            whole.events.truncate(sliced.events.len());
        }
        prop_assert_eq!(whole, sliced);
        prop_assert!(lengths.iter().all(|length| *length < 2000), "{:?}", lengths);
    }
}

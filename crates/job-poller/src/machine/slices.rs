//! Tests that a wait in slices makes the same requests and has the same outcome as one without. Only
//! a reduced checkpoint is kept between two slices.

use job_model::object::ObjectId;
use proptest::prelude::*;

use super::{
    replay::replies,
    script::{Setup, attempt, attempt_object, setup},
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

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
        let mut stops: Vec<_> = stops.into_iter().map(Duration::from_millis).collect();
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

//! Tests that replaying a log of inputs produces identical steps, even if the machine is serialized
//! between them.

use proptest::prelude::*;
use serde::de::DeserializeOwned;

use super::{
    script::{Reply, Setup, attempt, attempt_object, cases, setup},
    *,
};
use crate::{reply_script::ReplyScript, schedule::Adaptive};

const REPLIES: &[&str] = &[
    "init",
    "none",
    "Upgrading",
    "running",
    "running@5^9",
    "running@3",
    "running:b",
    "success:9",
    "running[A=failed,B=running]",
    "running[A=success]",
    "+running[A=success,B=init]",
    "success[A=running]",
    "success[A=success,B=success]",
    "success@5^9",
    "failed?[A=none,B=failed?,C=running]",
    "failed",
    "drop",
    "refused",
    "garbage",
    "429(7s)",
    "+503",
    "404",
    "401",
    "403",
    "badsig",
    "CreateNode/success[InstallNode#n=success,CreateNode=success]",
    "DeleteNode/running[DeleteNode#n=running]",
    "Available",
    "Active",
    "Error",
];

pub(super) fn replies() -> impl Strategy<Value = Reply> {
    let latency = prop_oneof![Just(100), 0..100_u64, 0..60_000_u64].prop_map(Duration::from_millis);
    (prop::sample::select(REPLIES), latency)
        .prop_map(|(text, latency)| Reply::parse(text).unwrap().with_latency(latency))
}

static ADAPTIVE: Adaptive = Adaptive::new();

/// Records a wait: each input with its time.
fn record(setup: &Setup, seed: u64, script: &ReplyScript) -> Vec<(Duration, Input)> {
    let mut log = vec![(Duration::ZERO, Input::Wake)];
    let mut machine = setup.machine().with_seed(seed);
    let mut number = 0;
    loop {
        let (now, input) = log[log.len() - 1].clone();
        match machine.step(setup.schedule, now, input).action {
            Action::Fetch { timeout, .. } => {
                let (input, latency) = attempt(script.reply(number), timeout);
                number += 1;
                log.push((now + latency, input));
            }
            Action::FetchObject { id, timeout } => {
                let (input, latency) = attempt_object(script.reply(number), &id, timeout);
                number += 1;
                log.push((now + latency, input));
            }
            Action::SleepUntil(at) => log.push((now.max(at), Input::Wake)),
            Action::Finish(_) => return log,
        }
    }
}

/// Serializes and deserializes a value. The format depends on `number`.
fn round_trip<T: Serialize + DeserializeOwned>(number: usize, value: &T) -> T {
    match number % 3 {
        0 => serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap(),
        1 => postcard::from_bytes(&postcard::to_allocvec(value).unwrap()).unwrap(),
        _ => {
            let mut bytes = Vec::new();
            ciborium::into_writer(value, &mut bytes).unwrap();
            ciborium::from_reader(&*bytes).unwrap()
        }
    }
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn replaying_a_log_gives_the_same_steps_in_any_format(
        replies in prop::collection::vec(replies(), 1..20),
        seed: u64,
        strict: bool,
        until in prop::sample::select(vec![Until::Ended, Until::Ready, Until::Gone]),
        offset in 0..3_usize,
    ) {
        let policy = |policy: WaitPolicy| {
            let policy = WaitPolicy { backoff: WaitPolicy::new().backoff, until, ..policy };
            if strict { policy.strict().max_tree_lookups(2) } else { policy }
        };
        let setup = Setup { schedule: &ADAPTIVE, ..setup().timeout(300.0).policy(policy) };
        let log = record(&setup, seed, &ReplyScript::new(replies));
        let mut straight = setup.machine().with_seed(seed);
        let mut through_formats = straight.clone();
        for (number, (now, input)) in log.into_iter().enumerate() {
            through_formats = round_trip(number + offset, &through_formats);
            prop_assert_eq!(&through_formats, &straight);
            let taken = round_trip(number + offset + 1, &input);
            let step = straight.step(setup.schedule, now, input);
            let again = through_formats.step(setup.schedule, now, taken);
            prop_assert_eq!(format!("{step:?}"), format!("{again:?}"));
            prop_assert_eq!(step, again);
        }
    }

    #[test]
    fn comparing_replies_does_not_change_the_steps(
        replies in prop::collection::vec(replies(), 1..20),
        settle: bool,
    ) {
        let script = ReplyScript::new(replies);
        let steps = |compares_replies| {
            let policy = |policy: WaitPolicy| if settle { policy } else { policy.strict() };
            let setup = setup().timeout(300.0).policy(policy);
            let setup = Setup { schedule: &ADAPTIVE, compares_replies, ..setup };
            let mut steps = Vec::new();
            setup.run(&script, |now, step, _| steps.push(format!("{now:?} {step:?}")));
            steps
        };
        prop_assert_eq!(steps(false), steps(true));
    }
}

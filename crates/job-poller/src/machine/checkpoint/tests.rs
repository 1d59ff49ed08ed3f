//! Tests of stored checkpoints, and of the time until one is resumed.

use jiff::SignedDuration;

use super::*;
use crate::machine::policy::WaitPolicy;

fn checkpoint() -> Checkpoint {
    let machine = Machine::new("a".parse().unwrap(), WaitPolicy::new());
    Checkpoint::new(machine, Duration::from_secs(90))
}

#[test]
fn resume_adds_the_wall_clock_time_since_the_checkpoint() {
    let then = Timestamp::constant(1_800_000_000, 0);
    let later = |seconds| then + SignedDuration::from_secs(seconds);
    let rows = [
        ("a minute later", checkpoint().with_taken_at(then), later(60), 150),
        ("at once", checkpoint().with_taken_at(then), then, 90),
        ("the clock was set back", checkpoint().with_taken_at(then), later(-3600), 90),
        ("without the time of the checkpoint", checkpoint(), later(60), 90),
        ("a year later", checkpoint().with_taken_at(then), later(31_536_000), 31_536_090),
    ];
    for (name, checkpoint, now, seconds) in rows {
        assert_eq!(checkpoint.resume(now).1, Duration::from_secs(seconds), "{name}");
    }
}

#[test]
fn invalid_checkpoints_are_rejected_with_a_reason() {
    let text = serde_json::to_string(&checkpoint()).unwrap();
    let id = job_model::object::ObjectId::Cluster("c".parse().unwrap());
    let machine = Machine::for_object(id, WaitPolicy::new());
    let object = serde_json::to_string(&Checkpoint::new(machine, Duration::ZERO)).unwrap();
    let rows = [
        ("a newer version", text.replacen(":2,", ":4,", 1)),
        ("no version", text.replacen("\"version\":2,", "", 1)),
        (
            "a snapshot that is not a job",
            text.replacen("\"snapshot\":null", "\"snapshot\":\"[]\"", 1),
        ),
        ("an invalid id", text.replacen("\"id\":\"a\"", "\"id\":\"../b\"", 1)),
        ("no current object", object.replacen("\"current\":0", "\"current\":1", 1)),
        ("cut off", text[..text.len() / 2].into()),
        ("nothing", String::new()),
    ];
    let errors = rows.map(|(name, text)| {
        format!("{name}\n    {}\n", serde_json::from_str::<Checkpoint>(&text).unwrap_err())
    });
    insta::assert_snapshot!(errors.concat());
    let newer = postcard::to_allocvec(&(2_u32, 0_u8)).unwrap();
    assert!(postcard::from_bytes::<Checkpoint>(&newer).is_err());
}

#[test]
fn an_earlier_version_does_not_read_a_wait_that_goes_on_after_the_job() {
    let cluster = job_model::object::ObjectId::Cluster("c".parse().unwrap());
    let (policy, id) = (WaitPolicy::new(), || "a".parse().unwrap());
    let for_object = Checkpoint::new(Machine::for_object(cluster, policy), Duration::ZERO);
    let new = |policy| Checkpoint::new(Machine::new(id(), policy), Duration::ZERO);
    let rows = [
        (new(policy), 2),
        (new(policy.until_ready()), 3),
        (new(policy.until_gone()), 3),
        (new(policy).with_policy(policy.until_ready()), 3),
        (new(policy.until_ready()).with_policy(policy), 2),
        (for_object, 3),
    ];
    for (checkpoint, version) in rows {
        let json = serde_json::to_value(&checkpoint).unwrap();
        assert_eq!(json["version"], version, "{json}");
        assert_eq!(serde_json::from_value::<Checkpoint>(json).unwrap(), checkpoint);
    }
}

#[test]
fn checkpoint_debug_output_is_short() {
    insta::assert_snapshot!(format!("{:?}", checkpoint()));
}

#[test]
fn continue_at_keeps_the_deadline_and_tolerates_late_wakes() {
    let policy = WaitPolicy::new().timeout(Duration::from_secs(100));
    let then = Timestamp::constant(1_800_000_000, 0);
    // The time that the engine slept, starting at 90 s; the expected behavior; the timeout of its
    // attempt.
    let rows = [
        (5, "wakes in time", Some(Duration::from_secs(5))),
        (9, "the last attempt ends at the deadline", Some(Duration::from_secs(1))),
        (10, "the deadline passes before the attempt", None),
        (11, "a late wake: one attempt with its full timeout", Some(Duration::from_secs(30))),
        (3600, "a wake that is an hour late", Some(Duration::from_secs(30))),
    ];
    for (seconds, name, expected) in rows {
        let machine = Machine::new("a".parse().unwrap(), policy);
        let checkpoint = Checkpoint::new(machine, Duration::from_secs(90)).with_taken_at(then);
        let (mut machine, elapsed) =
            checkpoint.continue_at(then + SignedDuration::from_secs(seconds));
        let schedule = crate::schedule::Fixed::new(Duration::from_secs(1));
        let step = machine.step(&schedule, elapsed, crate::machine::Input::Wake);
        let timeout = match step.action {
            crate::machine::Action::Fetch { timeout, .. } => Some(timeout),
            _ => None,
        };
        assert_eq!(timeout, expected, "{name}");
    }
}

#[test]
fn columns_of_a_checkpoint_are_wall_clock_times() {
    let then = Timestamp::constant(1_800_000_000, 0);
    let at = |seconds| Some(then + SignedDuration::from_secs(seconds));
    let limited = |seconds| WaitPolicy::new().timeout(Duration::from_secs(seconds));
    // The policy; the expected deadline, and the expected time of the first attempt.
    let rows = [
        ("the deadline is ahead", limited(100), at(10), at(-90)),
        ("the deadline has passed", limited(30), at(-60), at(-90)),
        ("no timeout", WaitPolicy::new().no_timeout(), None, at(-90)),
        ("a timeout beyond the range", WaitPolicy::new().timeout(Duration::MAX), None, at(-90)),
    ];
    for (name, policy, deadline_at, next_attempt_at) in rows {
        let checkpoint = checkpoint().with_policy(policy);
        let unknown =
            [checkpoint.taken_at(), checkpoint.deadline_at(), checkpoint.next_attempt_at()];
        assert_eq!(unknown, [None; 3], "{name}");
        let checkpoint = checkpoint.with_taken_at(then);
        assert_eq!(checkpoint.taken_at(), Some(then), "{name}");
        assert_eq!(checkpoint.deadline_at(), deadline_at, "{name}");
        assert_eq!(checkpoint.next_attempt_at(), next_attempt_at, "{name}");
        assert_eq!((checkpoint.phase(), checkpoint.attempts()), (None, 0), "{name}");
    }
}

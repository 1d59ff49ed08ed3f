//! Tests of policies in configurations and in checkpoints.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::machine::Machine;

const MINUTE: Duration = Duration::from_secs(60);

/// Returns a policy that differs from the default in every field.
fn unusual_policy() -> WaitPolicy {
    WaitPolicy::new()
        .no_timeout()
        .attempt_timeout(Duration::from_millis(1_500))
        .backoff(Exponential::new(Duration::from_secs(2)..=MINUTE).factor(1.25).jitter(0.5))
        .not_found_grace(Duration::MAX)
        .settle(Duration::ZERO, 7)
        .confirmations(4)
        .max_unreadable_replies(6)
        .max_consecutive_errors(20)
        .strict()
        .fail_fast()
        .stalled_after(Duration::from_nanos(3_661_000_000_001))
        .stop_when_stalled()
        .max_failure_lookups(8)
        .max_tree_lookups(9)
        .heartbeat(5 * MINUTE)
}

/// Returns the policy after a checkpoint with it was stored and read.
fn store_and_read(policy: WaitPolicy, change: impl FnOnce(&mut Value)) -> WaitPolicy {
    let machine = Machine::new("a".parse().unwrap(), policy);
    let mut stored = serde_json::to_value(&machine).unwrap();
    change(&mut stored["policy"]);
    *serde_json::from_value::<Machine>(stored).unwrap().policy()
}

#[test]
fn policies_round_trip_in_every_format() {
    for policy in [WaitPolicy::new(), unusual_policy()] {
        let json = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<WaitPolicy>(&json).unwrap(), policy, "{json}");
        let toml = toml::to_string(&policy).unwrap();
        assert_eq!(toml::from_str::<WaitPolicy>(&toml).unwrap(), policy, "{toml}");
        let bytes = postcard::to_allocvec(&policy).unwrap();
        assert_eq!(postcard::from_bytes::<WaitPolicy>(&bytes).unwrap(), policy);
        assert_eq!(store_and_read(policy, |_| ()), policy);
    }
    let toml =
        [WaitPolicy::new(), unusual_policy()].map(|policy| toml::to_string(&policy).unwrap());
    insta::assert_snapshot!(toml.join("\n---\n"));
}

#[test]
fn configurations_have_defaults_and_readable_durations() {
    let new = WaitPolicy::new;
    let backoff = |cap| Exponential::new(Duration::from_secs(1)..=cap).factor(2.0);
    let rows = [
        ("", new()),
        ("timeout = '90s'", new().timeout(Duration::from_secs(90))),
        ("timeout = '1h30m'", new().timeout(90 * MINUTE)),
        ("timeout = '1h 30m'", new().timeout(90 * MINUTE)),
        ("timeout = '1.5h'", new().timeout(90 * MINUTE)),
        ("timeout = '0s'", new().timeout(Duration::ZERO)),
        ("timeout = 'none'", new().no_timeout()),
        ("timeout = {secs = 90, nanos = 5}", new().timeout(Duration::new(90, 5))),
        ("heartbeat = '5m'", new().heartbeat(5 * MINUTE)),
        ("heartbeat = 'none'", new()),
        ("attempt_timeout = {secs = 60, nanos = 0}", new().attempt_timeout(MINUTE)),
        ("strict = true\nmax_consecutive_errors = 3", new().strict().max_consecutive_errors(3)),
        ("[settle]\nreadings = 2", new().settle(MINUTE, 2)),
        ("[backoff]\ncap = '1m'", new().backoff(backoff(MINUTE))),
        ("[backoff]\njitter = 7.0", new().backoff(backoff(MINUTE / 2).jitter(1.0))),
    ];
    for (text, expected) in rows {
        assert_eq!(toml::from_str::<WaitPolicy>(text).unwrap(), expected, "{text}");
    }
    let null: WaitPolicy = serde_json::from_str(r#"{"timeout": null}"#).unwrap();
    assert_eq!(null, new().no_timeout());
}

#[test]
fn mistakes_in_a_configuration_are_errors_that_name_the_field_or_the_value() {
    let rows = [
        r#"{"timeuot": "45m"}"#,
        r#"{"settle": {"window": "1m", "reading": 5}}"#,
        r#"{"backoff": {"ceiling": "1m"}}"#,
        r#"{"timeout": 45}"#,
        r#"{"timeout": "45"}"#,
        r#"{"timeout": "-5s"}"#,
        r#"{"timeout": "soon\u001b"}"#,
        r#"{"attempt_timeout": "none"}"#,
        r#"{"attempt_timeout": null}"#,
        r#"{"attempt_timeout": {"secs": 5}}"#,
        r#"{"confirmations": -1}"#,
    ];
    let errors = rows.map(|json| {
        format!("{json}\n    {}\n", serde_json::from_str::<WaitPolicy>(json).unwrap_err())
    });
    insta::assert_snapshot!(errors.concat());
}

#[test]
fn stored_policies_ignore_unknown_fields_and_default_missing_ones() {
    let policy = store_and_read(unusual_policy(), |stored| {
        stored["new_limit"] = json!({"secs": 1});
        stored["settle"]["new_limit"] = json!(1);
        stored["backoff"]["new_limit"] = json!(1);
        stored.as_object_mut().unwrap().remove("strict");
    });
    assert_eq!(policy, WaitPolicy { strict: false, ..unusual_policy() });
    let stored =
        serde_json::to_value(Machine::new("a".parse().unwrap(), unusual_policy())).unwrap();
    insta::assert_snapshot!(stored["policy"]);
}

proptest! {
    #[test]
    fn durations_round_trip_exactly(seconds: u64, nanoseconds in 0..1_000_000_000_u32) {
        let span = Duration::new(seconds, nanoseconds);
        let policy = WaitPolicy::new().timeout(span).stalled_after(span);
        let json = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<WaitPolicy>(&json).unwrap(), policy, "{}", json);
    }
}

//! Tests which messages state a rate limit.

use alloc::{
    format,
    string::{String, ToString},
};

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

fn read(message: &str) -> String {
    RateLimit::from_message(message).map_or_else(|| "none".into(), |limit| limit.to_string())
}

#[test]
fn messages_state_limits() {
    let rows = [
        // Seen.
        ("policy user over ratelimit,limit:200,time:5 minute", "200 requests in 5m (policy user)"),
        (
            "The throttling threshold has been reached: policy user over ratelimit,limit:60,time:1 minute.",
            "60 requests in 1m (policy user)",
        ),
        ("policy ip over ratelimit,limit:5,time:5 second", "5 requests in 5s (policy ip)"),
        ("policy api over ratelimit,limit:2000,time:1 minute", "2000 requests in 1m (policy api)"),
        // Like them.
        ("POLICY APP OVER RATELIMIT , LIMIT = 1 , TIME = 2 HOURS", "1 request in 2h (policy app)"),
        ("limit: 10; time: 1day; policy: \"Tenant-A\"", "10 requests in 24h (policy tenant-a)"),
        (
            "policy ip over ratelimit,limit:5,time:5 second; policy user, limit:60, time:1 minute",
            "5 requests in 5s (policy ip)",
        ),
        (
            "limit exceeded at this time: policy ip limit 7 time 3 Seconds",
            "7 requests in 3s (policy ip)",
        ),
        // Not a limit, or not one that is understood.
        ("", "none"),
        ("policy", "none"),
        ("policy user over ratelimit,limit:10", "none"),
        ("policy user over ratelimit,time:1 minute", "none"),
        ("over ratelimit,limit:200,time:5 minute", "none"),
        ("policy user over ratelimit,limit:XX,time:1 minute", "none"),
        ("policy user over ratelimit,limit:0,time:1 minute", "none"),
        ("policy user over ratelimit,limit:5,time:0 minute", "none"),
        ("policy user over ratelimit,limit:-5,time:1 minute", "none"),
        ("policy user over ratelimit,limit:2,000,time:1 minute", "none"),
        ("policy user over ratelimit,limit:5k,time:1 minute", "none"),
        ("policy user over ratelimit,limit:5,time:1.5 minute", "none"),
        ("policy user over ratelimit,limit:5,time:1 fortnight", "none"),
        ("policy user over ratelimit,limit:5,time:1", "none"),
        ("policy user over ratelimit,limit:4294967296,time:1 minute", "none"),
        ("policy user over ratelimit,limit:5,time:18446744073709551616 second", "none"),
        ("policy user over ratelimit,limit:5,time:400000000000000000 minute", "none"),
        ("policy 用户 over ratelimit,limit:5,time:1 minute", "none"),
    ];
    for (message, expected) in rows {
        assert_eq!(read(message), expected, "{message}");
    }
}

#[test]
fn names_of_policies_are_short() {
    let message = format!("policy {},limit:1,time:1 day", "A".repeat(1000));
    let limit = RateLimit::from_message(&message).unwrap();
    assert_eq!(limit.policy.as_str(), "a".repeat(MAX_POLICY_LEN));
}

/// Generates a separator before a value.
fn separators() -> impl Strategy<Value = &'static str> {
    select(&[":", " : ", "=", " = ", " ", ":  ", ": \""][..])
}

/// Changes the case of some letters.
fn with_case(text: &str, upper: &[bool]) -> String {
    let upper = upper.iter().cycle();
    let change = |(c, upper): (char, &bool)| if *upper { c.to_ascii_uppercase() } else { c };
    text.chars().zip(upper).map(change).collect()
}

proptest! {
    #[test]
    fn stated_limits_are_read(
        policy in select(&["user", "ip", "api", "app", "domain"][..]),
        max_requests in 1..=u32::MAX,
        count in 1..1_000_000_u64,
        (unit, len) in select(&[("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400)][..]),
        plural in any::<bool>(),
        upper in vec(any::<bool>(), 1..9),
        separators in [separators(), separators(), separators()],
        comma in select(&[",", ", ", " , ", "; ", " "][..]),
        order in Just([0, 1, 2]).prop_shuffle(),
        before in "|[a-z ]{0,9}: |限流：|limit |a policy: ",
        after in "|\\.|; [a-z0-9:,]{0,9}|。| \\(id 7\\)",
    ) {
        prop_assume!(!after.contains("policy") && before != "a policy: ");
        let unit = format!("{unit}{}", if plural { "s" } else { "" });
        let fields = [
            format!("policy{}{policy}", separators[0]),
            format!("limit{}{max_requests}", separators[1]),
            format!("time{}{count} {unit}", separators[2]),
        ];
        let text = order.map(|field| &*fields[field]).join(comma);
        let message = format!("{before}{}{after}", with_case(&text, &upper));
        let expected = RateLimit::new(
            RateLimitPolicy::from_name(policy), max_requests, Duration::from_secs(count * len),
        );
        prop_assert_eq!(RateLimit::from_message(&message), Some(expected), "{}", message);
    }

    #[test]
    fn no_message_panics_or_states_zero(
        message in prop_oneof![
            "\\PC{0,40}",
            "((policy|limit|time|user|over|[0-9]{1,22}|minutes?|:|=|,| |-|ü){1,3} ?){0,16}",
        ],
    ) {
        if let Some(limit) = RateLimit::from_message(&message) {
            prop_assert!(limit.max_requests > 0 && limit.window >= Duration::from_secs(1));
            let name = limit.policy.as_str();
            prop_assert!(name.len() <= MAX_POLICY_LEN && name.is_ascii());
        }
    }
}

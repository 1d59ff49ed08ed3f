//! The body of a `watch` request: the timeout, the limits, and the receiver of the notification.

use std::time::Duration;

use jiff::SignedDuration;
use job_poller::{Until, WaitPolicy};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The JSON body of a `watch` request.
///
/// All fields are optional. `{}` and an empty body mean all defaults, which are those of the
/// deployment's [`WaitPolicy`] ([`Deployment::policy`](crate::Deployment::policy)):
///
/// | field | meaning | default |
/// |---|---|---|
/// | `until` | `"ended"`: the job has ended; `"ready"` or `"gone"`: the clusters or nodes that it names are ready or gone ([`WaitPolicy::until_ready`]) | `"ended"` |
/// | `timeout` | maximum time to wait, such as `"45m"`; `"0s"` makes one attempt, `"none"` waits until the job ends | 1 h |
/// | `attempt_timeout` | maximum time of one attempt, at most `"1m"` | 30 s |
/// | `strict` | treat a `Success` with a failed sub-job as a failure | `false` |
/// | `fail_fast` | end the wait when a sub-job fails | `false` |
/// | `stop_when_stalled` | end the wait when the job has not changed for 10 min | `false` |
/// | `max_consecutive_errors` | number of errors in a row that end the wait | no limit |
/// | `max_tree_lookups` | number of requests that may fetch missing sub-jobs after a success | 0 |
/// | `notify` | receiver of a notification when the wait ends | no notification |
///
/// Unknown fields are errors, and so are durations without a unit. `false` does not switch off a
/// rule that the deployment's policy switches on.
///
/// If a wait for the job is active, only `timeout`, `until` and `notify` can change it: the later
/// deadline applies, the wait goes on until `ready` or `gone`, and the receiver is added. Any other
/// field must agree with the wait, and so must `until` if the wait has such a goal already.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use job_poller::WaitPolicy;
/// use job_restate::WatchRequest;
///
/// let request: WatchRequest =
///     serde_json::from_str(r#"{"timeout": "45m", "notify": "https://example.com/hook"}"#)?;
/// let again = serde_json::from_str(&serde_json::to_string(&request)?)?;
/// assert_eq!(request, again);
/// let policy = request.policy(WaitPolicy::new());
/// assert_eq!(policy.deadline(), Duration::from_secs(45 * 60));
///
/// let error = serde_json::from_str::<WatchRequest>(r#"{"timeout": 45}"#).unwrap_err();
/// assert!(error.to_string().starts_with(r#"expected a duration such as "90s" or "45m""#));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct WatchRequest {
    /// What the wait is for.
    pub until: Until,
    /// The maximum time to wait.
    pub timeout: Option<WaitTimeout>,
    /// The maximum time of one attempt.
    pub attempt_timeout: Option<FriendlyDuration>,
    /// Whether to treat a `Success` with a failed sub-job as a failure.
    pub strict: bool,
    /// Whether to end the wait when a sub-job fails.
    pub fail_fast: bool,
    /// Whether to end the wait when the job has not changed for 10 min.
    pub stop_when_stalled: bool,
    /// The number of errors in a row that end the wait.
    pub max_consecutive_errors: Option<u32>,
    /// The number of requests that may fetch sub-jobs missing from the reply, after the job
    /// succeeded.
    pub max_tree_lookups: Option<u32>,
    /// The receiver of a notification when the wait ends, as an address for the deployment's
    /// [`Notifier`](crate::Notifier). For a [`Webhook`](crate::Webhook), a URL.
    pub notify: Option<String>,
}

/// A positive duration, written with units in JSON, such as `"45m"` or `"1h 30m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "only wraps a duration")]
pub struct FriendlyDuration(pub Duration);

/// A timeout, written as `"45m"`, `"0s"` (one attempt), or `"none"` (no timeout).
///
/// `None` means no timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "only wraps an optional duration")]
pub struct WaitTimeout(pub Option<Duration>);

impl WatchRequest {
    /// Returns `base`, changed by the fields that are set in this request.
    #[must_use]
    pub fn policy(&self, base: WaitPolicy) -> WaitPolicy {
        let base = match self.until {
            Until::Ended => base,
            Until::Ready => base.until_ready(),
            Until::Gone => base.until_gone(),
        };
        let policy = match self.timeout {
            Some(WaitTimeout(Some(timeout))) => base.timeout(timeout),
            Some(WaitTimeout(None)) => base.no_timeout(),
            None => base,
        };
        let policy = self
            .attempt_timeout
            .map_or(policy, |FriendlyDuration(span)| policy.attempt_timeout(span));
        let policy = if self.strict { policy.strict() } else { policy };
        let policy = if self.fail_fast { policy.fail_fast() } else { policy };
        let policy = if self.stop_when_stalled { policy.stop_when_stalled() } else { policy };
        let errors = self.max_consecutive_errors;
        let policy = errors.map_or(policy, |errors| policy.max_consecutive_errors(errors));
        self.max_tree_lookups.map_or(policy, |requests| policy.max_tree_lookups(requests))
    }
}

/// The longest attempt. The engine ends an invocation that shows no progress for longer.
pub(crate) const MAX_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);

impl WatchRequest {
    /// Checks the values that no wait may have.
    ///
    /// # Errors
    ///
    /// Returns an error that names the field, its value and its limit.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.attempt_timeout {
            Some(FriendlyDuration(timeout)) if timeout > MAX_ATTEMPT_TIMEOUT => {
                let timeout = SignedDuration::try_from(timeout).unwrap_or(SignedDuration::MAX);
                Err(format!("`attempt_timeout` is {timeout:#}; the maximum is 1m"))
            }
            _ => Ok(()),
        }
    }

    /// Returns the field that contradicts the policy of an active wait.
    pub(crate) fn conflict(&self, active: WaitPolicy) -> Option<&'static str> {
        let none = Self::default;
        let fields = [
            ("attempt_timeout", Self { attempt_timeout: self.attempt_timeout, ..none() }),
            ("strict", Self { strict: self.strict, ..none() }),
            ("fail_fast", Self { fail_fast: self.fail_fast, ..none() }),
            ("stop_when_stalled", Self { stop_when_stalled: self.stop_when_stalled, ..none() }),
            (
                "max_consecutive_errors",
                Self { max_consecutive_errors: self.max_consecutive_errors, ..none() },
            ),
            ("max_tree_lookups", Self { max_tree_lookups: self.max_tree_lookups, ..none() }),
        ];
        let is_other = |(_, field): &(&str, Self)| field.policy(active) != active;
        let until = Self { until: self.until, ..none() };
        // A wait for the end of the job goes on if a later request asks for more.
        let has_other_goal = active != active.until(Until::Ended) && until.policy(active) != active;
        let first = fields.iter().find(|field| is_other(field)).map(|(name, _)| *name);
        first.or_else(|| has_other_goal.then_some("until"))
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    text.parse::<SignedDuration>().ok()?.try_into().ok()
}

const DURATION_EXPECTATION: &str = "expected a duration such as \"90s\" or \"45m\"";

/// Reads a string. For any other JSON type, the error is that of an invalid duration.
fn deserialize_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map_err(|_| D::Error::custom(DURATION_EXPECTATION))
}

impl Serialize for FriendlyDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let span = SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX);
        serializer.collect_str(&format_args!("{span:#}"))
    }
}

impl Serialize for WaitTimeout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(span) => FriendlyDuration(span).serialize(serializer),
            None => serializer.serialize_str("none"),
        }
    }
}

impl<'de> Deserialize<'de> for FriendlyDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let span = parse_duration(&deserialize_text(deserializer)?).filter(|span| !span.is_zero());
        span.map(Self).ok_or_else(|| D::Error::custom(DURATION_EXPECTATION))
    }
}

impl<'de> Deserialize<'de> for WaitTimeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match &*deserialize_text(deserializer)? {
            "none" => Ok(Self(None)),
            text => {
                let expected =
                    || D::Error::custom(format_args!("{DURATION_EXPECTATION}, or \"none\""));
                parse_duration(text).map(|span| Self(Some(span))).ok_or_else(expected)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(json: Value) -> Result<WatchRequest, serde_json::Error> {
        serde_json::from_value(json)
    }

    #[test]
    fn until_in_a_request_sets_the_goal_of_the_policy() {
        let (ended, ready) = (WaitPolicy::new(), WaitPolicy::new().until_ready());
        // The default keeps the goal of the deployment's policy.
        let rows = [
            (json!({}), ended, "ended"),
            (json!({"until": "ended"}), ended, "ended"),
            (json!({"until": "ready"}), ended, "ready"),
            (json!({"until": "gone"}), ended, "gone"),
            (json!({}), ready, "ready"),
            (json!({"until": "gone"}), ready, "gone"),
        ];
        for (body, base, expected) in rows {
            let request = request(body.clone()).unwrap();
            let policy = serde_json::to_value(request.policy(base)).unwrap();
            assert_eq!(policy["until"], expected, "{body}");
            let again = serde_json::to_value(&request).unwrap();
            assert_eq!(serde_json::from_value::<WatchRequest>(again).unwrap(), request);
        }
    }

    #[test]
    fn attempt_timeouts_are_limited() {
        let rows = [
            (json!({}), None),
            (json!({"attempt_timeout": "60s"}), None),
            (
                json!({"attempt_timeout": "61s"}),
                Some("`attempt_timeout` is 1m 1s; the maximum is 1m"),
            ),
            (
                json!({"attempt_timeout": "10m"}),
                Some("`attempt_timeout` is 10m; the maximum is 1m"),
            ),
        ];
        for (body, expected) in rows {
            let error = request(body.clone()).unwrap().check().err();
            assert_eq!(error.as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn a_later_request_may_extend_a_wait_but_not_change_its_rules() {
        let plain = WaitPolicy::new();
        let strict = WaitPolicy::new().strict();
        let rows = [
            (json!({}), strict, None),
            (json!({"strict": false}), strict, None),
            (json!({"strict": true}), strict, None),
            (json!({"strict": true}), plain, Some("strict")),
            (json!({"fail_fast": true}), plain, Some("fail_fast")),
            (json!({"stop_when_stalled": true}), plain, Some("stop_when_stalled")),
            (json!({"max_consecutive_errors": 3}), plain, Some("max_consecutive_errors")),
            (json!({"max_consecutive_errors": 3}), plain.max_consecutive_errors(3), None),
            (json!({"max_tree_lookups": 3}), plain, Some("max_tree_lookups")),
            (json!({"attempt_timeout": "30s"}), plain, None),
            (json!({"attempt_timeout": "31s"}), plain, Some("attempt_timeout")),
            // These extend the wait.
            (json!({"timeout": "9h", "notify": "https://example.com"}), plain, None),
            (json!({"timeout": "none"}), plain, None),
            (json!({"until": "ready"}), plain, None),
            (json!({"until": "gone"}), plain, None),
            // Two goals that exclude each other.
            (json!({"until": "ready"}), plain.until_ready(), None),
            (json!({}), plain.until_ready(), None),
            (json!({"until": "gone"}), plain.until_ready(), Some("until")),
        ];
        for (body, active, expected) in rows {
            assert_eq!(request(body.clone()).unwrap().conflict(active), expected, "{body}");
        }
    }

    #[test]
    fn an_unknown_goal_is_an_error_that_names_the_allowed_ones() {
        let error = request(json!({"until": "available"})).unwrap_err().to_string();
        assert_eq!(error, "unknown variant `available`, expected one of `ended`, `ready`, `gone`");
    }
}

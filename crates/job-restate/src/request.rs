//! The body of a `watch`: the timeout, the limits, and the receiver of the notification. Knows no engine.

use std::time::Duration;

use jiff::SignedDuration;
use job_poller::WaitPolicy;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The body of a `watch`, as JSON. `{}`, or no body, means all defaults.
///
/// | field | what it is | default |
/// |---|---|---|
/// | `timeout` | how long to wait in all, such as `"45m"`; `"0s"`: one attempt; `"none"`: until the job ends | the deployment's, one hour |
/// | `attempt_timeout` | how long one attempt may take | 30 s |
/// | `strict` | a `Success` with a failed sub-job is a failure | `false` |
/// | `fail_fast` | a failed sub-job ends the wait | `false` |
/// | `stop_when_stalled` | so does a job of which nothing changes for 10 min | `false` |
/// | `max_consecutive_errors` | how many errors in a row end it | no number |
/// | `max_tree_lookups` | how many requests may complete the tree of a job that succeeded | 0 |
/// | `notify` | where to send the notification of the end; `status` answers in any case | nowhere |
///
/// A field of another name is an error, and so is a time without its unit.
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
/// assert!(error.to_string().starts_with(r#"expected a time, such as "90s" or "45m""#));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct WatchRequest {
    /// How long to wait in all.
    pub timeout: Option<WaitTimeout>,
    /// How long one attempt may take.
    pub attempt_timeout: Option<FriendlyDuration>,
    /// Whether a `Success` with a failed sub-job is a failure.
    pub strict: bool,
    /// Whether a failed sub-job ends the wait.
    pub fail_fast: bool,
    /// Whether a job of which nothing changes ends it.
    pub stop_when_stalled: bool,
    /// How many errors in a row end it.
    pub max_consecutive_errors: Option<u32>,
    /// How many requests may complete the tree of a job that succeeded.
    pub max_tree_lookups: Option<u32>,
    /// Where to send the notification of the end, as the deployment's [`Notifier`](crate::Notifier) takes it.
    pub notify: Option<String>,
}

/// A duration, such as `"45m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a span is a span")]
pub struct FriendlyDuration(pub Duration);

/// A duration, or `"none"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is an end, or none")]
pub struct WaitTimeout(pub Option<Duration>);

impl WatchRequest {
    /// Returns the wait's limits: these, and for the rest the deployment's.
    #[must_use]
    pub fn policy(&self, base: WaitPolicy) -> WaitPolicy {
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

fn parse_duration(text: &str) -> Option<Duration> {
    text.parse::<SignedDuration>().ok()?.try_into().ok()
}

const DURATION_EXPECTATION: &str = "expected a time, such as \"90s\" or \"45m\"";

/// Reads a text; anything else is no time.
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

//! The serialized form of a policy for configurations: texts for durations, a default for each
//! field, and an error for each unknown field.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Settle, Until, WaitPolicy, duration_text};
use crate::schedule::Exponential;

/// The fields of a policy, for the derived code.
#[derive(Serialize, Deserialize)]
#[serde(
    remote = "WaitPolicy",
    rename = "WaitPolicy",
    default = "WaitPolicy::new",
    deny_unknown_fields
)]
struct ConfigForm {
    until: Until,
    #[serde(with = "duration_text::optional")]
    timeout: Option<Duration>,
    #[serde(with = "duration_text")]
    attempt_timeout: Duration,
    #[serde(with = "backoff")]
    backoff: Exponential,
    #[serde(with = "duration_text")]
    not_found_grace: Duration,
    #[serde(with = "settle")]
    settle: Settle,
    confirmations: u32,
    max_unreadable_replies: u32,
    max_consecutive_errors: Option<u32>,
    strict: bool,
    fail_fast: bool,
    #[serde(with = "duration_text")]
    stalled_after: Duration,
    stop_when_stalled: bool,
    max_failure_lookups: u32,
    max_tree_lookups: u32,
    #[serde(with = "duration_text::optional")]
    heartbeat: Option<Duration>,
}

impl Serialize for WaitPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ConfigForm::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for WaitPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ConfigForm::deserialize(deserializer)
    }
}

mod backoff {
    use super::{
        Deserialize, Deserializer, Duration, Exponential, Serialize, Serializer, WaitPolicy,
        duration_text,
    };

    #[derive(Serialize, Deserialize)]
    #[serde(rename = "Exponential", default, deny_unknown_fields)]
    struct Fields {
        #[serde(with = "duration_text")]
        floor: Duration,
        #[serde(with = "duration_text")]
        cap: Duration,
        factor: f64,
        jitter: f64,
    }

    impl From<&Exponential> for Fields {
        fn from(backoff: &Exponential) -> Self {
            let Exponential { floor, cap, factor, jitter } = *backoff;
            Self { floor, cap, factor, jitter: jitter.get() }
        }
    }

    impl Default for Fields {
        fn default() -> Self {
            Self::from(&WaitPolicy::new().backoff)
        }
    }

    pub(super) fn serialize<S: Serializer>(
        backoff: &Exponential,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Fields::from(backoff).serialize(serializer)
    }

    /// Reads the fields. The constructors limit them to their ranges.
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Exponential, D::Error> {
        let Fields { floor, cap, factor, jitter } = Fields::deserialize(deserializer)?;
        Ok(Exponential::new(floor..=cap).factor(factor).jitter(jitter))
    }
}

mod settle {
    use super::{
        Deserialize, Deserializer, Duration, Serialize, Serializer, Settle, WaitPolicy,
        duration_text,
    };

    #[derive(Serialize, Deserialize)]
    #[serde(rename = "Settle", default, deny_unknown_fields)]
    struct Fields {
        #[serde(with = "duration_text")]
        window: Duration,
        readings: u32,
    }

    impl Default for Fields {
        fn default() -> Self {
            let Settle { window, readings } = WaitPolicy::new().settle;
            Self { window, readings }
        }
    }

    pub(super) fn serialize<S: Serializer>(
        Settle { window, readings }: &Settle,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Fields { window: *window, readings: *readings }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Settle, D::Error> {
        let Fields { window, readings } = Fields::deserialize(deserializer)?;
        Ok(Settle { window, readings })
    }
}

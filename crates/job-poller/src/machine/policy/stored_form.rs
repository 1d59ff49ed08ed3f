//! The serialized form of a policy in a checkpoint. For `#[serde(with)]`.
//!
//! It differs from the form for configurations, because a checkpoint may be read by another version
//! of this crate: unknown fields are ignored, and durations keep the form of serde.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Settle, Until, WaitPolicy};
use crate::schedule::Exponential;

/// The fields of a policy. A field that is missing has its default.
#[derive(Serialize, Deserialize)]
#[serde(remote = "WaitPolicy", rename = "WaitPolicy", default = "WaitPolicy::new")]
struct StoredForm {
    until: Until,
    timeout: Option<Duration>,
    attempt_timeout: Duration,
    backoff: Exponential,
    not_found_grace: Duration,
    settle: Settle,
    confirmations: u32,
    max_unreadable_replies: u32,
    max_consecutive_errors: Option<u32>,
    strict: bool,
    fail_fast: bool,
    stalled_after: Duration,
    stop_when_stalled: bool,
    max_failure_lookups: u32,
    max_tree_lookups: u32,
    heartbeat: Option<Duration>,
}

pub(crate) fn serialize<S: Serializer>(
    policy: &Arc<WaitPolicy>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    StoredForm::serialize(policy, serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Arc<WaitPolicy>, D::Error> {
    StoredForm::deserialize(deserializer).map(Arc::new)
}

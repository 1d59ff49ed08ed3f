//! Who is notified at the end of a wait.

use serde::{Deserialize, Serialize};

/// The maximum number of receivers of one wait.
pub(crate) const MAX_RECEIVERS: usize = 16;

/// A receiver of the notification at the end of a wait.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Receiver {
    /// An address to which the store's notifier delivers, usually the URL of a webhook.
    Webhook(String),
    /// A queue in the table `cce_outbox`, from which consumers that share the database delete the
    /// notifications.
    Queue(String),
}

impl Receiver {
    pub(crate) fn webhook(&self) -> Option<&str> {
        match self {
            Self::Webhook(address) => Some(address),
            Self::Queue(_) => None,
        }
    }

    pub(crate) fn queue(&self) -> Option<&str> {
        match self {
            Self::Queue(name) => Some(name),
            Self::Webhook(_) => None,
        }
    }
}

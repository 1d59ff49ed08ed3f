//! What a caller asks a store to wait for.

use job_poller::WaitPolicy;

use crate::receiver::Receiver;

/// A request to wait for a job.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use job_poller::WaitPolicy;
/// use job_store::Watch;
///
/// let watch = Watch::new()
///     .policy(WaitPolicy::new().timeout(Duration::from_secs(45 * 60)).until_ready())
///     .notify("https://hooks.example.com/cce")
///     .enqueue("billing");
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a request does nothing until it is passed to `Store::watch`"]
pub struct Watch {
    pub(crate) policy: WaitPolicy,
    pub(crate) receivers: Vec<Receiver>,
}

impl Watch {
    /// Creates a request with the default policy and no receiver.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the limits of the wait.
    pub const fn policy(mut self, policy: WaitPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Adds the address of a receiver, usually the URL of a webhook. A wait has at most 16 receivers.
    pub fn notify(mut self, address: impl Into<String>) -> Self {
        self.receivers.push(Receiver::Webhook(address.into()));
        self
    }

    /// Adds a queue of the table `cce_outbox` for consumers that share the database.
    pub fn enqueue(mut self, queue: impl Into<String>) -> Self {
        self.receivers.push(Receiver::Queue(queue.into()));
        self
    }
}

//! The task of a fleet on tokio: brings it the time, and makes its attempts.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::{StreamExt, future::Abortable, stream::FuturesUnordered};
use tokio::{sync::Notify, time::Instant};

use super::{
    scheduler::{PendingAttempt, Scheduler},
    shared::Shared,
};
use crate::{machine::Input, source::JobSource};

/// Drives the waits until no subscriber and no [`Fleet`](super::Fleet) is left.
pub(super) async fn run(
    shared: CloseOnDrop,
    wake: Arc<Notify>,
    started_at: Instant,
    source: Arc<dyn JobSource>,
) {
    let mut attempts = FuturesUnordered::new();
    loop {
        let next = {
            let Some(shared) = shared.0.upgrade() else { return };
            let (due, next) =
                shared.with_state(|scheduler, now| (scheduler.poll(now), scheduler.next_wake()));
            attempts.extend(due.into_iter().map(|attempt| run_attempt(attempt, source.clone())));
            next
        };
        tokio::select! {
            biased;
            Some(attempt) = attempts.next(), if !attempts.is_empty() => {
                let Some(shared) = shared.0.upgrade() else { return };
                if let Ok((job, number, input)) = attempt {
                    shared.with_state(|scheduler, now| scheduler.complete(now, job, number, input));
                }
            }
            () = wake.notified() => {}
            () = sleep_until(started_at, next) => {}
        }
    }
}

/// Closes the fleet when the task is dropped, whether it ran or not: nothing drives its waits any more.
pub(super) struct CloseOnDrop(pub(super) Weak<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.with_state(Scheduler::close);
        }
    }
}

/// Makes an attempt, unless it is cancelled.
fn run_attempt(
    PendingAttempt { job, number, id, registration }: PendingAttempt,
    source: Arc<dyn JobSource>,
) -> Abortable<impl Future<Output = (usize, u64, Input)>> {
    let attempt = async move {
        let input = source.fetch(&id).await.into();
        (job, number, input)
    };
    Abortable::new(attempt, registration)
}

async fn sleep_until(started_at: Instant, at: Option<Duration>) {
    #[expect(clippy::disallowed_methods, reason = "the one place where a fleet pauses")]
    match at.and_then(|at| started_at.checked_add(at)) {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

//! The task of a fleet on tokio: passes the time to the scheduler, and makes the attempts.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::{
    FutureExt, StreamExt,
    future::{Abortable, Aborted},
    stream::FuturesUnordered,
};
use job_transport::{FetchError, ListReading, transport::MemoryLimit};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    scheduler::{Due, PendingAttempt, PendingList, Scheduler},
    shared::Shared,
};
use crate::{
    machine::Input,
    source::{JobSource, attempt},
};

/// Runs until the fleet is shut down, or no handle, no wait and no event stream is left.
pub(super) async fn run(
    fleet: CloseOnDrop,
    wake: Arc<Notify>,
    started_at: Instant,
    source: Arc<dyn JobSource>,
    limit: MemoryLimit,
) {
    let (mut attempts, mut lists) = (FuturesUnordered::new(), FuturesUnordered::new());
    loop {
        // If the task is late, lists that have arrived must not count as slow.
        while let Some(Some(read)) = lists.next().now_or_never() {
            complete_list(&fleet, read);
        }
        let next = {
            let Some(shared) = fleet.shared.upgrade() else { return };
            let (Due { attempts: due, lists: due_lists }, next, is_closed) =
                shared.with_state(|scheduler, now| {
                    (scheduler.poll(now), scheduler.next_wake(), scheduler.is_closed())
                });
            if is_closed {
                return;
            }
            let run = |attempt| run_attempt(attempt, source.clone(), limit.clone());
            attempts.extend(due.into_iter().map(run));
            lists.extend(due_lists.into_iter().map(|list| run_list(list, source.clone())));
            next
        };
        tokio::select! {
            biased;
            Some(attempt) = attempts.next(), if !attempts.is_empty() => {
                let Some(shared) = fleet.shared.upgrade() else { return };
                // If the task is late, replies that have arrived must not count as timeouts.
                let mut next = Some(attempt);
                while let Some(attempt) = next {
                    if let Ok((job, number, input)) = attempt {
                        let complete = |scheduler: &mut Scheduler, now| {
                            scheduler.complete(now, job, number, input);
                        };
                        shared.with_state(complete);
                    }
                    next = attempts.next().now_or_never().flatten();
                }
            }
            Some(read) = lists.next(), if !lists.is_empty() => complete_list(&fleet, read),
            () = wake.notified() => {}
            () = sleep_until(started_at, next) => {}
        }
    }
}

/// Closes the fleet when the task is dropped, even if it never ran, because no wait can make
/// progress then.
///
/// It is the first argument of the task and thus dropped last, after the attempts in flight.
pub(super) struct CloseOnDrop {
    pub(super) shared: Weak<Shared>,
    /// Never used. Its end reports that the task has ended.
    pub(super) _task_ended: watch::Sender<()>,
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.with_state(Scheduler::close);
        }
    }
}

/// Makes an attempt. The attempt ends early if it is canceled.
fn run_attempt(
    PendingAttempt { job, number, target, registration, span }: PendingAttempt,
    source: Arc<dyn JobSource>,
    limit: MemoryLimit,
) -> Abortable<impl Future<Output = (usize, u64, Input)>> {
    let attempt = async move {
        let input = span.instrument(attempt(&*source, &limit, &target)).await;
        (job, number, input)
    };
    Abortable::new(attempt, registration)
}

/// The number of a list, the number of its attempt, and the result.
type ListResult = (usize, u64, Result<ListReading, FetchError>);

/// Passes the result of reading a list to the scheduler. The list is freed without the lock.
fn complete_list(fleet: &CloseOnDrop, read: Result<ListResult, Aborted>) {
    if let (Some(shared), Ok((list, number, result))) = (fleet.shared.upgrade(), read) {
        shared.with_state(|scheduler, now| scheduler.complete_list(now, list, number, &result));
    }
}

/// Reads a list. The reading ends early if it is canceled.
fn run_list(
    PendingList { list, number, id, registration }: PendingList,
    source: Arc<dyn JobSource>,
) -> Abortable<impl Future<Output = ListResult>> {
    let read = async move { (list, number, source.fetch_list(id).await) };
    Abortable::new(read, registration)
}

async fn sleep_until(started_at: Instant, at: Option<Duration>) {
    #[expect(clippy::disallowed_methods, reason = "the one place where a fleet pauses")]
    match at.and_then(|at| started_at.checked_add(at)) {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

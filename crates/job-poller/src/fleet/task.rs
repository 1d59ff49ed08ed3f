//! The task of a fleet on tokio: brings it the time, makes its attempts, and wakes who is told. Decides
//! nothing.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::{StreamExt, future::Abortable, stream::FuturesUnordered};
use tokio::{sync::Notify, time::Instant};

use super::{
    Shared,
    scheduler::{Attempt, State},
};
use crate::{machine::Input, source::JobSource};

/// Drives the waits until nobody watches and nobody could.
pub(super) async fn drive(
    shared: Driven,
    wake: Arc<Notify>,
    began: Instant,
    source: Arc<dyn JobSource>,
) {
    let mut attempts = FuturesUnordered::new();
    loop {
        let next = {
            let Some(shared) = shared.0.upgrade() else { return };
            let (due, next) = shared.with(|state, now| (state.turn(now), state.next()));
            attempts.extend(due.into_iter().map(|attempt| make(attempt, source.clone())));
            next
        };
        tokio::select! {
            biased;
            Some(arrived) = attempts.next(), if !attempts.is_empty() => {
                let Some(shared) = shared.0.upgrade() else { return };
                if let Ok((member, number, input)) = arrived {
                    shared.with(|state, now| state.arrived(now, member, number, input));
                }
            }
            () = wake.notified() => {}
            () = until(began, next) => {}
        }
    }
}

/// What the task looks at. Once it is gone, run or not, no wait goes on that nobody drives.
pub(super) struct Driven(pub(super) Weak<Shared>);

impl Drop for Driven {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.with(State::close);
        }
    }
}

/// Makes an attempt, unless it is given up.
fn make(
    Attempt { member, number, id, registration }: Attempt,
    source: Arc<dyn JobSource>,
) -> Abortable<impl Future<Output = (usize, u64, Input)>> {
    let attempt = async move {
        let input = source.fetch(&id).await.into();
        (member, number, input)
    };
    Abortable::new(attempt, registration)
}

async fn until(began: Instant, at: Option<Duration>) {
    #[expect(clippy::disallowed_methods, reason = "the one place where a fleet pauses")]
    match at.and_then(|at| began.checked_add(at)) {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

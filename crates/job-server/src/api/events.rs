//! Streams of server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::stream;
use job_store::WaitKey;
use job_transport::clock::{Clock as _, TokioClock};
use tokio::sync::{
    broadcast::{self, error::RecvError},
    watch,
};

use super::{
    Api, RequestToken,
    changes::{Batch, ChangeFeed, wait_event},
    extract::JobPath,
    waits::no_wait,
};
use crate::{
    metrics::OpenGuard,
    problem::{self, Problem},
    token::TokenDigest,
};

/// The time between two comments, which show the client that the connection works.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// Sent to a client that was too slow. It must read the lists again.
const RESET: Bytes = Bytes::from_static(b"event: reset\ndata: {}\n\n");

/// Streams the summary, and all waits that change.
pub(super) async fn all(
    State(api): State<Api>,
    Extension(token): RequestToken,
) -> Result<Response, Problem> {
    let subscription = Subscription::new(api, token).await?;
    let first = subscription.feed.summary();
    Ok(response(first, Events::All(subscription)))
}

/// Streams the status of one wait whenever it changes, until the wait has finished.
pub(super) async fn wait(
    State(api): State<Api>,
    Extension(token): RequestToken,
    JobPath(key): JobPath,
) -> Result<Response, Problem> {
    // Changes from now on are not missed.
    let subscription = Subscription::new(api.clone(), token).await?;
    let status = api.store().get(&key).await?.ok_or_else(no_wait)?;
    let first = wait_event(&status);
    let is_finished = status.result.is_some();
    let wait = WaitEvents { subscription, key, last: first.clone(), is_finished };
    Ok(response(first, Events::Wait(Box::new(wait))))
}

/// What a client streams.
enum Events {
    All(Subscription),
    Wait(Box<WaitEvents>),
}

/// The events of one wait.
struct WaitEvents {
    subscription: Subscription,
    key: WaitKey,
    /// The event that was sent last.
    last: Bytes,
    is_finished: bool,
}

impl Events {
    /// Returns the next event, or `None` at the end of the stream.
    async fn next(&mut self) -> Option<Bytes> {
        let (event, subscription) = match self {
            Self::All(subscription) => {
                let event = match subscription.next().await? {
                    StreamEvent::Changed(batch) => batch.events,
                    StreamEvent::Missed => RESET,
                    StreamEvent::KeepAlive => KEEP_ALIVE,
                };
                (event, subscription)
            }
            Self::Wait(wait) => (wait.next().await?, &mut wait.subscription),
        };
        subscription.last_event = subscription.clock.monotonic();
        Some(event)
    }
}

impl WaitEvents {
    async fn next(&mut self) -> Option<Bytes> {
        while !self.is_finished {
            match self.subscription.next().await? {
                StreamEvent::Changed(batch) if !batch.keys.contains(&self.key) => {}
                StreamEvent::KeepAlive => return Some(KEEP_ALIVE),
                // If the database fails, the stream ends, and the client connects again.
                StreamEvent::Changed(_) | StreamEvent::Missed => {
                    let status = self.subscription.api.store().get(&self.key).await.ok()??;
                    self.is_finished = status.result.is_some();
                    let event = wait_event(&status);
                    if event != self.last {
                        self.last = event.clone();
                        return Some(event);
                    }
                }
            }
        }
        None
    }
}

/// The place of one client in the feed.
struct Subscription {
    api: Api,
    feed: Arc<ChangeFeed>,
    batches: broadcast::Receiver<Batch>,
    token: TokenDigest,
    tokens: watch::Receiver<()>,
    clock: TokioClock,
    /// When the last event was sent.
    last_event: Duration,
    _open: (tokio::sync::OwnedSemaphorePermit, OpenGuard),
}

/// Why a client may get an event.
enum StreamEvent {
    Changed(Batch),
    /// The client was too slow.
    Missed,
    KeepAlive,
}

impl Subscription {
    async fn new(api: Api, token: TokenDigest) -> Result<Self, Problem> {
        let permit = api.streams.clone().try_acquire_owned().map_err(|_| {
            let detail = "close streams, or start the server with a larger --max-streams";
            Problem::new(problem::TOO_MANY_STREAMS, detail)
        })?;
        let feed = api.feeds.subscribe().await?;
        let tokens = api.tokens.subscribe();
        // The token may have been removed since it was checked.
        if !api.tokens.is_valid(token) {
            return Err(Problem::new(problem::UNAUTHORIZED, "the token was replaced"));
        }
        let mut subscription = Self {
            batches: feed.batches(),
            tokens,
            token,
            feed,
            clock: TokioClock::new(),
            last_event: Duration::ZERO,
            _open: (permit, OpenGuard::stream()),
            api,
        };
        subscription.last_event = subscription.clock.monotonic();
        Ok(subscription)
    }

    /// Returns what is to be sent next, or `None` if the stream ends: the server stops, or the token is
    /// not valid any longer.
    async fn next(&mut self) -> Option<StreamEvent> {
        loop {
            let quiet = self.clock.monotonic().saturating_sub(self.last_event);
            tokio::select! {
                biased;
                () = self.api.stop.cancelled() => return None,
                _ = self.tokens.changed() => {
                    if !self.api.tokens.is_valid(self.token) {
                        return None;
                    }
                }
                batch = self.batches.recv() => return Some(match batch {
                    Ok(batch) => StreamEvent::Changed(batch),
                    Err(RecvError::Lagged(_)) => {
                        self.batches = self.feed.batches();
                        StreamEvent::Missed
                    }
                    Err(RecvError::Closed) => return None,
                }),
                () = self.clock.sleep(KEEP_ALIVE_INTERVAL.saturating_sub(quiet)) => {
                    return Some(StreamEvent::KeepAlive);
                }
            }
        }
    }
}

/// Returns a response that sends `first`, and then the events.
fn response(first: Bytes, events: Events) -> Response {
    let events = stream::unfold((Some(first), events), async |(first, mut events)| {
        let event = match first {
            Some(first) => first,
            None => events.next().await?,
        };
        Some((Ok::<_, Infallible>(event), (None, events)))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // Proxies such as nginx would otherwise collect events.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(events)).into_response()
}

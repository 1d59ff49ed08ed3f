//! Finds waits whose tick is lost at the engine, and revives them.
//!
//! Each wait that the engine stores must have an invocation of `tick`, which is usually scheduled
//! for later. If an operator kills it, or cancels it before it runs, nothing else calls the wait again.

use std::{
    collections::HashSet,
    convert::Infallible,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use job_poller::durable::WaitKey;
use job_transport::{clock::Clock, transport::Transport};
use serde::{Deserialize, Serialize};

use crate::{
    engine::{post, post_json, success},
    metrics::Metrics,
};

/// Asks the engine about once a minute for waits without a tick, and calls their handler `revive`.
pub(crate) struct Watchdog {
    transport: Arc<dyn Transport>,
    admin: String,
    ingress: String,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

/// The body of a query.
#[derive(Serialize)]
struct Query {
    query: &'static str,
}

/// The reply to a query for waits.
#[derive(Deserialize)]
struct QueryReply {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    service_key: String,
}

/// Selects the keys of the waits that have a state and no tick. An invocation that an operator has
/// paused is a tick.
///
/// After an advanced tick, the old tick stays at the engine until its time. The engine's tables do not
/// have the number of a tick, so a wait with only an old tick is found after that time.
const LOST_TICKS: &str = "SELECT s.service_key FROM state s \
    LEFT JOIN sys_invocation_status i ON i.target_service_name = s.service_name \
    AND i.target_service_key = s.service_key AND i.target_handler_name IN ('tick', 'revive') \
    AND i.status <> 'completed' \
    WHERE s.service_name = 'JobWait' AND s.key = 'wait' AND i.id IS NULL \
    ORDER BY s.service_key LIMIT 1000";

/// The number of rows of a full reply.
const MAX_ROWS: usize = 1000;

/// The mean time between two sweeps. Each interval differs by up to a fifth, so that the services
/// of a deployment do not ask at the same time.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// The mean time until the next sweep if a reply was full.
const FULL_SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The mean time until the first sweep.
const FIRST_SWEEP_DELAY: Duration = Duration::from_secs(10);

/// How often a query is repeated. The engine stores the next tick of a wait slightly after its
/// state, so a query also finds waits whose tick is about to be stored: up to 2 % of 4,000 waits
/// with 50 ticks per second.
const CONFIRMATIONS: usize = 2;

/// The time between the queries of a sweep.
const CONFIRM_DELAY: Duration = Duration::from_secs(2);

/// How long the engine may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum size of a reply: 1,000 rows with keys of 2 KiB.
const MAX_REPLY_BYTES: usize = 2 << 20;

impl Watchdog {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        admin: String,
        ingress: &str,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { transport, admin, ingress: ingress.into(), clock, metrics }
    }

    /// Sweeps from time to time. Never returns.
    pub(crate) async fn run(&self) -> Infallible {
        let (random, mut sweeps, mut failed) = (RandomState::new(), 0_u64, false);
        let mut interval = FIRST_SWEEP_DELAY;
        loop {
            let fraction = random.hash_one(sweeps) as f64 / u64::MAX as f64;
            self.clock.sleep(interval.mul_f64(0.8 + 0.4 * fraction)).await;
            sweeps += 1;
            interval = SWEEP_INTERVAL;
            match self.sweep().await {
                Ok(waits) => {
                    failed = false;
                    self.metrics.set_stalled_waits(waits);
                    if waits >= MAX_ROWS {
                        interval = FULL_SWEEP_INTERVAL;
                    }
                }
                Err(error) => {
                    if !failed {
                        let admin = &self.admin;
                        tracing::warn!(admin, error, "cannot look for waits without a tick");
                    }
                    failed = true;
                }
            }
        }
    }

    /// Revives the waits without a tick, and returns their number.
    async fn sweep(&self) -> Result<usize, String> {
        let mut lost = self.lost_ticks().await?;
        for _ in 0..CONFIRMATIONS {
            if lost.is_empty() {
                return Ok(0);
            }
            self.clock.sleep(CONFIRM_DELAY).await;
            let confirmed: HashSet<_> = self.lost_ticks().await?.into_iter().collect();
            lost.retain(|key| confirmed.contains(key));
        }
        if !lost.is_empty() {
            tracing::warn!(
                waits = lost.len(),
                "waits have no tick at the engine; scheduling one for each"
            );
        }
        let mut revived = Ok(lost.len());
        for key in &lost {
            let path = format!("JobWait/{key}/revive/send");
            let posted = post(&*self.transport, &self.ingress, &path, None);
            if let Err(error) = success(&*self.clock, ANSWER_TIMEOUT, posted).await {
                revived = revived.and(Err(error));
            }
        }
        revived
    }

    /// Asks the engine for the waits without a tick.
    async fn lost_ticks(&self) -> Result<Vec<WaitKey>, String> {
        let query = Query { query: LOST_TICKS };
        let posted = post_json(&*self.transport, &self.admin, "query", &query);
        parse_reply(&success(&*self.clock, ANSWER_TIMEOUT, posted).await?)
    }
}

/// Parses the reply to a query. Keys that are not those of a wait are left out.
///
/// # Errors
///
/// Returns an error if the reply is too large, or not a list of keys.
fn parse_reply(body: &[u8]) -> Result<Vec<WaitKey>, String> {
    if body.len() > MAX_REPLY_BYTES {
        return Err(format!("the reply has more than {MAX_REPLY_BYTES} bytes"));
    }
    let reply: QueryReply = serde_json::from_slice(body)
        .map_err(|error| format!("the reply is not a list of waits: {error}"))?;
    Ok(reply.rows.iter().filter_map(|row| row.service_key.parse().ok()).collect())
}

#[cfg(test)]
mod tests;

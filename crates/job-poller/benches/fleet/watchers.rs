//! Measures what a poll of a job costs that many callers watch, and what it costs to drop them.

use std::{error::Error, sync::Arc, time::Duration};

use futures_util::FutureExt;
use job_poller::{Fleet, WaitPolicy, schedule::Fixed};

use crate::{
    bounds::Bounds,
    clock::processor_time,
    mix::{Kinds, Mix},
    service::Service,
};

const WATCHERS: [usize; 2] = [1_000, 64_000];

/// The maximum processor time of a poll in microseconds, and of a drop in nanoseconds, for any
/// number of watchers that wait for the result.
const MAX_POLL_MICROS: f64 = 30.0;
const MAX_DROP_NANOS: f64 = 1_000.0;

pub(crate) async fn watchers(bounds: &mut Bounds) -> Result<(), Box<dyn Error>> {
    for count in WATCHERS {
        println!("{count} watchers of one job");
        let service = Arc::new(Service::new(1));
        // The first job of this service takes minutes.
        let mix = Mix { kinds: Kinds::Clusters, sigma: 0.0, early_failures: 0 };
        let (id, _) = service.add(&mix, false);
        let fleet = Fleet::builder(service.clone())
            .policy(WaitPolicy::new().no_timeout())
            .schedule(Fixed::new(Duration::from_secs(1)))
            .start();
        let mut watches: Vec<_> = (0..count).map(|_| fleet.watch(id.clone())).collect();
        // Each watcher waits for the result.
        let is_pending = watches.iter_mut().all(|watch| watch.now_or_never().is_none());
        assert!(is_pending, "the job is active");
        let (before, polls) = (processor_time(), fleet.stats().requests);
        #[expect(clippy::disallowed_methods, reason = "the paused clock")]
        tokio::time::sleep(Duration::from_secs(300)).await;
        let polls = fleet.stats().requests - polls;
        let micros = (processor_time() - before) / 1e3 / polls as f64;
        bounds.check("µs a poll, including the service", micros, 0.0..=MAX_POLL_MICROS);
        let before = processor_time();
        drop(watches);
        let nanos = (processor_time() - before) / count as f64;
        bounds.check("ns to drop a watcher", nanos, 0.0..=MAX_DROP_NANOS);
        println!();
    }
    Ok(())
}

//! Implementations of the same wait. Each polls every second, decodes the reply and limits the time
//! of an attempt.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use backon::{ConstantBuilder, Retryable, TokioSleeper};
use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::Response;
use job_model::{IdError, JobId, Phase};
use job_poller::{
    FinishedJob, Fleet, Wait, WaitError,
    fleet::FleetBuilder,
    schedule::{Adaptive, Fixed, History, JobObservation},
    source::JobSource,
};
use job_transport::{FetchError, Fetched, JobSnapshot, Reading, Unchanged};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

const SECOND: Duration = Duration::from_secs(1);

/// The duration of the job.
const JOB_DURATION: Duration = Duration::from_secs(30);

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

const SUCCESS: &[u8] = br#"{"kind": "Job", "status": {"phase": "Success"}}"#;

/// A service in memory, whose job runs for half a minute and then succeeds.
pub(crate) struct Service {
    /// The bodies of the running job, one for each second. After the last, they start again.
    running: Arc<[Bytes]>,
    created: Instant,
    polls: AtomicU32,
}

impl Service {
    pub(crate) fn new(running: Arc<[Bytes]>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the service's own clock")]
        Self { running, created: Instant::now(), polls: AtomicU32::new(0) }
    }

    /// Returns the body of a reply.
    fn body(&self, id: &JobId) -> Bytes {
        // Real clients write the id into the request.
        black_box(id.as_str().as_bytes().first());
        self.polls.fetch_add(1, Ordering::Relaxed);
        let age = self.created.elapsed();
        if age >= JOB_DURATION {
            return Bytes::from_static(SUCCESS);
        }
        self.running[age.as_secs() as usize % self.running.len()].clone()
    }

    pub(crate) fn polls(&self) -> u32 {
        self.polls.load(Ordering::Relaxed)
    }
}

impl JobSource for Service {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin(async { Reading::from_response(Response::new(self.body(id))) })
    }

    fn fetch_since<'a>(
        &'a self,
        id: &'a JobId,
        last: Option<&'a JobSnapshot>,
    ) -> BoxFuture<'a, Result<Fetched, FetchError>> {
        Box::pin(async move {
            let body = self.body(id);
            if last.is_some_and(|last| last.has_text(&body)) {
                return Ok(Fetched::Unchanged(Unchanged::new()));
            }
            Reading::from_response(Response::new(body)).map(Fetched::Reading)
        })
    }
}

/// A service that never replies.
pub(crate) struct Silent;

impl JobSource for Silent {
    fn fetch<'a>(&'a self, _: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin(std::future::pending())
    }
}

pub(crate) fn id(number: usize) -> Result<JobId, IdError> {
    format!("{number:09x}-229a-11e8-9c75-0255ac100ceb").parse()
}

pub(crate) fn wait(service: Arc<Service>, id: JobId) -> JoinHandle<Result<FinishedJob, WaitError>> {
    tokio::spawn(Wait::new(service, id).schedule(Fixed::new(SECOND)))
}

/// Starts a fleet whose budget delays no request.
pub(crate) fn fleet(service: Arc<Service>) -> Fleet {
    fleet_builder(service).start()
}

pub(crate) fn fleet_builder(service: Arc<Service>) -> FleetBuilder {
    let fleet = Fleet::builder(service).requests_per_second(1e9).max_in_flight(usize::MAX);
    fleet.schedule(Fixed::new(SECOND))
}

/// Starts a fleet with a history of the jobs and their steps.
pub(crate) fn fleet_with_history(service: Arc<Service>) -> Fleet {
    let mut history = History::new();
    for seconds in (60..600).map(Duration::from_secs) {
        let observation = JobObservation::new("CreateCluster", Duration::ZERO, seconds, true);
        history.record(&observation.with_step_ends(vec![seconds / 3, seconds / 2]));
    }
    // A low price, so that it polls as often as its minimum delay of two seconds allows.
    let adaptive = Adaptive::new().request_price(Duration::from_micros(1));
    let fleet = Fleet::builder(service).requests_per_second(1e9).max_in_flight(usize::MAX);
    fleet.adaptive(adaptive, history).start()
}

pub(crate) fn hand_written_loop(
    service: Arc<Service>,
    id: JobId,
) -> JoinHandle<Result<(), String>> {
    tokio::spawn(async move {
        loop {
            if has_job_ended(&service, &id).await? {
                return Ok(());
            }
            #[expect(clippy::disallowed_methods, reason = "a hand-written loop sleeps")]
            sleep(SECOND).await;
        }
    })
}

pub(crate) fn with_backon(service: Arc<Service>, id: JobId) -> JoinHandle<Result<(), String>> {
    let pauses = ConstantBuilder::default().with_delay(SECOND).without_max_times();
    tokio::spawn(async move {
        let asked = || async {
            match has_job_ended(&service, &id).await {
                Ok(true) => Ok(Ok(())),
                Ok(false) => Err("the job is still running".to_owned()),
                Err(error) => Ok(Err(error)),
            }
        };
        asked.retry(pauses).sleep(TokioSleeper).await?
    })
}

/// Makes an attempt and returns whether the job has ended.
async fn has_job_ended(service: &Service, id: &JobId) -> Result<bool, String> {
    let reading = timeout(ATTEMPT_TIMEOUT, service.fetch(id)).await;
    let reading = reading.map_err(|_| "timed out")?.map_err(|error| error.to_string())?;
    Ok(reading.job().phase().is_some_and(Phase::is_terminal))
}

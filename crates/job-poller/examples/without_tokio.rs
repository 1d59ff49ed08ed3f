//! Drives a [`Machine`] with the blocking HTTP client `ureq` on a thread, without tokio:
//!
//! ```sh
//! cce-job sim --ca-file ca.pem &   # prints the values of these variables
//! CCE_ENDPOINT=.. OS_PROJECT_ID=.. OS_TOKEN=.. JOB_ID=.. OS_CACERT=ca.pem \
//!     cargo run -p job-poller --no-default-features --example without_tokio
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it does")]
#![expect(clippy::disallowed_methods, reason = "a driver reads the clock and sleeps")]

use std::{
    env,
    error::Error,
    fs, thread,
    time::{Duration, Instant},
};

use job_model::JobId;
use job_poller::{
    FinishedJob, WaitError, WaitPolicy,
    machine::{Action, Input, Machine},
    schedule::Adaptive,
};
use job_transport::{
    Endpoint, FetchError, Reading,
    bytes::Bytes,
    http::{Request, Response},
    transport::{RequestSent, TransportError, TransportErrorKind},
};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Reads jobs of one project with a token.
struct Service {
    agent: ureq::Agent,
    endpoint: Endpoint,
    project: String,
    token: String,
}

impl Service {
    fn from_env() -> Result<Self, Box<dyn Error>> {
        let mut config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
        if let Ok(file) = env::var("OS_CACERT") {
            let roots = RootCerts::new_with_certs(&[Certificate::from_pem(&fs::read(file)?)?]);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(Self {
            agent: config.build().into(),
            endpoint: env::var("CCE_ENDPOINT")?.parse()?,
            project: env::var("OS_PROJECT_ID")?,
            token: env::var("OS_TOKEN")?,
        })
    }

    /// Makes one attempt to read a job.
    fn read(&self, id: &JobId, timeout: Duration) -> Result<Reading, FetchError> {
        let url = format!("{}/api/v3/projects/{}/jobs/{id}", self.endpoint, self.project);
        let request = Request::get(url)
            .header("X-Auth-Token", &self.token)
            .header("Content-Type", "application/json");
        let timed = self.agent.configure_request(request.body(()).map_err(no_reply)?);
        let timed = timed.timeout_global(Some(timeout)).build();
        let (head, mut body) = self.agent.run(timed).map_err(no_reply)?.into_parts();
        let body = body.read_to_vec().map_err(no_reply)?;
        Reading::from_response(Response::from_parts(head, Bytes::from(body)))
    }
}

/// Returns the error of an attempt without a reply. A wait goes on after it.
fn no_reply(error: impl Into<ureq::Error>) -> FetchError {
    let error = error.into();
    let is_timeout = matches!(error, ureq::Error::Timeout(_));
    let kind = if is_timeout { TransportErrorKind::Timeout } else { TransportErrorKind::Other };
    TransportError::new(kind, RequestSent::Maybe).with_source(error).into()
}

/// Waits for a job on this thread.
fn wait(service: &Service, id: JobId) -> Result<FinishedJob, WaitError> {
    let schedule = Adaptive::new();
    let mut machine = Machine::new(id, WaitPolicy::new());
    let started_at = Instant::now();
    let mut input = Input::Wake;
    loop {
        let step = machine.step(&schedule, started_at.elapsed(), input);
        for event in &step.events {
            println!("{:>8.1?}  {event}", started_at.elapsed());
        }
        input = match step.action {
            Action::Fetch { id, timeout, .. } => service.read(&id, timeout).into(),
            // Only a wait until clusters or nodes are ready or gone reads them.
            Action::FetchObject { .. } => unreachable!("the wait is for the end of the job"),
            Action::SleepUntil(at) => {
                thread::sleep(at.saturating_sub(started_at.elapsed()));
                Input::Wake
            }
            Action::Finish(result) => return *result,
        };
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (service, id) = (Service::from_env()?, env::var("JOB_ID")?.parse()?);
    let waiter = thread::spawn(move || wait(&service, id));
    let ended = waiter.join().map_err(|_| "the waiting thread panicked")??;
    println!("{} succeeded", ended.into_success()?.label());
    Ok(())
}

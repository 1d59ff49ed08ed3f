//! A host that submits jobs one after another, waits for each, and compares the result with what
//! the job did.

use std::{cell::RefCell, fmt::Write, rc::Rc, sync::Arc, time::Duration};

use fastrand::Rng;
use job_model::JobId;
use job_poller::{Checkpoint, Event, FinishedJob, Outcome, Wait, WaitError, WaitErrorKind};
use job_sim::{Plan, SimService};
use job_transport::{
    Client, Credentials,
    auth::Identity,
    clock::Clock,
    hyper::{HyperTransport, TlsConfig, TlsProvider},
};

use crate::{
    network::{SERVICE, SimulatedNetwork, SimulationClock},
    scenario::Figures,
};

/// A host that waits for jobs.
pub(crate) struct WatchingHost {
    pub(crate) service: Arc<SimService>,
    pub(crate) random: Rng,
    pub(crate) number: usize,
    /// No job is submitted after this time.
    pub(crate) last_submission: Duration,
    pub(crate) figures: Rc<RefCell<Figures>>,
    pub(crate) transcript: Rc<RefCell<String>>,
}

const FAILURE_REASON: &str = "no such flavor";

impl WatchingHost {
    /// Submits jobs and waits for them, one after another.
    pub(crate) async fn run(mut self) -> turmoil::Result {
        let client = self.client();
        while SimulationClock.monotonic() < self.last_submission {
            let (plan, fails) = self.random_plan();
            let (submitted, takes) = (SimulationClock.monotonic(), plan.duration());
            let job = self.service.sim().add(plan);
            let timeout = match self.random.u32(0..5) {
                0 => Duration::from_secs(self.random.u64(0..600)),
                _ => Duration::from_secs(3 * 60 * 60),
            };
            let result = self.wait(&client, &job, timeout).await;
            self.check_result(result, fails, submitted, takes, timeout);
            self.random_pause(60).await;
        }
        Ok(())
    }

    fn client(&self) -> Client {
        let sim = self.service.sim();
        let endpoint = format!("https://{SERVICE}");
        let tls = TlsConfig::ca_pem(TlsProvider::aws_lc_rs(), self.service.ca_pem()).unwrap();
        let transport = HyperTransport::new(tls).connector(SimulatedNetwork);
        let identity = Identity::new(endpoint.parse().unwrap(), sim.login(), transport.clone());
        Client::new(endpoint.parse().unwrap(), Credentials::from_provider(identity), transport)
            .project(sim.project().clone())
    }

    /// Draws a job, and returns whether it fails.
    fn random_plan(&mut self) -> (Plan, bool) {
        let plan = match self.random.u32(0..4) {
            0 => Plan::create_cluster(),
            1 => Plan::delete_cluster(),
            nodes => Plan::scale_up_cluster(nodes).visible_depth(self.random.usize(1..4)),
        };
        let plan = plan.slower(100).with_random_durations(self.random.u64(..));
        let fails = self.random.u32(0..4) == 0;
        (if fails { plan.with_failure(FAILURE_REASON) } else { plan }, fails)
    }

    /// Waits for a job. Stops the wait now and then, and resumes it from its checkpoint.
    async fn wait(
        &mut self,
        client: &Client,
        job: &JobId,
        timeout: Duration,
    ) -> Result<FinishedJob, WaitError> {
        let seed = self.random.u64(..);
        let mut wait = Wait::new(client.clone(), job.clone()).timeout(timeout).seed(seed);
        loop {
            let stop = match self.random.u32(0..4) {
                0 => Duration::from_secs(self.random.u64(0..900)),
                _ => Duration::from_secs(24 * 60 * 60),
            };
            let (figures, transcript, number) =
                (self.figures.clone(), self.transcript.clone(), self.number);
            let mut events = wait.stop_on(Box::pin(SimulationClock.sleep(stop))).events();
            while let Some((at, event)) = events.next().await {
                figures.borrow_mut().errors +=
                    u32::from(matches!(event, Event::AttemptFailed { .. }));
                let _ = writeln!(transcript.borrow_mut(), "{number} {job} {at:?} {event}");
            }
            match events.finish().await {
                // The wait never got a reply, and cannot distinguish a wrong address from an
                // outage.
                Err(error)
                    if error.kind() == WaitErrorKind::Unreachable && error.job().is_none() =>
                {
                    wait = Wait::new(client.clone(), job.clone()).timeout(timeout).seed(seed);
                }
                Err(error) if error.kind() == WaitErrorKind::Stopped => {
                    self.figures.borrow_mut().resumed += 1;
                    let mut kept = serde_json::to_value(error.checkpoint()).unwrap();
                    // Removes the wall time, which does not depend on the seed.
                    kept.as_object_mut().unwrap().remove("taken_at");
                    self.random_pause(300).await;
                    let checkpoint: Checkpoint = serde_json::from_value(kept).unwrap();
                    wait = Wait::resume(client.clone(), checkpoint);
                }
                other => return other,
            }
        }
    }

    /// Compares the result of a wait with what the job did.
    fn check_result(
        &self,
        result: Result<FinishedJob, WaitError>,
        fails: bool,
        submitted: Duration,
        duration: Duration,
        timeout: Duration,
    ) {
        let mut figures = self.figures.borrow_mut();
        let now = SimulationClock.monotonic();
        match result {
            Ok(ended) => {
                assert!(now >= submitted + duration, "reported as ended before it did: {ended:?}");
                match ended.outcome {
                    Outcome::Succeeded => {
                        assert!(!fails, "reported as succeeded: {:?}", ended.job);
                        figures.succeeded += 1;
                    }
                    Outcome::Failed(failure) => {
                        assert!(fails, "reported as failed: {:?}", ended.job);
                        let reason = failure.reason.as_deref();
                        assert!(
                            reason.is_none_or(|reason| reason == FAILURE_REASON),
                            "{failure:?}"
                        );
                        figures.failed += 1;
                    }
                    outcome => panic!("a wait for the end of a job ended as {outcome:?}"),
                }
                figures.attempts += ended.attempts;
            }
            Err(error) => {
                assert_eq!(error.kind(), WaitErrorKind::DeadlineExceeded, "{error}: {error:?}");
                assert!(timeout < Duration::from_secs(60 * 60), "the long wait ended: {error}");
                // The last attempt of a resumed wait has a timeout of its own.
                assert!(error.elapsed() <= timeout + MAX_LAST_ATTEMPT, "{error}: {error:?}");
                figures.expired += 1;
                figures.attempts += error.attempts();
            }
        }
    }

    /// Pauses for less than `max_secs` seconds.
    async fn random_pause(&mut self, max_secs: u64) {
        SimulationClock.sleep(Duration::from_secs(self.random.u64(0..max_secs))).await;
    }
}

const MAX_LAST_ATTEMPT: Duration = Duration::from_secs(330);

//! Implements the simulated service: its state, its settings, and the faults that apply to it. Uses
//! no sockets.

mod route;
mod answer;
mod submit;
mod list;
mod objects;
mod settings;
mod fault_control;
mod limit;
mod memory;

pub use memory::SimTransport;

use std::{
    fmt,
    future::pending,
    str::FromStr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use job_model::{IdError, JobId, ProjectId};
use job_transport::{
    Client, Credentials, Endpoint,
    auth::{AccessKey, PasswordLogin},
    clock::{Clock, TokioClock},
    transport::Transport,
};

use self::{limit::RateLimiter, route::RequestKind};
use crate::{
    auth::{Authenticator, TestAccount},
    faults::{Fault, FaultInjector, ListFaults},
    identity::{IdentityFlow, IdentityService},
    plan::{Jobs, Moment, Plan, TimeSource},
    reply::{Answer, BodyEnd},
};

/// A simulated service and its jobs.
///
/// It is shared with the transports and servers that carry requests to it, so that a server can be
/// killed and restarted while the jobs go on.
pub struct Sim {
    pub(crate) time_source: TimeSource,
    pub(crate) project: ProjectId,
    job: JobId,
    clock: Box<dyn Clock>,
    /// When the simulation was created, by wall clock and by monotonic clock.
    created: Timestamp,
    monotonic_start: Duration,
    /// How far the service's clock is ahead of this machine's.
    clock_offset: SignedDuration,
    requests: AtomicU32,
    stalled: Arc<AtomicU32>,
    pub(crate) map_submitted: Box<dyn Fn(Plan) -> Plan + Send + Sync>,
    jobs: Mutex<Jobs>,
    fault_injector: Mutex<FaultInjector>,
    list_faults: Mutex<ListFaults>,
    list_requests: AtomicU32,
    object_requests: AtomicU32,
    rate_limiter: Mutex<RateLimiter>,
    identity: Mutex<IdentityService>,
    /// Locked after `identity`, if both are.
    authenticator: Mutex<Authenticator>,
    last_caller: Mutex<Option<String>>,
}

impl Sim {
    /// Creates a service with one job, on tokio's clock. The job is created now.
    #[must_use]
    pub fn new(plan: Plan, time_source: TimeSource) -> Self {
        Self::with_clock(plan, time_source, TokioClock::new())
    }

    /// Creates a service with one job on the given clock.
    ///
    /// The clock of a simulated network, for example, continues while a host is down.
    #[must_use]
    pub fn with_clock(plan: Plan, time_source: TimeSource, clock: impl Clock + 'static) -> Self {
        let project: ProjectId = id("4b8c1e4d7f2a4c0e9d6a2b1c3d4e5f60");
        let mut jobs = Jobs::default();
        Self {
            time_source,
            identity: Mutex::new(IdentityService::new()),
            authenticator: Mutex::new(Authenticator::new(project.clone())),
            last_caller: Mutex::default(),
            project,
            job: id(&jobs.add(plan, Duration::ZERO)),
            created: clock.now(),
            monotonic_start: clock.monotonic(),
            clock: Box::new(clock),
            clock_offset: SignedDuration::ZERO,
            requests: AtomicU32::new(0),
            stalled: Arc::default(),
            map_submitted: Box::new(|plan| plan),
            jobs: Mutex::new(jobs),
            fault_injector: Mutex::default(),
            list_faults: Mutex::default(),
            list_requests: AtomicU32::new(0),
            object_requests: AtomicU32::new(0),
            rate_limiter: Mutex::default(),
        }
    }

    /// Returns a client for this service, with a valid token.
    ///
    /// The transport must lead from the endpoint to this service.
    #[must_use]
    pub fn client(&self, endpoint: Endpoint, transport: impl Transport + 'static) -> Client {
        Client::new(endpoint, self.credentials(), transport).project(self.project.clone())
    }

    /// Adds a job, which is created now, and returns its id.
    pub fn add(&self, plan: Plan) -> JobId {
        id(&lock(&self.jobs).add(plan, self.elapsed()))
    }

    /// Adds a job that ended this long ago, and returns its id.
    ///
    /// The list of jobs has its row, so a client can learn from it how long jobs of this type take
    /// ([`Plan::with_duration`]). With [`TimeSource::PerRequest`], the first reading shows its end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use job_sim::{Plan, Sim, TimeSource};
    /// let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock);
    /// for minutes in [7, 8, 9] {
    ///     let plan = Plan::create_cluster().with_duration(Duration::from_secs(minutes * 60));
    ///     sim.add_finished(plan, Duration::from_secs(3600));
    /// }
    /// ```
    pub fn add_finished(&self, plan: Plan, ended: Duration) -> JobId {
        id(&lock(&self.jobs).add_finished(plan, self.elapsed(), ended))
    }

    /// Returns the project that the jobs belong to.
    #[must_use]
    pub const fn project(&self) -> &ProjectId {
        &self.project
    }

    /// Returns the id of the first job.
    #[must_use]
    pub const fn job(&self) -> &JobId {
        &self.job
    }

    /// Returns the credentials as plain text. They are needed by clients from outside this
    /// workspace.
    #[must_use]
    pub fn account(&self) -> TestAccount {
        self.authenticator().account()
    }

    /// Returns credentials with a valid token.
    #[must_use]
    #[expect(clippy::missing_panics_doc, clippy::expect_used, reason = "the constant is valid")]
    pub fn credentials(&self) -> Credentials {
        Credentials::token(self.account().token).expect("the constant is a valid token")
    }

    /// Returns a valid access key. Each simulation in a process has a different one.
    #[must_use]
    #[expect(clippy::missing_panics_doc, clippy::expect_used, reason = "the constant is valid")]
    pub fn access_key(&self) -> AccessKey {
        let TestAccount { access_key, secret_key, .. } = self.account();
        AccessKey::new(access_key, secret_key).expect("the constants are a valid key")
    }

    /// Returns a valid user and password, limited to the project of this service.
    #[must_use]
    pub fn login(&self) -> PasswordLogin {
        let TestAccount { user, password, domain, project_name, .. } = self.account();
        PasswordLogin::new(user, password, domain).project_name(project_name)
    }

    /// Returns the number of token requests so far.
    #[must_use]
    pub fn logins(&self) -> u32 {
        self.identity().logins()
    }

    /// Returns the number of requests of one flow of the identity services so far.
    #[must_use]
    pub fn identity_requests(&self, flow: IdentityFlow) -> u32 {
        self.identity().requests(flow)
    }

    /// Returns the caller of the last authenticated request to the job API, such as
    /// `user simulated-user`.
    #[must_use]
    pub fn last_caller(&self) -> Option<String> {
        lock(&self.last_caller).clone()
    }

    pub(crate) fn set_caller(&self, caller: String) {
        *lock(&self.last_caller) = Some(caller);
    }

    /// Expires all tokens and temporary keys that were issued so far.
    pub fn expire_tokens(&self) {
        self.identity().expire_sessions();
        self.authenticator().expire_tokens();
    }

    /// Returns the number of requests so far, including token requests.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Returns how often a job was read, and how many readings showed its end.
    ///
    /// A client needs only one reading of the end. Returns `None` if there is no such job.
    #[must_use]
    pub fn readings(&self, id: &JobId) -> Option<(u32, u32)> {
        self.jobs().readings(id.as_str())
    }

    /// Returns the number of requests for the list of jobs so far.
    #[must_use]
    pub fn list_requests(&self) -> u32 {
        self.list_requests.load(Ordering::Relaxed)
    }

    /// Returns the number of requests and connections that are stalled at the moment.
    #[must_use]
    pub fn stalled(&self) -> u32 {
        self.stalled.load(Ordering::Relaxed)
    }

    /// Applies the next connection fault, if there is one. Returns `false` if the connection is
    /// refused.
    pub(crate) async fn accept_connection(&self) -> bool {
        let elapsed = self.elapsed();
        let fault = lock(&self.fault_injector).next_connection_fault(elapsed);
        match fault {
            None => true,
            Some(Fault::Refuse) => false,
            Some(_) => {
                let _guard = self.stall();
                pending().await
            }
        }
    }

    /// Answers a request, or stalls it. Returns `None` if its connection ends without a reply.
    pub(crate) async fn reply(
        &self,
        request: &Request<Bytes>,
    ) -> Option<(Response<Bytes>, BodyEnd)> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let elapsed = self.elapsed();
        let fault = match RequestKind::from_request(request) {
            RequestKind::List => {
                let fault = lock(&self.fault_injector).next_unscripted_fault(elapsed);
                self.begin_list(fault).await
            }
            RequestKind::Object => self.begin_object(elapsed),
            RequestKind::Other => lock(&self.fault_injector).next_request_fault(elapsed),
        };
        match self.answer(request, number, fault) {
            Answer::Reply(response, end) => Some((response, end)),
            Answer::Reset => None,
            Answer::Stall => {
                let _guard = self.stall();
                pending().await
            }
        }
    }

    /// Counts a stalled request or connection, until the guard is dropped.
    pub(crate) fn stall(&self) -> StallGuard {
        self.stalled.fetch_add(1, Ordering::Relaxed);
        StallGuard(self.stalled.clone())
    }

    /// Returns how long ago the simulation was created.
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.monotonic_start)
    }

    /// Returns the service's time when the simulation was created.
    pub(crate) fn start_time(&self) -> Timestamp {
        self.created.saturating_add(self.clock_offset).unwrap_or(self.created)
    }

    /// Returns the current time of the service. It is monotonic.
    pub(crate) fn now(&self) -> Timestamp {
        self.start_time().saturating_add(self.elapsed()).unwrap_or(Timestamp::MAX)
    }

    /// Returns the current moment, as jobs and objects need it.
    pub(crate) fn moment(&self) -> Moment {
        Moment {
            time_source: self.time_source,
            start_time: self.start_time(),
            elapsed: self.elapsed(),
        }
    }

    pub(crate) fn identity(&self) -> MutexGuard<'_, IdentityService> {
        lock(&self.identity)
    }

    pub(crate) fn authenticator(&self) -> MutexGuard<'_, Authenticator> {
        lock(&self.authenticator)
    }

    pub(crate) fn jobs(&self) -> MutexGuard<'_, Jobs> {
        lock(&self.jobs)
    }

    /// Counts a request, and returns `true` if it is within the rate limit.
    pub(crate) fn is_within_limit(&self) -> bool {
        lock(&self.rate_limiter).try_acquire(self.elapsed())
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("project", &self.project)
            .field("time_source", &self.time_source)
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}

/// Counts one stalled request or connection until it is dropped.
pub(crate) struct StallGuard(Arc<AtomicU32>);

impl Drop for StallGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::expect_used, reason = "called with valid constants only")]
fn id<I: FromStr<Err = IdError>>(text: &str) -> I {
    text.parse().expect("the constant is a valid id")
}

#[cfg(test)]
mod tests;

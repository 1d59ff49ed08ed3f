//! Reads jobs, the list of jobs, clusters and nodes. Each call makes one attempt, and authenticates
//! again after a 401.

mod digest;
mod snapshot;
mod unreadable;
mod reading;
mod list_reading;
mod object_reading;
mod objects;

pub use digest::JobDigest;
pub use list_reading::ListReading;
pub use object_reading::ObjectReading;
pub use reading::{Fetched, Reading, Unchanged};
pub use snapshot::JobSnapshot;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use job_model::{JobId, ProjectId};

use crate::{
    auth::{
        Credential, Credentials, IssuedCredential, KeyRecords, ProjectLookup, RenewalReason,
        SigningContext, X_AUTH_TOKEN, send_signed,
    },
    clock::{Clock, timeout},
    request::{
        Endpoint, ErrorClass, FetchError, FetchErrorKind, RefusalCause, Reply, RequestInfo, Target,
        send_traced,
    },
    transport::{
        MemoryLimit, RequestSent, TimeoutStage, Transport, TransportError, TransportErrorKind,
        off_thread,
    },
};

/// The default timeout of an attempt, which includes its requests and a refresh of the credentials.
/// It is the longest of all timeouts, so that the more specific ones expire first: a request has
/// 60 s, a credentials provider 20 s, and the attempt of a wait 30 s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(90);

/// The number of headers of a request with a token: its content type, the token, and two that a
/// transport adds.
const HEADERS_WITH_TOKEN: usize = 4;

/// The number of headers of a signed request, which has up to five headers instead of a token.
const HEADERS_WITH_SIGNATURE: usize = 8;

/// Reads jobs, clusters and nodes of one project from one endpoint.
///
/// Clones are cheap and share the credentials and the transport.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    endpoint: Endpoint,
    project: Option<ProjectId>,
    project_lookup: Option<ProjectLookup>,
    credentials: Credentials,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    attempt_timeout: Duration,
    key_records: Option<Arc<dyn KeyRecords>>,
    /// `None` is the limit of the process, which needs no extension of the request.
    memory_limit: Option<MemoryLimit>,
}

impl Client {
    /// Creates a client. Sends no request.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn new(
        endpoint: Endpoint,
        credentials: Credentials,
        transport: impl Transport + 'static,
    ) -> Self {
        Self::with_clock(endpoint, credentials, transport, crate::clock::TokioClock::new())
    }

    /// Creates a client with a custom clock.
    #[must_use]
    pub fn with_clock(
        endpoint: Endpoint,
        credentials: Credentials,
        transport: impl Transport + 'static,
        clock: impl Clock + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            endpoint,
            project: None,
            project_lookup: None,
            credentials,
            transport: Arc::new(transport),
            clock: Arc::new(clock),
            attempt_timeout: ATTEMPT_TIMEOUT,
            key_records: None,
            memory_limit: None,
        }))
    }

    /// Returns the endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// Sets the project of the jobs.
    ///
    /// The default is the project that comes with the credentials, for example with those of the
    /// identity service.
    #[must_use]
    pub fn project(self, project: ProjectId) -> Self {
        let inner = Arc::unwrap_or_clone(self.0);
        Self(Arc::new(Inner { project: Some(project), ..inner }))
    }

    /// Looks up the project by its name if its id is not [set](Self::project) and not part of the
    /// credentials.
    ///
    /// The lookup is part of the first attempt. It is done once, and shared with clones.
    #[must_use]
    pub fn project_lookup(self, lookup: ProjectLookup) -> Self {
        let inner = Arc::unwrap_or_clone(self.0);
        Self(Arc::new(Inner { project_lookup: Some(lookup), ..inner }))
    }

    /// Returns the project of the jobs, as far as it is known. Sends no request.
    ///
    /// It is the id that was [set](Self::project), or else that of the last credentials, or else
    /// the result of the [lookup](Self::project_lookup). The first request gets the last two.
    #[must_use]
    pub fn current_project(&self) -> Option<ProjectId> {
        let issued = || self.0.credentials.last_issued()?.project.clone();
        let found = || self.0.project_lookup.as_ref()?.found();
        self.0.project.clone().or_else(issued).or_else(found)
    }

    /// Sets the timeout of an attempt, including a refresh of the credentials. The default is 90 s.
    ///
    /// The transport's own timeout applies to each request.
    #[must_use]
    pub fn attempt_timeout(self, timeout: Duration) -> Self {
        let inner = Arc::unwrap_or_clone(self.0);
        Self(Arc::new(Inner { attempt_timeout: timeout, ..inner }))
    }

    /// Shares what is known of an access key with other processes; by default with the clients of
    /// this process only.
    ///
    /// For a key at a loopback address `records` is not used.
    #[must_use]
    pub fn key_records(self, records: impl KeyRecords + 'static) -> Self {
        let inner = Arc::unwrap_or_clone(self.0);
        Self(Arc::new(Inner { key_records: Some(Arc::new(records)), ..inner }))
    }

    /// Sets the limit that bodies in flight count toward. By default it is the
    /// [limit of the process](MemoryLimit::global).
    ///
    /// If a limit is set, each request carries it as an extension, for the transport.
    #[must_use]
    pub fn memory_limit(self, limit: MemoryLimit) -> Self {
        let inner = Arc::unwrap_or_clone(self.0);
        Self(Arc::new(Inner { memory_limit: Some(limit), ..inner }))
    }

    /// Reads the job once: `GET /api/v3/projects/{project_id}/jobs/{job_id}`, or below
    /// `/autopilot/v3` (see [`Endpoint::autopilot`]).
    ///
    /// If the service rejects the credentials (401) and they can be refreshed, they are refreshed
    /// and the request is sent once more. If the service rejects a signature because the local
    /// clock is wrong, the client learns the service's time and signs the request again.
    ///
    /// # Errors
    ///
    /// Returns an error if there are no credentials, no reply is received, the status is not 200,
    /// or the body is not a job; see [`FetchError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the attempt. The job is not affected. If the credentials were
    /// being requested for this attempt, the next attempt requests them again.
    pub async fn job(&self, id: &JobId) -> Result<Reading, FetchError> {
        self.within_timeout(Target::Job(id), async |ok| read(ok).await).await
    }

    /// Reads the list of the project's jobs once: `GET /api/v2/projects/{project_id}/jobs`, or
    /// below `/autopilot/v2` (see [`Endpoint::autopilot`]).
    ///
    /// Authentication, timeouts and the limit of the body (8 MiB with the feature `hyper`) are those
    /// of [`job`](Self::job). The list may lag behind the jobs and may lack some of them, for example if
    /// the user may not see them. So it shows which jobs to read, and not how they ended.
    ///
    /// # Errors
    ///
    /// Returns an error if there are no credentials, no reply is received, the status is not 200,
    /// or the body is not an array; see [`FetchError`]. A row that is not a job is left out
    /// ([`JobList::deviations`](job_model::job::JobList::deviations)).
    ///
    /// # Cancel safety
    ///
    /// The same as for [`job`](Self::job).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use job_sim::{Plan, Sim, SimTransport, TimeSource};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
    /// # let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
    /// let reading = client.jobs().await?;
    /// for row in reading.list.rows() {
    ///     println!("{:?} {:?}", row.uid(), row.phase());
    /// }
    /// # assert_eq!(reading.list.len(), 1);
    /// # Ok(()) }
    /// ```
    pub async fn jobs(&self) -> Result<ListReading, FetchError> {
        self.within_timeout(Target::Jobs, async |ok| {
            let OkReply { response, credentials_refreshed } = ok;
            let bytes = response.body().len();
            match off_thread(bytes, move || ListReading::from_ok_response(&response)).await {
                Ok(reading) => Ok(ListReading { credentials_refreshed, ..reading }),
                Err(error) => Err(error.with_credentials_refreshed(credentials_refreshed)),
            }
        })
        .await
    }

    /// Reads the job once, and decodes the reply only if it differs from the last one.
    ///
    /// The request is that of [`job`](Self::job).
    ///
    /// `last` is the last accepted snapshot of the same job. If it is `None`, the reply is always
    /// decoded.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`job`](Self::job).
    ///
    /// # Cancel safety
    ///
    /// The same as for [`job`](Self::job).
    pub async fn job_since(
        &self,
        id: &JobId,
        last: Option<&JobSnapshot>,
    ) -> Result<Fetched, FetchError> {
        self.within_timeout(Target::Job(id), async |ok| {
            if !last.is_some_and(|last| last.has_text(ok.response.body())) {
                return read(ok).await.map(Fetched::Reading);
            }
            let unchanged = Unchanged::from_ok_response(&ok.response);
            let credentials_refreshed = ok.credentials_refreshed;
            Ok(Fetched::Unchanged(Unchanged { credentials_refreshed, ..unchanged }))
        })
        .await
    }

    /// Makes an attempt within its timeout, and reads the reply.
    async fn within_timeout<T>(
        &self,
        target: Target<'_>,
        read: impl AsyncFnOnce(OkReply) -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        let endpoint = &self.0.endpoint;
        let template = match target {
            Target::Job(_) => endpoint.job_path(),
            Target::Jobs => endpoint.jobs_path(),
            Target::Object(id) => endpoint.object_path(id.kind()),
        };
        let attempt = AttemptContext { target, template, requests: AtomicU32::new(0) };
        let made = async { read(self.attempt(&attempt).await?).await };
        let made = timeout(&*self.0.clock, self.0.attempt_timeout, made).await;
        made.unwrap_or_else(|| {
            let error = match attempt.requests.into_inner() {
                0 => TransportError::timeout(TimeoutStage::Queue),
                _ => TransportError::new(TransportErrorKind::Timeout, RequestSent::Maybe),
            };
            Err(error.into())
        })
    }

    async fn attempt(&self, attempt: &AttemptContext<'_>) -> Result<OkReply, FetchError> {
        let Inner { credentials, clock, .. } = &*self.0;
        let issued = credentials.get(&**clock).await?;
        let refused = match self.send(attempt, &issued).await {
            Ok(response) => return Ok(OkReply { response, credentials_refreshed: false }),
            Err(error) => error,
        };
        let reason = match refused.kind() {
            _ if refused.class() == ErrorClass::Unauthorized => RenewalReason::from_refusal(
                refused.refusal_cause() == Some(RefusalCause::TemporaryKeyExpired),
            ),
            FetchErrorKind::Status(403) if credentials.is_renewed_after_forbidden() => {
                RenewalReason::Forbidden
            }
            _ => return Err(refused),
        };
        match credentials.refresh(&issued, reason, &**clock).await {
            // The same key would be refused again.
            Ok(Some(same)) if same.has_same_key(&issued) => Err(refused),
            Ok(Some(same))
                if reason == RenewalReason::Forbidden && same.has_same_secret(&issued) =>
            {
                Err(refused)
            }
            Ok(Some(issued)) => match self.send_renewed(attempt, &issued).await {
                Ok(response) => Ok(OkReply { response, credentials_refreshed: true }),
                Err(error) => Err(error.with_credentials_refreshed(true)),
            },
            Ok(None) => Err(refused),
            Err(error) => Err(FetchError::from(error).with_refusal(refused)),
        }
    }

    /// Sends the request with credentials that have just been renewed. If the connection closes,
    /// sends a token once more, because some servers close the connection after a refusal.
    async fn send_renewed(
        &self,
        attempt: &AttemptContext<'_>,
        issued: &IssuedCredential,
    ) -> Result<Response<Bytes>, FetchError> {
        const CLOSED: FetchErrorKind = FetchErrorKind::Transport(TransportErrorKind::Closed);
        match (self.send(attempt, issued).await, &issued.credential) {
            (Err(error), Credential::Token(_)) if error.kind() == CLOSED => {
                self.send(attempt, issued).await
            }
            (sent, _) => sent,
        }
    }

    /// Sends the request with these credentials.
    async fn send(
        &self,
        attempt: &AttemptContext<'_>,
        issued: &IssuedCredential,
    ) -> Result<Response<Bytes>, FetchError> {
        let known = self.0.project.as_ref().or(issued.project.as_ref());
        let project = match (known, &self.0.project_lookup) {
            (Some(project), _) => project.clone(),
            (None, Some(lookup)) => lookup.get(issued, &self.signing_context()).await?,
            (None, None) => return Err(FetchError::new(FetchErrorKind::NoProject)),
        };
        match &issued.credential {
            Credential::Token(token) => {
                let token = token.value().map_err(TransportError::invalid_request)?;
                let mut request =
                    self.build_request(&project, attempt.target, HEADERS_WITH_TOKEN)?;
                request.headers_mut().insert(X_AUTH_TOKEN, token);
                self.send_once(attempt, request).await?.expect_status(StatusCode::OK)
            }
            Credential::Key(key) => {
                let context = self.signing_context();
                let about = || attempt.request_info();
                let request =
                    || self.build_request(&project, attempt.target, HEADERS_WITH_SIGNATURE);
                let reply = send_signed(&context, request, key, Some(&project), about, &[]).await?;
                reply.expect_status(StatusCode::OK)
            }
        }
    }

    async fn send_once(
        &self,
        attempt: &AttemptContext<'_>,
        request: Request<Bytes>,
    ) -> Result<Reply, TransportError> {
        send_traced(&*self.0.transport, request, attempt.request_info(), &[]).await
    }

    fn signing_context(&self) -> SigningContext<'_> {
        SigningContext {
            transport: &*self.0.transport,
            clock: &*self.0.clock,
            records: self.0.key_records.as_deref(),
        }
    }

    /// Creates the request without authentication headers. There is space for `headers` of them, so
    /// that the list of headers does not grow later.
    fn build_request(
        &self,
        project: &ProjectId,
        target: Target<'_>,
        headers: usize,
    ) -> Result<Request<Bytes>, FetchError> {
        let endpoint = &self.0.endpoint;
        let uri = match target {
            Target::Job(id) => endpoint.job_uri(project, id),
            Target::Jobs => endpoint.jobs_uri(project),
            Target::Object(id) => endpoint.object_uri(project, id),
        };
        let request = uri.and_then(|uri| endpoint.request(uri));
        let mut request = request.map_err(TransportError::invalid_request)?;
        request.headers_mut().reserve(headers);
        // Required for this GET, although it has no body (reference page, table 2).
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        if let Some(limit) = &self.0.memory_limit {
            request.extensions_mut().insert(limit.clone());
        }
        Ok(request)
    }
}

/// Decodes a reply.
async fn read(ok: OkReply) -> Result<Reading, FetchError> {
    let OkReply { response, credentials_refreshed } = ok;
    let bytes = response.body().len();
    match off_thread(bytes, move || Reading::from_ok_response(&response)).await {
        Ok(reading) => Ok(Reading { credentials_refreshed, ..reading }),
        Err(error) => Err(error.with_credentials_refreshed(credentials_refreshed)),
    }
}

/// A reply with status 200.
struct OkReply {
    response: Response<Bytes>,
    credentials_refreshed: bool,
}

/// An attempt, and the number of its requests that were sent so far.
struct AttemptContext<'a> {
    target: Target<'a>,
    /// The path of the request, with placeholders for the ids.
    template: &'static str,
    requests: AtomicU32,
}

impl AttemptContext<'_> {
    /// Returns the fields of the next request's span, and counts the request.
    fn request_info(&self) -> RequestInfo<'_> {
        RequestInfo {
            template: self.template,
            target: Some(self.target),
            resends: self.requests.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.0.endpoint)
            .field("project", &self.0.project)
            .field("credentials", &self.0.credentials)
            .finish_non_exhaustive()
    }
}

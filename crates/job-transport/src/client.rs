//! The one call: how is this job? Makes one attempt and never another.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, header::CONTENT_TYPE};
use job_model::{JobId, ProjectId};

use crate::{
    Credentials, Endpoint, FetchError, Reading, RequestSent, Transport, TransportError,
    TransportErrorKind,
};

/// Asks one project of one endpoint for its jobs. Cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    project: ProjectId,
    credentials: Credentials,
    transport: Box<dyn Transport>,
}

impl Client {
    /// Creates a client; sends nothing.
    #[must_use]
    pub fn new(
        endpoint: Endpoint,
        project: ProjectId,
        credentials: Credentials,
        transport: impl Transport + 'static,
    ) -> Self {
        let transport = Box::new(transport);
        Self(Arc::new(Inner { endpoint, project, credentials, transport }))
    }

    /// Asks once how the job is: `GET /api/v3/projects/{project_id}/jobs/{job_id}`.
    ///
    /// # Errors
    ///
    /// Where no reply came, its status is not 200, or its body is no job; see [`FetchError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives this attempt up; the job is not affected.
    pub async fn job(&self, id: &JobId) -> Result<Reading, FetchError> {
        let request = self.request(id).map_err(|error| {
            TransportError::new(TransportErrorKind::InvalidRequest, RequestSent::No)
                .with_source(error)
        })?;
        Reading::from_response(self.0.transport.send(request).await?)
    }

    fn request(&self, id: &JobId) -> Result<Request<Bytes>, http::Error> {
        let uri = self.0.endpoint.job_uri(&self.0.project, id)?;
        let mut request = Request::get(uri).body(Bytes::new())?;
        let headers = request.headers_mut();
        // Mandatory on this GET, though it has no body (reference page, table 2).
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.0.credentials.authenticate(headers)?;
        Ok(request)
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

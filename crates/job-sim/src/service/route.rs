//! What a request is for, by its method and path. Looks at nothing else of it.

use bytes::Bytes;
use http::{Method, Request};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'r> {
    /// `GET /v3`: what the identity service is.
    Identity,
    /// `POST /v3/auth/tokens`.
    Login,
    /// One of the job API, in a project: all of these need credentials.
    Project(&'r str, Call<'r>),
    /// `POST /simulation/faults`: what is to apply to the next requests. Not the service's.
    Faults,
    /// `POST /simulation/expire-tokens`. Not the service's.
    ExpireTokens,
}

/// What is asked for within `/api/v3/projects/{project}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call<'r> {
    /// `GET /jobs/{job}`.
    Job(&'r str),
    /// `POST /clusters`.
    CreateCluster,
    /// `DELETE /clusters/{cluster}`.
    DeleteCluster(&'r str),
    /// `POST /clusters/{cluster}/nodes`.
    CreateNodes(&'r str),
    /// `DELETE /clusters/{cluster}/nodes/{node}`.
    DeleteNode(&'r str, &'r str),
}

/// Returns what a request is for; `None` where the service has no such path.
pub(crate) fn route(request: &Request<Bytes>) -> Option<Route<'_>> {
    let path = request.uri().path().strip_prefix('/')?;
    let segments: Vec<&str> = path.split('/').collect();
    Some(match (request.method(), &*segments) {
        (&Method::GET, ["v3"] | ["v3", ""]) => Route::Identity,
        (&Method::POST, ["v3", "auth", "tokens"]) => Route::Login,
        (&Method::POST, ["simulation", "faults"]) => Route::Faults,
        (&Method::POST, ["simulation", "expire-tokens"]) => Route::ExpireTokens,
        (method, ["api", "v3", "projects", project, rest @ ..]) => {
            let call = match (method, rest) {
                (&Method::GET, ["jobs", job]) => Call::Job(job),
                (&Method::POST, ["clusters"]) => Call::CreateCluster,
                (&Method::DELETE, ["clusters", cluster]) => Call::DeleteCluster(cluster),
                (&Method::POST, ["clusters", cluster, "nodes"]) => Call::CreateNodes(cluster),
                (&Method::DELETE, ["clusters", cluster, "nodes", node]) => {
                    Call::DeleteNode(cluster, node)
                }
                _ => return None,
            };
            Route::Project(project, call)
        }
        _ => return None,
    })
}

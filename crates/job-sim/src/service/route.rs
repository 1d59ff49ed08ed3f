//! Determines what a request asks for, from its method and path only.

use bytes::Bytes;
use http::{Method, Request};

use crate::identity::IdentityCall;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'r> {
    /// `GET /v3`: the description of the identity service.
    Identity,
    /// A call of a service that issues tokens or temporary keys.
    Issuer(IdentityCall),
    /// A call of the job API in a project. All of them need credentials.
    Project(&'r str, Call<'r>),
    /// `POST /simulation/faults`: injects faults. Not part of the real API.
    Faults,
    /// `POST /simulation/expire-tokens`: expires all tokens and temporary keys. Not part of the real
    /// API.
    ExpireTokens,
    /// `POST /simulation/list-faults`: replaces the faults of the list of jobs. Not part of the real
    /// API.
    ListFaults,
    /// `POST /simulation/object-faults`: injects faults of clusters and nodes. Not part of the real API.
    ObjectFaults,
    /// `GET /simulation/caller`: the last caller of the job API. Not part of the real API.
    Caller,
}

/// A call within `/api/v3/projects/{project}`, or within `/autopilot/v3` for Autopilot clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call<'r> {
    /// `GET /jobs` of API v2.
    Jobs,
    /// `GET /jobs/{job}`.
    Job(&'r str),
    /// `GET /clusters/{cluster}`, or `GET /clusters/{cluster}/nodes/{node}`.
    Object { cluster: &'r str, node: Option<&'r str> },
    /// `POST /clusters`.
    CreateCluster,
    /// `DELETE /clusters/{cluster}`.
    DeleteCluster(&'r str),
    /// `POST /clusters/{cluster}/nodes`.
    CreateNodes(&'r str),
    /// `DELETE /clusters/{cluster}/nodes/{node}`.
    DeleteNode(&'r str, &'r str),
}

/// The kinds of requests that have faults of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// A request for the list of jobs.
    List,
    /// A request for a cluster or node.
    Object,
    Other,
}

impl RequestKind {
    pub(crate) fn from_request(request: &Request<Bytes>) -> Self {
        match route(request) {
            Some(Route::Project(_, Call::Jobs)) => Self::List,
            Some(Route::Project(_, Call::Object { .. })) => Self::Object,
            _ => Self::Other,
        }
    }
}

/// Returns what a request asks for, or `None` if the service has no such path.
pub(crate) fn route(request: &Request<Bytes>) -> Option<Route<'_>> {
    let path = request.uri().path().strip_prefix('/')?;
    let segments: Vec<&str> = path.split('/').collect();
    Some(match (request.method(), &*segments) {
        (&Method::GET, ["v3"] | ["v3", ""]) => Route::Identity,
        (&Method::POST, ["v3", "auth", "tokens"]) => Route::Issuer(IdentityCall::Tokens),
        (&Method::GET, ["v3", "auth", "tokens"]) => Route::Issuer(IdentityCall::InspectToken),
        (&Method::GET, ["v3", "projects"]) => Route::Issuer(IdentityCall::Projects),
        (&Method::POST, ["v3.0", "OS-AUTH", "id-token", "tokens"]) => {
            Route::Issuer(IdentityCall::IdToken)
        }
        (&Method::POST, ["v3.0", "OS-CREDENTIAL", "securitytokens"]) => {
            Route::Issuer(IdentityCall::SecurityTokens)
        }
        (&Method::POST, ["v5", "agencies", "assume-with-oidc"]) => {
            Route::Issuer(IdentityCall::AssumeWithOidc)
        }
        (&Method::PUT, ["meta-data", "latest", "api", "token"]) => {
            Route::Issuer(IdentityCall::MetadataToken)
        }
        (&Method::GET, ["openstack", "latest", "securitykey"]) => {
            Route::Issuer(IdentityCall::MetadataKey)
        }
        (&Method::POST, ["v1", "credentials"]) => Route::Issuer(IdentityCall::PodIdentity),
        (&Method::POST, ["simulation", "faults"]) => Route::Faults,
        (&Method::POST, ["simulation", "object-faults"]) => Route::ObjectFaults,
        (&Method::POST, ["simulation", "list-faults"]) => Route::ListFaults,
        (&Method::POST, ["simulation", "expire-tokens"]) => Route::ExpireTokens,
        (&Method::GET, ["simulation", "caller"]) => Route::Caller,
        (method, ["api" | "autopilot", "v3", "projects", project, rest @ ..]) => {
            let call = match (method, rest) {
                (&Method::GET, ["jobs", job]) => Call::Job(job),
                (&Method::GET, ["clusters", cluster]) => Call::Object { cluster, node: None },
                (&Method::GET, ["clusters", cluster, "nodes", node]) => {
                    Call::Object { cluster, node: Some(node) }
                }
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
        (&Method::GET, ["api" | "autopilot", "v2", "projects", project, "jobs"]) => {
            Route::Project(project, Call::Jobs)
        }
        _ => return None,
    })
}

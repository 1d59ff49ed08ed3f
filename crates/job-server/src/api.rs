//! The HTTP API: its routes, and the checks of each request.

mod extract;
mod waits;
mod projects;
mod notifications;
mod timeline;
mod service;
mod changes;
mod events;
mod page;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderValue, Method, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get, post},
};
use job_store::Store;
use job_transport::clock::{Clock as _, TokioClock};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(crate) use self::{changes::ChangeFeeds, projects::Projects, service::WorkerObserver};
use crate::{
    database::Database,
    host::AllowedHosts,
    metrics::{self, Metrics, RefusalLog},
    problem::{self, Problem},
    token::{TokenDigest, Tokens},
};

/// Maximum size of the body of a request.
const MAX_BODY: usize = 64 << 10;

/// How long a request may take until the head of its reply.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The state that each handler of requests receives.
pub(crate) type Api = Arc<ApiState>;

/// What the handlers of requests share.
#[derive(Debug)]
pub(crate) struct ApiState {
    pub(crate) database: Arc<Database>,
    pub(crate) projects: Projects,
    /// The queues that clients may name.
    pub(crate) queues: Vec<String>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) refused_tokens: RefusalLog,
    pub(crate) hosts: AllowedHosts,
    pub(crate) feeds: ChangeFeeds,
    /// The streams that may still be opened.
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) metrics: Metrics,
    pub(crate) worker: WorkerObserver,
    /// Ends the streams, for which the server waits when it stops.
    pub(crate) stop: CancellationToken,
}

impl ApiState {
    fn store(&self) -> &Store {
        &self.database.store
    }
}

/// The routes, except those of the page. A test compares them with the OpenAPI document.
fn routes() -> Vec<(&'static str, MethodRouter<Api>)> {
    vec![
        ("/health", get(service::health)),
        ("/ready", get(service::ready)),
        ("/metrics", get(service::metrics)),
        ("/openapi.json", get(service::openapi)),
        ("/api/v1/projects", get(projects::list)),
        ("/api/v1/projects/{project}/pause", post(projects::pause)),
        ("/api/v1/projects/{project}/resume", post(projects::resume)),
        ("/api/v1/summary", get(service::summary)),
        ("/api/v1/waits", get(waits::list)),
        ("/api/v1/waits/{project}/{job}", get(waits::show).put(waits::watch).delete(waits::cancel)),
        ("/api/v1/waits/{project}/{job}/hint", post(waits::hint)),
        ("/api/v1/waits/{project}/{job}/events", get(events::wait)),
        ("/api/v1/waits/{project}/{job}/timeline.svg", get(timeline::svg)),
        ("/api/v1/waits/{project}/{job}/notifications", get(notifications::list)),
        ("/api/v1/notifications/undelivered", get(notifications::undelivered)),
        ("/api/v1/notifications/{id}/retry", post(notifications::retry)),
        ("/api/v1/events", get(events::all)),
    ]
}

/// Returns the router with all checks.
pub(crate) fn router(api: Api) -> Router {
    let routes = routes().into_iter();
    let router: Router<Api> =
        routes.fold(Router::new(), |router, (path, route)| router.route(path, route));
    router
        .merge(page::routes())
        .fallback(async || Problem::new(problem::NOT_FOUND, "see /openapi.json for the paths"))
        .method_not_allowed_fallback(async || {
            Problem::new(problem::METHOD_NOT_ALLOWED, "the header Allow lists the methods")
        })
        .layer(middleware::from_fn(limit_time))
        .layer(middleware::from_fn_with_state(api.clone(), check_token))
        .layer(middleware::from_fn_with_state(api.clone(), check_host))
        .layer(middleware::from_fn(observe))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(api)
}

/// Logs and counts a request, and adds headers for browsers to its reply.
async fn observe(request: Request, next: Next) -> Response {
    let clock = TokioClock::new();
    let began = clock.monotonic();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = known_method(request.method());
    // A path contains ids, and no secrets. A query can contain anything.
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    let duration = clock.monotonic().saturating_sub(began);
    let status = response.status().as_u16();
    // The files of the page count as one route.
    let route = match &route {
        Some(_) if page::is_static(&path) => "/",
        Some(route) => route.as_str(),
        None => "other",
    };
    metrics::count_request(route, method, status, duration);
    tracing::debug!(method, path, status, ?duration, "request");
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Returns the method for a label. Clients can invent methods.
fn known_method(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"];
    known.into_iter().find(|known| method == *known).unwrap_or("other")
}

/// Refuses a request that is addressed to another host (DNS rebinding). Probes of `/health` use the
/// address of a pod, and learn nothing.
async fn check_host(State(api): State<Api>, request: Request, next: Next) -> Response {
    if request.uri().path() == "/health" || is_host_allowed(&api.hosts, &request) {
        return next.run(request).await;
    }
    let detail = "use localhost, or start the server with --allowed-host and the name in the URL";
    Problem::new(problem::UNKNOWN_HOST, detail).into_response()
}

/// Returns whether a request names at least one host, and all its hosts are allowed. A request can name
/// hosts in its URL and in each header `Host`.
fn is_host_allowed(allowed: &AllowedHosts, request: &Request) -> bool {
    let headers = request.headers().get_all(header::HOST).iter().map(HeaderValue::to_str);
    let authority = request.uri().authority().map(|authority| Ok(authority.as_str()));
    let mut hosts = headers.chain(authority).peekable();
    hosts.peek().is_some() && hosts.all(|host| host.is_ok_and(|host| allowed.contains(host)))
}

/// Refuses a request without a valid token, except for `/health` and the static files.
async fn check_token(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path == "/health" || page::is_static(path) {
        return next.run(request).await;
    }
    match authenticate(&api, &request) {
        Ok(digest) => {
            // Streams end if the token is removed.
            request.extensions_mut().insert(digest);
            next.run(request).await
        }
        Err(detail) => {
            metrics::count_refused_token();
            Problem::new(problem::UNAUTHORIZED, detail).into_response()
        }
    }
}

/// Returns the digest of the token of a request, or what the client should do.
fn authenticate(api: &ApiState, request: &Request) -> Result<TokenDigest, &'static str> {
    let header = request.headers().get(header::AUTHORIZATION);
    let token = header.and_then(bearer).ok_or(
        "send the header `Authorization: Bearer TOKEN`; the token is in the file server-token in the \
         state folder of the server",
    )?;
    api.tokens.check(token).ok_or_else(|| {
        if let Some(refusals) = api.refused_tokens.count() {
            tracing::warn!(refusals, "refused a token that is not valid");
        }
        "the token is not valid, or was replaced; the file server-token in the state folder of the \
         server has the current one"
    })
}

/// Returns the token of a header `Authorization: Bearer TOKEN`.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token.trim_ascii())
}

/// Ends a request that takes too long, for example because its body does not arrive.
async fn limit_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(problem::TIMEOUT, "try again").into_response(),
    }
}

/// The token of the request, for handlers of streams.
type RequestToken = axum::Extension<TokenDigest>;

#[cfg(test)]
mod tests;

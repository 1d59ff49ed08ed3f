//! The HTTP server: the endpoint that the engine calls, health checks, and metrics.

mod deployment;
mod register;

pub use deployment::{Deployment, IdentityKeyError};
pub use register::{RegisterError, register};

use std::{convert::Infallible, future::Future, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{Either, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::GracefulShutdown},
};
use job_transport::clock::{Clock, TokioClock};
use restate_sdk::endpoint::{Endpoint, HandleOptions, ProtocolMode, ResponseBody};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{budget::ServiceBudget, metrics::Metrics, reference_clock::ReferenceClock};

/// How long requests in progress may continue after the service was asked to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait before accepting connections again after an error, for example when the process
/// is out of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Serves until the future `until` completes, and returns its output.
pub(crate) async fn serve<T>(
    listener: TcpListener,
    endpoint: Endpoint,
    metrics: Arc<Metrics>,
    clock: Arc<ReferenceClock>,
    budget: Arc<ServiceBudget>,
    until: impl Future<Output = T>,
) -> T {
    let server = auto::Builder::new(TokioExecutor::new());
    let under_way = GracefulShutdown::new();
    let mut until = pin!(until);
    // Dropping the set aborts all connections.
    let mut connections = JoinSet::new();
    let ended = loop {
        let stream = tokio::select! {
            ended = &mut until => break ended,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = stream else {
            TokioClock::new().sleep(ACCEPT_RETRY_DELAY).await;
            continue;
        };
        let (endpoint, metrics, budget) = (endpoint.clone(), metrics.clone(), budget.clone());
        let clock = clock.clone();
        let answer = service_fn(move |request| {
            let answered = handle_request(&endpoint, &metrics, &clock, &budget, request);
            async { Ok::<_, Infallible>(answered) }
        });
        let connection = server.serve_connection(TokioIo::new(stream), answer).into_owned();
        let connection = under_way.watch(connection);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "connection failed");
            }
        });
    };
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, under_way.shutdown()).await;
    ended
}

fn handle_request(
    endpoint: &Endpoint,
    metrics: &Metrics,
    clock: &ReferenceClock,
    budget: &ServiceBudget,
    request: Request<Incoming>,
) -> Response<Either<Full<Bytes>, ResponseBody>> {
    let text = |text: String, of: &'static str| {
        let mut response = Response::new(Either::Left(Full::from(text)));
        response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(of));
        response
    };
    match request.uri().path() {
        "/health" => text("ok\n".into(), "text/plain"),
        "/ready" => match clock.problem().or_else(|| budget.obstacle().map(String::from)) {
            None => text("ok\n".into(), "text/plain"),
            Some(obstacle) => {
                let mut response = text(format!("{obstacle}\n"), "text/plain");
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                response
            }
        },
        "/metrics" => text(
            metrics.to_openmetrics(TokioClock::new().monotonic()),
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        _ => {
            let options = HandleOptions { protocol_mode: ProtocolMode::BidiStream };
            endpoint.handle_with_options(request, options).map(Either::Right)
        }
    }
}

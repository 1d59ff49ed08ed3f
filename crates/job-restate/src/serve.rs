//! HTTP: what the engine calls, and beside it health and metrics. Knows no wait.

use std::{convert::Infallible, future::Future, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, header::CONTENT_TYPE};
use http_body_util::{Either, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::GracefulShutdown},
};
use job_transport::{Clock, TokioClock};
use restate_sdk::endpoint::{Endpoint, HandleOptions, ProtocolMode, ResponseBody};
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// How long what is under way has once the service is to stop.
const GRACE: Duration = Duration::from_secs(10);

/// How long nobody is let in where none can be: without descriptors, for one.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until the future ends, and returns what that gives.
pub(crate) async fn serve<T>(
    listener: TcpListener,
    endpoint: Endpoint,
    metrics: Arc<Metrics>,
    until: impl Future<Output = T>,
) -> T {
    let server = auto::Builder::new(TokioExecutor::new());
    let under_way = GracefulShutdown::new();
    let mut until = pin!(until);
    let ended = loop {
        let stream = tokio::select! {
            ended = &mut until => break ended,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = stream else {
            TokioClock::new().sleep(PAUSE).await;
            continue;
        };
        let (endpoint, metrics) = (endpoint.clone(), metrics.clone());
        let answer = service_fn(move |request| {
            let answered = answer(&endpoint, &metrics, request);
            async { Ok::<_, Infallible>(answered) }
        });
        let connection = server.serve_connection(TokioIo::new(stream), answer).into_owned();
        let connection = under_way.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended");
            }
        });
    };
    let _ = tokio::time::timeout(GRACE, under_way.shutdown()).await;
    ended
}

fn answer(
    endpoint: &Endpoint,
    metrics: &Metrics,
    request: Request<Incoming>,
) -> Response<Either<Full<Bytes>, ResponseBody>> {
    let text = |text: String, of: &'static str| {
        let mut response = Response::new(Either::Left(Full::from(text)));
        response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(of));
        response
    };
    match request.uri().path() {
        "/health" => text("ok\n".into(), "text/plain"),
        "/metrics" => {
            text(metrics.text(), "application/openmetrics-text; version=1.0.0; charset=utf-8")
        }
        _ => {
            let options = HandleOptions { protocol_mode: ProtocolMode::BidiStream };
            endpoint.handle_with_options(request, options).map(Either::Right)
        }
    }
}

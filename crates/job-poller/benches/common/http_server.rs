//! Serves HTTP on a listener. The cloud, the receiver and the load balancer use it.

use std::error::Error;

use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::TcpListener;

/// Answers all requests with `handle`, in the background and until the runtime ends. An error of
/// `handle` closes the connection.
pub(crate) fn serve<F, B, E>(
    listener: TcpListener,
    handle: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
) where
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(handle.clone());
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                // The client reports a broken connection.
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

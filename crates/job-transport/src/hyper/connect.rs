//! Opens a connection to the service: TCP or a custom connector, then the proxy's tunnel, then TLS.
//! Connecting and TLS each have their own timeout.

use std::{
    fmt, io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::future::BoxFuture;
use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::proxy::Tunnel, rt::TokioIo};
use tower_service::Service;

use super::{
    client_certificate::CurrentConfig,
    connector::{BoxError, BoxedStream, Connect, Connector},
    proxy::Proxy,
    tls::TlsConfig,
};
use crate::transport::TimeoutStage;

type Io = TokioIo<BoxedStream>;

/// Opens connections according to the transport's settings. Cheap to clone.
#[derive(Clone)]
pub(super) struct TlsConnector {
    connector: Connector,
    tls: CurrentConfig,
    proxy: Option<Proxy>,
    timeout: Duration,
}

impl TlsConnector {
    pub(super) fn new(tls: TlsConfig, timeout: Duration) -> Self {
        let TlsConfig { mut config, client_certificate } = tls;
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
        }
        let tls = CurrentConfig::new(config, client_certificate);
        Self { connector: Connector::tcp(), tls, proxy: None, timeout }
    }

    pub(super) fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    pub(super) fn proxy(self, proxy: Proxy) -> Self {
        Self { proxy: Some(proxy), ..self }
    }

    pub(super) fn connector(self, connect: Arc<dyn Connect>) -> Self {
        Self { connector: Connector::Custom(connect), ..self }
    }

    /// Returns the proxy for this host, as host and port.
    pub(super) fn proxy_for(&self, host: &Uri) -> Option<Box<str>> {
        let (proxy, _) = self.proxy.as_ref()?.for_host(host)?;
        host_and_port(&proxy)
    }

    /// Opens a connection to the host, or a tunnel to it.
    async fn open(&self, host: Uri) -> Result<Io, BoxError> {
        let mut connector = self.connector.clone().connect_timeout(self.timeout);
        match self.proxy.as_ref().and_then(|proxy| proxy.for_host(&host)) {
            None => connector.call(host).await,
            Some((proxy, authorization)) => {
                let mut tunnel = Tunnel::new(proxy, connector);
                if let Some(authorization) = authorization {
                    tunnel = tunnel.with_auth(authorization);
                }
                let opened = tunnel.call(host).await;
                opened.map_err(|error| {
                    // The crate does not export the variants of its error.
                    let is_unauthorized = error.to_string().ends_with(PROXY_AUTH_REQUIRED);
                    TunnelError { is_unauthorized, source: error.into() }.into()
                })
            }
        }
    }
}

impl Service<Uri> for TlsConnector {
    type Response = MaybeHttpsStream<Io>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, host: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let limit = connector.timeout;
            let io =
                stage_timeout(limit, TimeoutStage::Connect, connector.open(host.clone())).await?;
            let config = connector.tls.get().await;
            let mut tls = HttpsConnector::from((Preconnected(Some(io)), config));
            stage_timeout(limit, TimeoutStage::Tls, tls.call(host)).await
        })
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector")
            .field("connector", &self.connector)
            .field("timeout", &self.timeout)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

async fn stage_timeout<T>(
    limit: Duration,
    stage: TimeoutStage,
    future: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    tokio::time::timeout(limit, future).await.unwrap_or_else(|_| Err(StageTimeout(stage).into()))
}

/// Returns a connection that is already open, once.
struct Preconnected(Option<Io>);

impl Service<Uri> for Preconnected {
    type Response = Io;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Io>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let taken = || io::Error::other("the connection is already in use");
        std::future::ready(self.0.take().ok_or_else(taken))
    }
}

/// Returns the host of a URI, with the port if it has one, and without the user and the password.
pub(super) fn host_and_port(uri: &Uri) -> Option<Box<str>> {
    let host = uri.host()?;
    Some(match uri.port_u16() {
        Some(port) => format!("{host}:{port}").into(),
        None => host.into(),
    })
}

/// The end of hyper-util's message if a proxy answered 407.
const PROXY_AUTH_REQUIRED: &str = "proxy authorization required";

/// The proxy did not open a tunnel.
#[derive(Debug, thiserror::Error)]
#[error("the proxy did not open a tunnel")]
pub(super) struct TunnelError {
    /// Whether the proxy answered 407.
    pub(super) is_unauthorized: bool,
    #[source]
    pub(super) source: BoxError,
}

/// A stage of connecting took longer than its timeout.
#[derive(Debug, thiserror::Error)]
#[error("timed out")]
pub(super) struct StageTimeout(pub(super) TimeoutStage);

//! Opens the byte streams under TLS: over TCP, or with a custom connector.

use std::{
    error::Error,
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::future::BoxFuture;
use http::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector, dns::GaiResolver},
    rt::TokioIo,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_service::Service;

use super::resolver::Resolver;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// Opens connections for a [`HyperTransport`](crate::hyper::HyperTransport) instead of TCP.
///
/// For example over a Unix socket, through a tunnel, or in a simulated network.
///
/// # For callers
///
/// The transport runs TLS and HTTP over these connections. If it has a
/// [`Proxy`](crate::hyper::Proxy), the connection to the proxy is opened with this trait, too.
///
/// # For implementers
///
/// Connect to the host and port of the URI (default port: 443 for `https`, 80 for `http`), and
/// ignore its path. If the operating system returned an [`io::Error`], pass it on unchanged,
/// because its code is used to classify it. A timeout is not needed, because the transport has one.
///
/// ```
/// use futures_core::future::BoxFuture;
/// use http::Uri;
/// use job_transport::hyper::{AsyncStream, Connect};
///
/// /// Connects to a sidecar on this machine for every host.
/// struct Sidecar;
///
/// impl Connect for Sidecar {
///     fn connect(&self, _: Uri) -> BoxFuture<'_, std::io::Result<Box<dyn AsyncStream>>> {
///         Box::pin(async {
///             let stream = tokio::net::TcpStream::connect("127.0.0.1:15001").await?;
///             Ok(Box::new(stream) as Box<dyn AsyncStream>)
///         })
///     }
/// }
/// ```
pub trait Connect: Send + Sync {
    /// Connects to a host.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection cannot be opened.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the attempt. Implementations must then release all resources.
    fn connect(&self, host: Uri) -> BoxFuture<'_, io::Result<Box<dyn AsyncStream>>>;
}

/// A bidirectional byte stream, such as a `TcpStream`.
pub trait AsyncStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> AsyncStream for T {}

/// TCP, or the caller's connector.
#[derive(Clone)]
pub(super) enum Connector {
    Tcp(HttpConnector<Resolver>),
    Custom(Arc<dyn Connect>),
}

impl Connector {
    pub(super) fn tcp() -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
        // Also accept `https` URIs: TLS runs over this connection.
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self::Tcp(tcp)
    }

    /// Sets the timeout for TCP, which is divided among the addresses of the host.
    pub(super) fn connect_timeout(mut self, timeout: std::time::Duration) -> Self {
        if let Self::Tcp(tcp) = &mut self {
            tcp.set_connect_timeout(Some(timeout));
        }
        self
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<BoxedStream>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, host: Uri) -> Self::Future {
        match self.clone() {
            Self::Tcp(mut tcp) => {
                Box::pin(async move { Ok(stream(tcp.call(host).await?.into_inner())) })
            }
            Self::Custom(connect) => {
                Box::pin(async move { Ok(stream(connect.connect(host).await?)) })
            }
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp(_) => "Tcp",
            Self::Custom(_) => "Custom",
        })
    }
}

fn stream(duplex: impl AsyncStream + 'static) -> TokioIo<BoxedStream> {
    TokioIo::new(BoxedStream(Box::new(duplex)))
}

/// A connection of any type.
pub(super) struct BoxedStream(Box<dyn AsyncStream>);

impl AsyncRead for BoxedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for BoxedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl Connection for BoxedStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

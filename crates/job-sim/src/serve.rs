//! Serves the simulated service over TLS on any connection. Opens no connections itself.

mod server;
mod certificate;

pub use server::SimServer;

use std::{
    fmt, io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
};
use tokio_rustls::TlsAcceptor;

use self::certificate::{ServerCertificate, generate_certificate};
use crate::{
    reply::BodyEnd,
    service::{Sim, StallGuard},
};

/// Maximum bytes of a request's body.
const MAX_REQUEST_BODY_LEN: usize = 64 << 10;

/// Maximum bytes of a request's headers over HTTP/2. A token alone can have 16 KiB.
const MAX_HEADER_LIST_SIZE: u32 = 64 << 10;

/// Serves a [`Sim`] over TLS with HTTP/2 or HTTP/1.1, on connections that the caller provides.
///
/// Each `SimService` generates its own certificate. [`SimServer`] uses it for TCP on loopback; it
/// also works with a simulated network.
pub struct SimService {
    sim: Arc<Sim>,
    tls: TlsAcceptor,
    ca_pem: String,
    connections: AtomicU32,
}

/// What to do with a connection after a request on it.
#[derive(Default)]
struct ConnectionSignals {
    reset: Notify,
    drain: Notify,
}

impl SimService {
    /// Creates the service, with a certificate for `localhost`, `127.0.0.1` and `cce.example`, and
    /// for the services of the region `eu-de` of a cloud with the domain `cloud.example`.
    ///
    /// # Errors
    ///
    /// Returns an error if the certificate cannot be generated.
    pub fn new(sim: Arc<Sim>) -> io::Result<Self> {
        let ServerCertificate { server_config, ca_pem } =
            generate_certificate().map_err(io::Error::other)?;
        Ok(Self {
            sim,
            tls: TlsAcceptor::from(server_config),
            ca_pem,
            connections: AtomicU32::new(0),
        })
    }

    /// Returns the simulation that is served.
    #[must_use]
    pub const fn sim(&self) -> &Arc<Sim> {
        &self.sim
    }

    /// Returns the certificate authority for clients to trust, in PEM format.
    #[must_use]
    pub const fn ca_pem(&self) -> &[u8] {
        self.ca_pem.as_bytes()
    }

    /// Returns the number of connections so far.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Serves one connection until it ends or is reset. Errors of the connection are ignored,
    /// because the client reports them.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the connection.
    pub async fn serve<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.connections.fetch_add(1, Ordering::Relaxed);
        if !self.sim.accept_connection().await {
            return;
        }
        let Ok(stream) = self.tls.accept(stream).await else { return };
        self.serve_http(stream).await;
    }

    /// Serves one connection without TLS, as a metadata service does.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the connection.
    pub async fn serve_plain<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.connections.fetch_add(1, Ordering::Relaxed);
        if self.sim.accept_connection().await {
            self.serve_http(stream).await;
        }
    }

    async fn serve_http<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let signals = Arc::new(ConnectionSignals::default());
        let answering =
            service_fn(|request| handle_request(self.sim.clone(), signals.clone(), request));
        let mut server = auto::Builder::new(TokioExecutor::new());
        server.http2().max_header_list_size(MAX_HEADER_LIST_SIZE);
        let mut serving = pin!(server.serve_connection(TokioIo::new(stream), answering));
        loop {
            tokio::select! {
                // Polls in a fixed order, so that a seed reproduces a run.
                biased;
                () = signals.reset.notified() => return,
                () = signals.drain.notified() => serving.as_mut().graceful_shutdown(),
                _ = serving.as_mut() => return,
            }
        }
    }
}

impl fmt::Debug for SimService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimService").field("sim", &self.sim).finish_non_exhaustive()
    }
}

/// Answers one request, or resets its connection and never returns.
async fn handle_request(
    sim: Arc<Sim>,
    signals: Arc<ConnectionSignals>,
    request: Request<Incoming>,
) -> io::Result<Response<ReplyBody>> {
    let (head, body) = request.into_parts();
    let body =
        Limited::new(body, MAX_REQUEST_BODY_LEN).collect().await.map_err(io::Error::other)?;
    match sim.reply(&Request::from_parts(head, body.to_bytes())).await {
        Some((response, end)) => {
            if end == BodyEnd::Drained {
                signals.drain.notify_one();
            }
            let guard = (end == BodyEnd::Stalled).then(|| sim.stall());
            Ok(response.map(|body| ReplyBody::new(body, end, guard)))
        }
        None => {
            // Returning an error would end only this stream of an HTTP/2 connection.
            signals.reset.notify_one();
            std::future::pending().await
        }
    }
}

/// A reply's body. If it is truncated or stalls, only half of it is sent, although its length is
/// announced in full.
struct ReplyBody {
    data: Bytes,
    /// The number of announced bytes that are not sent.
    missing_len: u64,
    end: BodyEnd,
    /// How often a truncated body yields before it ends.
    yields: u32,
    _stall_guard: Option<StallGuard>,
}

/// How often a truncated body yields before it ends, so that its head and its beginning are sent
/// first.
const YIELDS_BEFORE_END: u32 = 16;

impl ReplyBody {
    fn new(mut data: Bytes, end: BodyEnd, guard: Option<StallGuard>) -> Self {
        let whole = data.len();
        if matches!(end, BodyEnd::Truncated | BodyEnd::Stalled) {
            data.truncate(whole / 2);
        }
        let missing_len = (whole - data.len()) as u64;
        Self { missing_len, data, end, yields: YIELDS_BEFORE_END, _stall_guard: guard }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if !self.data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.data)))));
        }
        match self.end {
            BodyEnd::Complete | BodyEnd::Drained => Poll::Ready(None),
            BodyEnd::Truncated if self.yields > 0 => {
                self.yields -= 1;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            BodyEnd::Truncated => {
                Poll::Ready(Some(Err(io::Error::other("the simulated reply is truncated"))))
            }
            BodyEnd::Stalled => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && matches!(self.end, BodyEnd::Complete | BodyEnd::Drained)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.len() as u64 + self.missing_len)
    }
}

//! The service on a connection, over TLS, whatever carries it. Opens none.

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

/// The most bytes a request's body may have.
const MAX_REQUEST_BODY_LEN: usize = 64 << 10;

/// The most bytes that a request's headers may have over HTTP/2: a token of 16 KiB is one.
const MAX_HEADER_LIST_SIZE: u32 = 64 << 10;

/// Serves a [`Sim`] on connections, over TLS and HTTP/2 or HTTP/1.1, with a certificate made for it
/// when it is created: those of a [`SimServer`], or of a network that is simulated
/// too.
pub struct SimService {
    sim: Arc<Sim>,
    tls: TlsAcceptor,
    ca_pem: String,
    connections: AtomicU32,
}

/// What is to become of a connection after a request on it.
#[derive(Default)]
struct ConnectionSignals {
    reset: Notify,
    drain: Notify,
}

impl SimService {
    /// Makes the certificate: for `localhost`, `127.0.0.1`, and the name `cce.example`.
    ///
    /// # Errors
    ///
    /// Where no certificate can be made.
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

    /// Returns the certificate authority to trust, in PEM form.
    #[must_use]
    pub const fn ca_pem(&self) -> &[u8] {
        self.ca_pem.as_bytes()
    }

    /// Returns how many connections were served so far.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Serves one connection until it ends or is reset. What goes wrong here is the client's to
    /// report.
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
        let signals = Arc::new(ConnectionSignals::default());
        let answering =
            service_fn(|request| handle_request(self.sim.clone(), signals.clone(), request));
        let mut server = auto::Builder::new(TokioExecutor::new());
        server.http2().max_header_list_size(MAX_HEADER_LIST_SIZE);
        let mut serving = pin!(server.serve_connection(TokioIo::new(stream), answering));
        loop {
            tokio::select! {
                // The same seed is the same order of things.
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

/// Answers one request, or has its connection reset and never answers.
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
            // An error would end this stream alone, and leave an HTTP/2 connection as it is.
            signals.reset.notify_one();
            std::future::pending().await
        }
    }
}

/// A reply's body. Where it does not come whole, half of it comes, and its head promises all.
struct ReplyBody {
    data: Bytes,
    /// How many bytes are promised beyond the data.
    missing_len: u64,
    end: BodyEnd,
    _stall_guard: Option<StallGuard>,
}

impl ReplyBody {
    fn new(mut data: Bytes, end: BodyEnd, guard: Option<StallGuard>) -> Self {
        let whole = data.len();
        if matches!(end, BodyEnd::Truncated | BodyEnd::Stalled) {
            data.truncate(whole / 2);
        }
        Self { missing_len: (whole - data.len()) as u64, data, end, _stall_guard: guard }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if !self.data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.data)))));
        }
        match self.end {
            BodyEnd::Complete | BodyEnd::Drained => Poll::Ready(None),
            BodyEnd::Truncated => Poll::Ready(Some(Err(io::Error::other("broken off")))),
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

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

use self::certificate::{Certified, certify};
use crate::service::{Ending, Held, Sim};

/// The most bytes a request's body may have.
const MAX_BODY: usize = 64 << 10;

/// The most bytes that a request's headers may have over HTTP/2: a token of 16 KiB is one.
const MAX_HEADERS: u32 = 64 << 10;

/// Serves a [`Sim`] on connections, over TLS and HTTP/2 or HTTP/1.1, with a certificate made for it
/// when it is created: those of a [`SimServer`](crate::SimServer), or of a network that is simulated
/// too.
pub struct SimService {
    sim: Arc<Sim>,
    tls: TlsAcceptor,
    ca_pem: String,
    connections: AtomicU32,
}

/// What is to become of a connection after a request on it.
#[derive(Default)]
struct Orders {
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
        let Certified { server, ca_pem } = certify().map_err(io::Error::other)?;
        Ok(Self { sim, tls: TlsAcceptor::from(server), ca_pem, connections: AtomicU32::new(0) })
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
        if !self.sim.connect().await {
            return;
        }
        let Ok(stream) = self.tls.accept(stream).await else { return };
        let orders = Arc::new(Orders::default());
        let answering = service_fn(|request| answer(self.sim.clone(), orders.clone(), request));
        let mut server = auto::Builder::new(TokioExecutor::new());
        server.http2().max_header_list_size(MAX_HEADERS);
        let mut serving = pin!(server.serve_connection(TokioIo::new(stream), answering));
        loop {
            tokio::select! {
                // The same seed is the same order of things.
                biased;
                () = orders.reset.notified() => return,
                () = orders.drain.notified() => serving.as_mut().graceful_shutdown(),
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
async fn answer(
    sim: Arc<Sim>,
    orders: Arc<Orders>,
    request: Request<Incoming>,
) -> io::Result<Response<Reply>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(io::Error::other)?;
    match sim.reply(&Request::from_parts(head, body.to_bytes())).await {
        Some((response, ending)) => {
            if ending == Ending::Drained {
                orders.drain.notify_one();
            }
            let held = (ending == Ending::Stalled).then(|| sim.hold());
            Ok(response.map(|body| Reply::new(body, ending, held)))
        }
        None => {
            // An error would end this stream alone, and leave an HTTP/2 connection as it is.
            orders.reset.notify_one();
            std::future::pending().await
        }
    }
}

/// A reply's body. Where it does not come whole, half of it comes, and its head promises all.
struct Reply {
    data: Bytes,
    /// How many bytes are promised beyond the data.
    missing: u64,
    ending: Ending,
    _held: Option<Held>,
}

impl Reply {
    fn new(mut data: Bytes, ending: Ending, held: Option<Held>) -> Self {
        let whole = data.len();
        if matches!(ending, Ending::BrokenOff | Ending::Stalled) {
            data.truncate(whole / 2);
        }
        Self { missing: (whole - data.len()) as u64, data, ending, _held: held }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if !self.data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.data)))));
        }
        match self.ending {
            Ending::Whole | Ending::Drained => Poll::Ready(None),
            Ending::BrokenOff => Poll::Ready(Some(Err(io::Error::other("broken off")))),
            Ending::Stalled => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && matches!(self.ending, Ending::Whole | Ending::Drained)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.len() as u64 + self.missing)
    }
}

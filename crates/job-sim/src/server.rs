//! The service as a TLS server on loopback. Serves nothing beyond this machine.

use std::{
    fmt, io, mem,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Notify, oneshot},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    Sim,
    certificate::{Certified, certify},
};

/// The most bytes a request's body may have.
const MAX_BODY: usize = 64 << 10;

/// The most bytes that a request's headers may have over HTTP/2: a token of 16 KiB is one.
const MAX_HEADERS: u32 = 64 << 10;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A TLS server on loopback, over HTTP/2 or HTTP/1.1, with a certificate made when it starts.
/// Dropped, it is dead.
pub struct SimServer {
    service: Arc<Service>,
    ca_pem: String,
    address: SocketAddr,
    state: State,
}

/// What every connection shares.
struct Service {
    sim: Arc<Sim>,
    tls: TlsAcceptor,
    connections: AtomicU32,
}

enum State {
    /// Serving, in a task that ends, and closes all that it holds, when `alive` is dropped.
    Alive { alive: oneshot::Sender<()>, task: JoinHandle<()> },
    /// Not listening: who connects is refused. The port stays ours, unless it was lost.
    Dead { port: Option<TcpSocket> },
}

impl SimServer {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// Where no port can be bound, or no certificate made.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future starts no server.
    pub async fn start(sim: Arc<Sim>) -> io::Result<Self> {
        let Certified { server, ca_pem } = certify().map_err(io::Error::other)?;
        let (tls, connections) = (TlsAcceptor::from(server), AtomicU32::new(0));
        let port = bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let mut server = Self {
            service: Arc::new(Service { sim, tls, connections }),
            ca_pem,
            address: port.local_addr()?,
            state: State::Dead { port: Some(port) },
        };
        server.revive().await?;
        Ok(server)
    }

    /// Returns the endpoint, such as `https://127.0.0.1:41234`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Returns the certificate authority to trust, in PEM form.
    #[must_use]
    pub const fn ca_pem(&self) -> &[u8] {
        self.ca_pem.as_bytes()
    }

    /// Returns how many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.service.connections.load(Ordering::Relaxed)
    }

    /// Kills the server: when this returns, every connection is closed, replies under way are cut,
    /// and who connects is refused. The simulated job goes on. A dead server stays dead.
    ///
    /// # Errors
    ///
    /// Where another program took the port as it was closed. The server is dead all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the server dying, and its port free.
    pub async fn kill(&mut self) -> io::Result<()> {
        let dead = State::Dead { port: None };
        match mem::replace(&mut self.state, dead) {
            State::Alive { alive, task } => {
                drop(alive);
                // An error would say that the task panicked; it is gone all the same.
                let _ = task.await;
                self.state = State::Dead { port: Some(bind(self.address)?) };
            }
            dead => self.state = dead,
        }
        Ok(())
    }

    /// Brings a killed server back, on the same port and with the same certificate. A server alive
    /// stays as it is.
    ///
    /// # Errors
    ///
    /// Where another program has the port.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the server as it was.
    pub async fn revive(&mut self) -> io::Result<()> {
        if let State::Dead { port } = &mut self.state {
            let port = port.take().map_or_else(|| bind(self.address), Ok)?;
            let listener = port.listen(BACKLOG)?;
            let (alive, dead) = oneshot::channel();
            let task = tokio::spawn(accept(listener, self.service.clone(), dead));
            self.state = State::Alive { alive, task };
        }
        Ok(())
    }
}

impl fmt::Debug for SimServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimServer").field("address", &self.address).finish_non_exhaustive()
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // What is left of the port's past connections does not stand in the way.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts connections until the server is dead, then closes them.
async fn accept(listener: TcpListener, service: Arc<Service>, mut dead: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    service.connections.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(connection(stream, service.clone()));
                }
                #[expect(clippy::disallowed_methods, reason = "a descriptor may be free soon")]
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
            _ = &mut dead => break,
        }
    }
    connections.shutdown().await;
}

/// Serves one connection until it ends or is reset. What goes wrong here is the client's to report.
async fn connection(stream: TcpStream, service: Arc<Service>) {
    // A reply is sent when it is there, not when the client has acknowledged what came before it.
    let _ = stream.set_nodelay(true);
    let Ok(stream) = service.tls.accept(stream).await else { return };
    let reset = Arc::new(Notify::new());
    let answering = service_fn(|request| answer(service.clone(), reset.clone(), request));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http2().max_header_list_size(MAX_HEADERS);
    tokio::select! {
        _ = server.serve_connection(TokioIo::new(stream), answering) => {}
        () = reset.notified() => {}
    }
}

/// Answers one request, or has its connection reset and never answers.
async fn answer(
    service: Arc<Service>,
    reset: Arc<Notify>,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(io::Error::other)?;
    match service.sim.reply(&Request::from_parts(head, body.to_bytes())).await {
        Some(response) => Ok(response.map(Full::new)),
        None => {
            // An error would end this stream alone, and leave an HTTP/2 connection as it is.
            reset.notify_one();
            std::future::pending().await
        }
    }
}

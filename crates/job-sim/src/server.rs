//! The service as a TLS server on loopback. Serves nothing beyond this machine.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
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
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    Sim,
    certificate::{Certified, certify},
};

/// The most bytes a request's body may have.
const MAX_BODY: usize = 64 << 10;

/// A TLS server on loopback, over HTTP/2 or HTTP/1.1, with a certificate made when it starts.
/// Dropped, it is dead.
pub struct SimServer {
    sim: Arc<Sim>,
    certified: Certified,
    address: SocketAddr,
    serving: Option<Serving>,
}

/// The task that serves. It ends, and closes all that it holds, when `alive` is dropped.
struct Serving {
    alive: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl SimServer {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// Where no port can be bound, or no certificate made.
    pub async fn start(sim: Arc<Sim>) -> io::Result<Self> {
        let certified = certify().map_err(io::Error::other)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let serving = Some(serve(listener, &certified, &sim));
        Ok(Self { sim, certified, address, serving })
    }

    /// Returns the endpoint, such as `https://localhost:41234`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Returns the certificate authority to trust, in PEM form.
    #[must_use]
    pub fn ca_pem(&self) -> &[u8] {
        self.certified.ca_pem.as_bytes()
    }

    /// Kills the server: when this returns, its port and every connection are closed, and replies
    /// under way are cut. The simulated job goes on.
    pub async fn kill(&mut self) {
        if let Some(Serving { alive, task }) = self.serving.take() {
            drop(alive);
            // An error would say that the task panicked; it is gone all the same.
            let _ = task.await;
        }
    }

    /// Brings a killed server back, on the same port and with the same certificate.
    ///
    /// # Errors
    ///
    /// Where the port is taken: by another program, or by this server, still alive.
    pub async fn revive(&mut self) -> io::Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        self.serving = Some(serve(listener, &self.certified, &self.sim));
        Ok(())
    }
}

impl fmt::Debug for SimServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimServer").field("address", &self.address).finish_non_exhaustive()
    }
}

fn serve(listener: TcpListener, certified: &Certified, sim: &Arc<Sim>) -> Serving {
    let (alive, dead) = oneshot::channel();
    let tls = TlsAcceptor::from(certified.server.clone());
    Serving { alive, task: tokio::spawn(accept(listener, tls, sim.clone(), dead)) }
}

/// Accepts connections until the server is dead, then closes them.
async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    sim: Arc<Sim>,
    mut dead: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, tls.clone(), sim.clone()));
                }
                // Out of descriptors, say: a connection may end before the next try.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
            _ = &mut dead => break,
        }
    }
    connections.shutdown().await;
}

/// Serves one connection to its end. What goes wrong here is the client's to report.
async fn connection(stream: TcpStream, tls: TlsAcceptor, sim: Arc<Sim>) {
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    let service = service_fn(move |request| answer(sim.clone(), request));
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Answers one request; an error ends its connection without a reply.
async fn answer(sim: Arc<Sim>, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(io::Error::other)?;
    let request = Request::from_parts(head, body.to_bytes());
    Ok(sim.answer(&request).map_err(io::Error::other)?.map(Full::new))
}

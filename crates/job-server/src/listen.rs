//! Accepts connections, and serves HTTP/1.1 on them with limits on time and memory.
//!
//! The server does not offer HTTP/2, because a page needs only one stream and a few requests, and
//! HTTP/1.1 gives a hostile client fewer ways to use up time and memory.

mod tls;

use std::{future::pending, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use ipnet::IpNet;
use job_transport::clock::{Clock as _, TokioClock};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

pub(crate) use self::tls::Tls;
use crate::metrics::{OpenGuard, RefusalLog};

/// How long a client may take for the head of a request, and how long a connection may be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a client may take for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The size of a connection's buffer in the kernel for bytes that the client has not read. Linux
/// doubles it. Without a limit, the kernel keeps up to 4 MiB for each client that does not read.
const SEND_BUFFER: u32 = 64 << 10;

/// The size of a connection's buffers in this process. It limits the head of a request, too.
const BUFFER: usize = 16 << 10;

const MAX_HEADERS: usize = 64;

/// The number of connections that the kernel accepts before the server does.
const BACKLOG: u32 = 1024;

/// The delay after an error to accept, for example because no file descriptor is free.
const ACCEPT_ERROR_DELAY: Duration = Duration::from_millis(100);

/// How long replies may take to end after a signal.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// A listening socket, and how its connections are served.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    server: Server,
}

/// A listening socket.
#[derive(Debug)]
struct Socket {
    socket: TcpListener,
    /// If it is not empty, only these networks and this machine may connect.
    peers: Vec<IpNet>,
    refused: RefusalLog,
}

/// Serves connections with TLS and limits.
#[derive(Debug)]
struct Server {
    tls: Option<Arc<Tls>>,
    /// The connections that may still be opened.
    permits: Arc<Semaphore>,
    /// How long a client may read nothing while a reply waits for it.
    write_timeout: Duration,
}

/// A source of connections: a socket, or a queue in tests.
trait Accept {
    type Stream: Stream + 'static;

    /// Returns the next connection.
    async fn accept(&mut self) -> Self::Stream;
}

/// A connection, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Listener {
    /// Listens on an address.
    ///
    /// # Errors
    ///
    /// Returns an error if the address is in use or does not belong to this machine.
    pub(crate) fn bind(
        address: SocketAddr,
        tls: Option<Arc<Tls>>,
        peers: Vec<IpNet>,
        max_connections: usize,
        write_timeout: Duration,
    ) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart does not wait for the connections of the process before.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(address)?;
        let socket =
            Socket { socket: socket.listen(BACKLOG)?, peers, refused: RefusalLog::default() };
        Ok(Self { socket, server: Server::new(tls, max_connections, write_timeout) })
    }

    /// Returns the address with the port that the system has chosen, if it was 0.
    ///
    /// # Errors
    ///
    /// Returns an error of the system.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.socket.local_addr()
    }

    /// Serves until `stop` is canceled, and then until the replies have ended, at most ten seconds.
    pub(crate) async fn serve(self, router: Router, stop: CancellationToken) {
        self.server.serve(self.socket, router, stop).await;
    }
}

impl Server {
    fn new(tls: Option<Arc<Tls>>, max_connections: usize, write_timeout: Duration) -> Self {
        Self { tls, permits: Arc::new(Semaphore::new(max_connections)), write_timeout }
    }

    async fn serve(self, mut source: impl Accept, router: Router, stop: CancellationToken) {
        let graceful = GracefulShutdown::new();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(BUFFER)
            .half_close(false);
        let service = TowerToHyperService::new(router);
        loop {
            let next = async {
                // If too many connections are open, the others wait in the kernel.
                let Ok(permit) = self.permits.clone().acquire_owned().await else {
                    pending().await
                };
                (source.accept().await, permit)
            };
            let Some((stream, permit)) = stop.run_until_cancelled(next).await else { break };
            let open = (permit, OpenGuard::connection());
            let (tls, http, write_timeout) = (self.tls.clone(), http.clone(), self.write_timeout);
            let (service, watcher) = (service.clone(), graceful.watcher());
            tokio::spawn(async move {
                let _open = open;
                let Some(stream) = secure(stream, tls.as_deref()).await else { return };
                let mut stream = TimeoutStream::new(stream);
                stream.set_write_timeout(Some(write_timeout));
                let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), service);
                if let Err(error) = watcher.watch(connection).await {
                    tracing::debug!(%error, "a connection ended");
                }
            });
        }
        // No new connections while the last replies are sent.
        drop(source);
        if timeout(SHUTDOWN_TIMEOUT, graceful.shutdown()).await.is_err() {
            tracing::warn!("some replies had not ended in time");
        }
    }
}

impl Accept for Socket {
    type Stream = TcpStream;

    async fn accept(&mut self) -> TcpStream {
        loop {
            match self.socket.accept().await {
                Ok((_, peer)) if !may_connect(&self.peers, peer) => {
                    if let Some(refusals) = self.refused.count() {
                        tracing::warn!(%peer, refusals, "refused a client that is not a trusted proxy");
                    }
                }
                Ok((stream, _)) => {
                    // Events are small and should arrive at once.
                    let _ = stream.set_nodelay(true);
                    return stream;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    TokioClock::new().sleep(ACCEPT_ERROR_DELAY).await;
                }
            }
        }
    }
}

/// Returns whether a client may connect. If the list is empty, every client may.
fn may_connect(networks: &[IpNet], peer: SocketAddr) -> bool {
    // A socket for both versions shows an IPv4 address as an IPv6 address.
    let address = peer.ip().to_canonical();
    networks.is_empty()
        || address.is_loopback()
        || networks.iter().any(|network| network.contains(&address))
}

/// Performs the TLS handshake if the server has a certificate. Returns `None` if the handshake fails.
async fn secure(stream: impl Stream + 'static, tls: Option<&Tls>) -> Option<Pin<Box<dyn Stream>>> {
    let Some(tls) = tls else { return Some(Box::pin(stream)) };
    match timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(Box::pin(stream)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took too long");
            None
        }
    }
}

#[cfg(test)]
mod tests;

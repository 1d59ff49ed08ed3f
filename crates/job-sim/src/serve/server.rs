//! Serves the simulated service as a TLS server on loopback.

use std::{
    fmt, io, mem,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
    task::{JoinHandle, JoinSet},
};

use super::SimService;
use crate::service::Sim;

/// Maximum number of connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// A TLS server for a [`Sim`] on loopback, with HTTP/2 or HTTP/1.1.
///
/// Its certificate is generated when it starts. [`start_plain`](Self::start_plain) starts a server
/// without TLS. Dropping the server closes it and all its
/// connections.
pub struct SimServer {
    service: Arc<SimService>,
    address: SocketAddr,
    is_plain: bool,
    state: ServerState,
}

enum ServerState {
    /// The server runs in a task that ends and closes its connections when `shutdown` is dropped.
    Running { shutdown: oneshot::Sender<()>, task: JoinHandle<()> },
    /// The server refuses connections. It keeps its port bound, unless another program took it.
    Stopped { socket: Option<TcpSocket> },
}

impl SimServer {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// Returns an error if no port can be bound, or if the certificate cannot be generated.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no server is started.
    pub async fn start(sim: Arc<Sim>) -> io::Result<Self> {
        Self::start_on(sim, 0).await
    }

    /// Starts a server on this port of 127.0.0.1. Port 0 selects a free one.
    ///
    /// # Errors
    ///
    /// Returns an error if the port cannot be bound, or if the certificate cannot be generated.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no server is started.
    pub async fn start_on(sim: Arc<Sim>, port: u16) -> io::Result<Self> {
        Self::start_at(sim, (Ipv4Addr::LOCALHOST, port).into(), false).await
    }

    /// Starts a server without TLS on this address, for clients of the metadata and pod identity
    /// services.
    ///
    /// Port 0 selects a free one. Use a loopback address, or a link-local one such as
    /// `169.254.169.254:80` that this machine has.
    ///
    /// # Errors
    ///
    /// Returns an error if the address cannot be bound.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no server is started.
    pub async fn start_plain(sim: Arc<Sim>, address: SocketAddr) -> io::Result<Self> {
        Self::start_at(sim, address, true).await
    }

    async fn start_at(sim: Arc<Sim>, address: SocketAddr, is_plain: bool) -> io::Result<Self> {
        let socket = bind(address)?;
        let mut server = Self {
            service: Arc::new(SimService::new(sim)?),
            address: socket.local_addr()?,
            is_plain,
            state: ServerState::Stopped { socket: Some(socket) },
        };
        server.restart().await?;
        Ok(server)
    }

    /// Returns the endpoint, such as `https://127.0.0.1:41234`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let scheme = if self.is_plain { "http" } else { "https" };
        format!("{scheme}://{}", self.address)
    }

    /// Returns the certificate authority for clients to trust, in PEM format.
    #[must_use]
    pub fn ca_pem(&self) -> &[u8] {
        self.service.ca_pem()
    }

    /// Returns the number of connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.service.connections()
    }

    /// Kills the server. Killing a dead server does nothing.
    ///
    /// When this returns, all connections are closed, open replies are cut off, and new connections
    /// are refused. The simulated jobs go on.
    ///
    /// # Errors
    ///
    /// Returns an error if another program took the port while it was closed. The server is still
    /// killed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the server still ends, but its port is not kept.
    pub async fn kill(&mut self) -> io::Result<()> {
        let dead = ServerState::Stopped { socket: None };
        match mem::replace(&mut self.state, dead) {
            ServerState::Running { shutdown, task } => {
                drop(shutdown);
                // An error means that the task panicked, in which case it has ended as well.
                let _ = task.await;
                self.state = ServerState::Stopped { socket: Some(bind(self.address)?) };
            }
            dead => self.state = dead,
        }
        Ok(())
    }

    /// Restarts a killed server on the same port and with the same certificate. Does nothing if the
    /// server is running.
    ///
    /// # Errors
    ///
    /// Returns an error if another program uses the port.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the server stays as it was.
    pub async fn restart(&mut self) -> io::Result<()> {
        if let ServerState::Stopped { socket } = &mut self.state {
            let socket = socket.take().map_or_else(|| bind(self.address), Ok)?;
            let listener = socket.listen(BACKLOG)?;
            let (shutdown, dead) = oneshot::channel();
            let task =
                tokio::spawn(accept_loop(listener, self.service.clone(), self.is_plain, dead));
            self.state = ServerState::Running { shutdown, task };
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
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Old connections of the port must not prevent the bind.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts connections until the server is killed, then closes them.
async fn accept_loop(
    listener: TcpListener,
    service: Arc<SimService>,
    is_plain: bool,
    mut dead: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve_connection(stream, service.clone(), is_plain))),
                #[expect(clippy::disallowed_methods, reason = "a file descriptor may become free soon")]
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
            _ = &mut dead => break,
        }
    }
    connections.shutdown().await;
}

/// Serves one connection until it ends.
async fn serve_connection(stream: TcpStream, service: Arc<SimService>, is_plain: bool) {
    // Replies are sent immediately, without waiting for the client to acknowledge earlier data.
    let _ = stream.set_nodelay(true);
    match is_plain {
        true => service.serve_plain(stream).await,
        false => service.serve(stream).await,
    }
}

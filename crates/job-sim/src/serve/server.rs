//! The service as a TLS server on loopback. Serves nothing beyond this machine.

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

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A TLS server on loopback, over HTTP/2 or HTTP/1.1, with a certificate made when it starts.
/// Dropped, it is dead.
pub struct SimServer {
    service: Arc<SimService>,
    address: SocketAddr,
    state: ServerState,
}

enum ServerState {
    /// Serving, in a task that ends, and closes all that it holds, when `shutdown` is dropped.
    Running { shutdown: oneshot::Sender<()>, task: JoinHandle<()> },
    /// Not listening: who connects is refused. The port stays ours, unless it was lost.
    Stopped { socket: Option<TcpSocket> },
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
        Self::start_on(sim, 0).await
    }

    /// Starts a server on this port of 127.0.0.1; 0 for a free one.
    ///
    /// # Errors
    ///
    /// Where the port cannot be bound, or no certificate made.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future starts no server.
    pub async fn start_on(sim: Arc<Sim>, port: u16) -> io::Result<Self> {
        let socket = bind((Ipv4Addr::LOCALHOST, port).into())?;
        let mut server = Self {
            service: Arc::new(SimService::new(sim)?),
            address: socket.local_addr()?,
            state: ServerState::Stopped { socket: Some(socket) },
        };
        server.restart().await?;
        Ok(server)
    }

    /// Returns the endpoint, such as `https://127.0.0.1:41234`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Returns the certificate authority to trust, in PEM form.
    #[must_use]
    pub fn ca_pem(&self) -> &[u8] {
        self.service.ca_pem()
    }

    /// Returns how many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.service.connections()
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
        let dead = ServerState::Stopped { socket: None };
        match mem::replace(&mut self.state, dead) {
            ServerState::Running { shutdown, task } => {
                drop(shutdown);
                // An error would say that the task panicked; it is gone all the same.
                let _ = task.await;
                self.state = ServerState::Stopped { socket: Some(bind(self.address)?) };
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
    pub async fn restart(&mut self) -> io::Result<()> {
        if let ServerState::Stopped { socket } = &mut self.state {
            let socket = socket.take().map_or_else(|| bind(self.address), Ok)?;
            let listener = socket.listen(BACKLOG)?;
            let (shutdown, dead) = oneshot::channel();
            let task = tokio::spawn(accept_loop(listener, self.service.clone(), dead));
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
    let socket = TcpSocket::new_v4()?;
    // What is left of the port's past connections does not stand in the way.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts connections until the server is dead, then closes them.
async fn accept_loop(
    listener: TcpListener,
    service: Arc<SimService>,
    mut dead: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve_connection(stream, service.clone()))),
                #[expect(clippy::disallowed_methods, reason = "a descriptor may be free soon")]
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
            _ = &mut dead => break,
        }
    }
    connections.shutdown().await;
}

/// Serves one connection until it ends.
async fn serve_connection(stream: TcpStream, service: Arc<SimService>) {
    // A reply is sent when it is there, not when the client has acknowledged what came before it.
    let _ = stream.set_nodelay(true);
    service.serve(stream).await;
}

//! A load balancer for HTTP/2 without TLS, between the engine and the services of a deployment.

use std::{
    convert::Infallible,
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use anyhow::bail;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use crate::http_server;

/// The paths of the calls that are turns of a wait.
const TICK_PATHS: [&str; 2] = ["/invoke/JobWait/tick", "/invoke/JobWait/advance"];

/// A load balancer on loopback. Each request goes to the next service that accepts connections.
#[derive(Clone)]
pub(crate) struct Balancer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    backends: Mutex<Vec<Backend>>,
    next: AtomicUsize,
    ticks: AtomicU32,
}

/// A service, and the connection to it.
struct Backend {
    address: SocketAddr,
    connection: Option<SendRequest<Incoming>>,
}

type Reply = Response<Either<Incoming, Full<Bytes>>>;

impl Balancer {
    /// Starts a load balancer without services.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let balancer = Self { address: listener.local_addr()?, shared: Arc::default() };
        let serving = balancer.clone();
        http_server::serve(listener, move |request| serving.clone().handle(request));
        Ok(balancer)
    }

    /// Adds the service on a port of this machine.
    pub(crate) fn add(&self, port: u16) {
        let address = (Ipv4Addr::LOCALHOST, port).into();
        self.backends().push(Backend { address, connection: None });
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the number of turns of waits so far.
    pub(crate) fn ticks(&self) -> u32 {
        self.shared.ticks.load(Ordering::Relaxed)
    }

    fn backends(&self) -> MutexGuard<'_, Vec<Backend>> {
        self.shared.backends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn handle(self, request: Request<Incoming>) -> Result<Reply, Infallible> {
        if TICK_PATHS.contains(&request.uri().path()) {
            self.shared.ticks.fetch_add(1, Ordering::Relaxed);
        }
        Ok(self.forward(request).await.unwrap_or_else(|error| {
            let mut response = Response::new(Either::Right(Full::from(error.to_string())));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }))
    }

    async fn forward(&self, request: Request<Incoming>) -> Result<Reply, Box<dyn Error>> {
        let response = self.connect().await?.send_request(request).await?;
        Ok(response.map(Either::Left))
    }

    /// Returns a connection to the next service that accepts one.
    async fn connect(&self) -> anyhow::Result<SendRequest<Incoming>> {
        let count = self.backends().len();
        let first = self.shared.next.fetch_add(1, Ordering::Relaxed);
        for index in (0..count).map(|offset| (first + offset) % count) {
            let (address, open) = {
                let backend = &self.backends()[index];
                (backend.address, backend.connection.clone())
            };
            if let Some(mut connection) = open
                && connection.ready().await.is_ok()
            {
                return Ok(connection);
            }
            let Ok(stream) = TcpStream::connect(address).await else { continue };
            stream.set_nodelay(true)?;
            let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
            let Ok((connection, driver)) = handshake.await else { continue };
            tokio::spawn(driver);
            self.backends()[index].connection = Some(connection.clone());
            return Ok(connection);
        }
        bail!("none of the {count} services accepts connections")
    }
}

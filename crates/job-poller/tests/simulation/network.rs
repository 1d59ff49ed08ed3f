//! The connections of the simulated network, and the clock that all of its hosts share.

use std::{io, time::Duration};

use futures_util::future::BoxFuture;
use http::Uri;
use jiff::Timestamp;
use job_transport::{
    clock::Clock,
    hyper::{AsyncStream, Connect},
};
use turmoil::net::TcpStream;

/// The host name of the service, and its port.
pub(crate) const SERVICE: &str = "cce.example";
pub(crate) const PORT: u16 = 443;

/// Connects within the simulated network.
pub(crate) struct SimulatedNetwork;

impl Connect for SimulatedNetwork {
    fn connect(&self, host: Uri) -> BoxFuture<'_, io::Result<Box<dyn AsyncStream>>> {
        Box::pin(async move {
            let name = host.host().ok_or(io::ErrorKind::InvalidInput)?;
            let stream = TcpStream::connect((name, host.port_u16().unwrap_or(PORT))).await?;
            Ok(Box::new(stream) as Box<dyn AsyncStream>)
        })
    }
}

/// The simulation's time, which continues while a host is down.
pub(crate) struct SimulationClock;

impl Clock for SimulationClock {
    fn now(&self) -> Timestamp {
        START + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        turmoil::sim_elapsed().unwrap_or_default()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'_, ()> {
        #[expect(clippy::disallowed_methods, reason = "the simulated network's own time")]
        Box::pin(tokio::time::sleep(span))
    }
}

const START: Timestamp = Timestamp::constant(1_767_225_600, 0);

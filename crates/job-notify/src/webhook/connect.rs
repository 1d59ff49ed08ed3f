//! Opens connections to receivers: resolves the name, checks each address against the allow-list,
//! and connects to an address that was checked.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_core::future::BoxFuture;
use http::Uri;
use job_transport::hyper::{AsyncStream, Connect};
use tokio::net::TcpStream;

use crate::receiver::{AddressKind, AllowList, Host, Origin};

/// How long opening a connection may take. It is divided among the addresses of the host.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum number of addresses of a host that are tried.
const MAX_ADDRESSES: usize = 8;

/// Opens connections only to addresses that the allow-list allows.
pub(super) struct CheckedConnect {
    pub(super) receivers: Arc<AllowList>,
    pub(super) resolver: Arc<dyn Resolve>,
}

/// Resolves host names.
pub(super) trait Resolve: Send + Sync {
    /// Returns the addresses of a host.
    ///
    /// # Errors
    ///
    /// Returns an error if the name has no address, or could not be looked up.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// The resolver of the operating system.
pub(super) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// Why no connection was opened, except errors of the operating system.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("its name cannot be resolved: {}", lookup_reason(.0))]
    Lookup(io::Error),
    #[error("{}", AllowList::address_error(*.0, *.1))]
    Address(IpAddr, AddressKind),
    /// A proxy that was not named, because receivers are checked before.
    #[error("the allow-list does not name the proxy {0}")]
    Proxy(Box<str>),
}

/// Returns why a name could not be resolved, without the words that glibc puts before it.
fn lookup_reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).into()
}

impl CheckedConnect {
    async fn open(&self, uri: &Uri) -> io::Result<TcpStream> {
        let authority = || uri.authority().map_or("", |authority| authority.as_str());
        let origin = Origin::new(uri).filter(|origin| self.receivers.contains_origin(origin));
        let origin =
            origin.ok_or_else(|| io::Error::other(ConnectError::Proxy(authority().into())))?;
        let resolved = match &origin.host {
            Host::Address(address) => vec![SocketAddr::new(*address, origin.port)],
            Host::Name(name) => {
                let resolved = self.resolver.resolve(name, origin.port).await;
                resolved.map_err(|error| io::Error::other(ConnectError::Lookup(error)))?
            }
        };
        let mut last_error = io::Error::from(io::ErrorKind::NotFound);
        let mut allowed = Vec::new();
        for address in resolved {
            match self.receivers.check_address(&origin, address.ip()) {
                Ok(()) => allowed.push(address),
                Err(kind) => {
                    last_error = io::Error::other(ConnectError::Address(address.ip(), kind));
                }
            }
        }
        allowed.truncate(MAX_ADDRESSES);
        for address in &allowed {
            let limit = CONNECT_TIMEOUT / u32::try_from(allowed.len()).unwrap_or(u32::MAX);
            // An address and not the name, which could have another address by now.
            last_error = match tokio::time::timeout(limit, TcpStream::connect(*address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => error,
                Err(_) => io::ErrorKind::TimedOut.into(),
            };
        }
        Err(last_error)
    }
}

impl Connect for CheckedConnect {
    fn connect(&self, host: Uri) -> BoxFuture<'_, io::Result<Box<dyn AsyncStream>>> {
        Box::pin(async move {
            let stream = self.open(&host).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn AsyncStream>)
        })
    }
}

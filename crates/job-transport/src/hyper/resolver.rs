//! The system's resolver, with its own error type, so that DNS errors can be recognized.

use std::{
    error::Error,
    fmt, io,
    net::SocketAddr,
    task::{Context, Poll},
    vec,
};

use futures_core::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

/// The system's resolver; its errors are [`DnsError`]s.
#[derive(Clone)]
pub(super) struct Resolver(pub(super) GaiResolver);

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = DnsError;
    type Future = BoxFuture<'static, Result<Self::Response, DnsError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DnsError>> {
        // `GaiResolver` is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let host = name.as_str().into();
        let addresses = self.0.call(name);
        Box::pin(async move {
            let addresses = addresses.await.map_err(|source| DnsError { host, source })?;
            Ok(addresses.collect::<Vec<_>>().into_iter())
        })
    }
}

/// A host name that could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve `{host}`")]
pub(super) struct DnsError {
    pub(super) host: Box<str>,
    #[source]
    pub(super) source: io::Error,
}

impl DnsError {
    /// Returns why the name could not be resolved, in the same words on each system.
    pub(super) fn reason(&self) -> DnsReason {
        let text = self.source.to_string();
        let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
        DnsReason(match text {
            // The texts of glibc, musl and macOS.
            "Name or service not known"
            | "Name does not resolve"
            | "nodename nor servname provided, or not known" => "name not found".into(),
            "Temporary failure in name resolution" => "temporary failure in name resolution".into(),
            text => text.into(),
        })
    }
}

/// Why a name could not be resolved. Only for people: nothing is classified by it.
#[derive(Debug)]
pub(super) struct DnsReason(Box<str>);

impl fmt::Display for DnsReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for DnsReason {}

//! The system's resolver. Its failures have a type of their own, so that they can be told from other errors.

use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll},
    vec,
};

use futures_core::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

/// The system's resolver, whose failures can be told from others.
#[derive(Clone)]
pub(super) struct Resolver(pub(super) GaiResolver);

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = DnsError;
    type Future = BoxFuture<'static, Result<Self::Response, DnsError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), DnsError>> {
        self.0.poll_ready(context).map_err(DnsError)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let addresses = self.0.call(name);
        Box::pin(
            async move { Ok(addresses.await.map_err(DnsError)?.collect::<Vec<_>>().into_iter()) },
        )
    }
}

/// A host's name that could not be looked up.
#[derive(Debug, thiserror::Error)]
#[error("no address for the host's name")]
pub(super) struct DnsError(#[source] pub(super) io::Error);

//! Connects a client to the simulated service in memory. It needs no socket, so tests can pause the
//! clock for client and service.

use std::{fmt, future::pending, sync::Arc};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response};
use job_transport::transport::{RequestSent, Transport, TransportError, TransportErrorKind};

use super::Sim;
use crate::reply::BodyEnd;

/// Maximum bytes of a reply's body, the same as for the production transport.
const MAX_REPLY_BODY_LEN: usize = 8 << 20;

/// A transport that passes requests directly to a [`Sim`] in memory.
#[derive(Clone)]
pub struct SimTransport(Arc<Sim>);

impl SimTransport {
    /// Creates a transport to this service.
    #[must_use]
    pub const fn new(sim: Arc<Sim>) -> Self {
        Self(sim)
    }
}

impl Transport for SimTransport {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let error = |kind, sent, message: &'static str| {
            Err(TransportError::new(kind, sent).with_source(message))
        };
        Box::pin(async move {
            if !self.0.accept_connection().await {
                let message = "the simulated connection was refused";
                return error(TransportErrorKind::Connect, RequestSent::No, message);
            }
            let Some((reply, ending)) = self.0.reply(&request).await else {
                let message = "the simulated connection ended without a reply";
                return error(TransportErrorKind::Closed, RequestSent::Maybe, message);
            };
            match ending {
                BodyEnd::Complete | BodyEnd::Drained if reply.body().len() > MAX_REPLY_BODY_LEN => {
                    let message = "the simulated reply is larger than 8 MiB";
                    error(TransportErrorKind::BodyTooLarge, RequestSent::Maybe, message)
                }
                BodyEnd::Complete | BodyEnd::Drained => Ok(reply),
                // The status of an error counts, even if its body is lost.
                BodyEnd::Truncated | BodyEnd::Stalled if !reply.status().is_success() => {
                    Ok(reply.map(|body| body.slice(..body.len() / 2)))
                }
                BodyEnd::Truncated => {
                    let message = "the simulated connection ended in the middle of the reply";
                    error(TransportErrorKind::Closed, RequestSent::Maybe, message)
                }
                BodyEnd::Stalled => {
                    let _guard = self.0.stall();
                    pending().await
                }
            }
        })
    }
}

impl fmt::Debug for SimTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimTransport").finish_non_exhaustive()
    }
}

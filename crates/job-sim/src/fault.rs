//! What can befall a request in place of its answer. Carries nothing itself.

use bytes::Bytes;
use http::{Response, StatusCode};

/// What befalls one request in place of its answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The gateway answers this status, with an HTML page; a redirect leads to the same request.
    Status(StatusCode),
    /// The service answers this, whatever was asked.
    Reply(Response<Bytes>),
    /// The service answers 200 with what arrived of the request, as JSON: `method`, `target` (path
    /// and query), `headers` (pairs), `body`; each byte of a value is a character.
    Echo,
    /// The connection ends without a reply.
    Reset,
    /// The request is never answered.
    Stall,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    Reply(Response<Bytes>),
    Reset,
    Stall,
}

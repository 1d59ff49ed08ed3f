//! Sends a signed request without risking that the service locks the key.

use bytes::Bytes;
use http::Request;
use job_model::ProjectId;

use super::{
    access_key::AccessKey,
    key_record::KeyRecords,
    sign::sign,
    signature_guard::{KeyStatus, SignatureGuard},
};
use crate::{
    clock::Clock,
    request::{FetchError, Reply, RequestInfo, send_traced},
    transport::{Transport, TransportError, is_loopback},
};

/// What a signed request needs besides the key.
#[derive(Clone, Copy)]
pub(crate) struct SigningContext<'c> {
    pub(crate) transport: &'c dyn Transport,
    pub(crate) clock: &'c dyn Clock,
    /// The records that are shared with other processes. Not used for a loopback address.
    pub(crate) records: Option<&'c dyn KeyRecords>,
}

/// Sends a request with a signature, once the key's guard permits it. Sends another one if the first
/// signature was wrong only because of its time. Returns an error if the signature is refused.
///
/// `build_request` and `about` are called for each request that is sent. A second request is rare, so
/// building it again costs less than keeping a copy of each first one.
pub(crate) async fn send_signed<'a>(
    context: &SigningContext<'_>,
    build_request: impl Fn() -> Result<Request<Bytes>, FetchError>,
    key: &AccessKey,
    project: Option<&ProjectId>,
    about: impl Fn() -> RequestInfo<'a>,
    secrets: &[&str],
) -> Result<Reply, FetchError> {
    let SigningContext { transport, clock, records } = *context;
    let mut request = build_request()?;
    let host = request.uri().host().unwrap_or_default();
    let records = records.filter(|_| !is_loopback(host));
    let guard = SignatureGuard::for_key(key.id(host));
    loop {
        let permit = guard.acquire(clock, records).await?;
        // Fails only for spans with calendar units, which a skew does not have.
        let at = clock.now().saturating_add(permit.skew).unwrap_or_default();
        sign(&mut request, key, project, at).map_err(TransportError::invalid_request)?;
        let reply = send_traced(transport, request, about(), secrets).await?;
        let (cause, blocked_until) = match permit.observe(&reply, at, clock, records).await {
            KeyStatus::ClockCorrected => {
                request = build_request()?;
                continue;
            }
            KeyStatus::Unchanged => return Ok(reply),
            KeyStatus::Refused { cause, blocked_until } => (cause, blocked_until),
        };
        let error = reply.into_error().with_refusal_cause(cause);
        return Err(match blocked_until {
            Some(until) => error.with_blocked_until(until),
            None => error,
        });
    }
}

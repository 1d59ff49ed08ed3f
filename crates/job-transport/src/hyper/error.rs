//! What an error of the libraries below means. Looks at types and codes, at no text.

use std::{error::Error, io};

use http_body_util::LengthLimitError;

use super::{
    connect::{StageTimeout, TunnelError},
    resolver::DnsError,
};
use crate::transport::{
    RequestSent, TimeoutStage, TransportError, TransportErrorKind, error_sources,
};

/// Errors of this machine, not of the way: no file descriptor in this process (EMFILE) or on this
/// machine (ENFILE), no buffer (ENOBUFS), no memory (ENOMEM), no free port (EADDRNOTAVAIL).
#[cfg(target_os = "linux")]
const LOCAL_RESOURCE_ERRNOS: &[i32] = &[24, 23, 105, 12, 99];
#[cfg(all(unix, not(target_os = "linux")))]
const LOCAL_RESOURCE_ERRNOS: &[i32] = &[24, 23, 55, 12, 49];
#[cfg(not(unix))]
const LOCAL_RESOURCE_ERRNOS: &[i32] = &[10024, 10055, 10049];

/// Makes the error of a request that failed, sent or not as far as the caller knows.
pub(super) fn classify(error: Box<dyn Error + Send + Sync>, sent: RequestSent) -> TransportError {
    if let Some(StageTimeout(stage)) = error_sources(&*error).find_map(|cause| cause.downcast_ref())
    {
        return TransportError::timeout(*stage);
    }
    // Of a host with many addresses, the last one that did not answer in its part of the time.
    let is_late = |cause: &io::Error| cause.kind() == io::ErrorKind::TimedOut;
    if sent == RequestSent::No
        && error_sources(&*error).any(|c| c.downcast_ref().is_some_and(is_late))
    {
        return TransportError::timeout(TimeoutStage::Connect);
    }
    let kind = kind(&*error, sent);
    let sent = match kind {
        // A stream that was refused was not taken.
        TransportErrorKind::StreamRefused if was_not_processed(&*error) => RequestSent::No,
        _ => sent,
    };
    TransportError::new(kind, sent).with_source(error)
}

/// Returns what went wrong, by the first cause in the chain that says it.
fn kind(error: &(dyn Error + 'static), sent: RequestSent) -> TransportErrorKind {
    let fallback = || {
        if error_sources(error).any(|cause| cause.is::<TunnelError>()) {
            return TransportErrorKind::Proxy;
        }
        match sent {
            RequestSent::No => TransportErrorKind::Connect,
            RequestSent::Maybe => TransportErrorKind::Closed,
        }
    };
    // First, since looking up a name needs a descriptor too.
    if error_sources(error).any(is_local_resource) {
        return TransportErrorKind::LocalResource;
    }
    error_sources(error).find_map(cause_kind).unwrap_or_else(fallback)
}

fn cause_kind(cause: &(dyn Error + 'static)) -> Option<TransportErrorKind> {
    if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
        return Some(match tls {
            rustls::Error::InvalidCertificate(_) => TransportErrorKind::Certificate,
            _ => TransportErrorKind::Tls,
        });
    }
    if let Some(http2) = cause.downcast_ref::<h2::Error>() {
        let is_refused = http2.is_go_away() || http2.reason() == Some(h2::Reason::REFUSED_STREAM);
        return match (http2.is_remote(), http2.is_io()) {
            (true, _) if is_refused => Some(TransportErrorKind::StreamRefused),
            (true, _) => Some(TransportErrorKind::Closed),
            (false, true) => None,
            (false, false) => Some(TransportErrorKind::Protocol),
        };
    }
    if cause.is::<LengthLimitError>() {
        return Some(TransportErrorKind::BodyTooLarge);
    }
    if cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
        return Some(TransportErrorKind::Protocol);
    }
    cause.is::<DnsError>().then_some(TransportErrorKind::Dns)
}

fn is_local_resource(cause: &(dyn Error + 'static)) -> bool {
    let code = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    code.is_some_and(|code| LOCAL_RESOURCE_ERRNOS.contains(&code))
}

/// Whether the server certainly did not take the request: it drained the connection in peace before
/// this stream, or refused the stream.
fn was_not_processed(error: &(dyn Error + 'static)) -> bool {
    let reason = error_sources(error).find_map(|cause| cause.downcast_ref::<h2::Error>()?.reason());
    matches!(reason, Some(h2::Reason::NO_ERROR | h2::Reason::REFUSED_STREAM))
}

#[cfg(test)]
mod tests;

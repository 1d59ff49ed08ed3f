//! Classifies the errors of hyper, rustls and h2, by their types and codes, never by their texts.

use std::{error::Error, io};

use http_body_util::LengthLimitError;
use rustls::AlertDescription;

use super::{
    connect::{StageTimeout, TunnelError},
    resolver::DnsError,
};
use crate::transport::{
    RequestSent, TimeoutStage, TransportError, TransportErrorKind, error_sources,
};

/// Error codes for a lack of local resources: no file descriptor in this process (EMFILE) or on
/// this machine (ENFILE), no buffer (ENOBUFS), no memory (ENOMEM), no free port (EADDRNOTAVAIL).
#[cfg(target_os = "linux")]
const LOCAL_RESOURCE_ERRNOS: &[i32] = &[24, 23, 105, 12, 99];
#[cfg(all(unix, not(target_os = "linux")))]
const LOCAL_RESOURCE_ERRNOS: &[i32] = &[24, 23, 55, 12, 49];
#[cfg(not(unix))]
const LOCAL_RESOURCE_ERRNOS: &[i32] = &[10024, 10055, 10049];

/// Classifies the error of a failed request. `sent` is what the caller knows about it.
pub(super) fn classify(error: Box<dyn Error + Send + Sync>, sent: RequestSent) -> TransportError {
    if let Some(StageTimeout(stage)) = error_sources(&*error).find_map(|cause| cause.downcast_ref())
    {
        return TransportError::timeout(*stage);
    }
    // If a host has several addresses, this is the last one that did not answer within its share of
    // the timeout.
    let is_late = |cause: &io::Error| cause.kind() == io::ErrorKind::TimedOut;
    if sent == RequestSent::No
        && error_sources(&*error).any(|c| c.downcast_ref().is_some_and(is_late))
    {
        return TransportError::timeout(TimeoutStage::Connect);
    }
    let kind = kind(&*error, sent);
    let sent = match kind {
        // The server did not process a stream that it refused.
        TransportErrorKind::StreamRefused if was_not_processed(&*error) => RequestSent::No,
        _ => sent,
    };
    with_cause(TransportError::new(kind, sent), error)
}

/// Adds the host and the cause, as far as the message of the kind does not contain them.
fn with_cause(made: TransportError, error: Box<dyn Error + Send + Sync>) -> TransportError {
    if let Some(dns) = error_sources(&*error).find_map(|cause| cause.downcast_ref::<DnsError>())
        && made.kind() == TransportErrorKind::Dns
    {
        // In a tunnel, the unknown host is the proxy, which the transport adds.
        return match error_sources(&*error).any(|cause| cause.is::<TunnelError>()) {
            true => made.with_source(dns.reason()),
            false => made.with_host(&*dns.host).with_source(dns.reason()),
        };
    }
    if made.kind() == TransportErrorKind::Closed && error_sources(&*error).any(is_end_of_connection)
    {
        return made;
    }
    made.with_innermost_source(error)
}

/// Returns whether a cause only repeats that the connection ended before the reply did.
fn is_end_of_connection(cause: &(dyn Error + 'static)) -> bool {
    let is_eof = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
    let is_incomplete = |error: &hyper::Error| error.is_incomplete_message();
    cause.downcast_ref().is_some_and(is_eof) || cause.downcast_ref().is_some_and(is_incomplete)
}

/// Returns the kind that the first conclusive cause in the chain implies.
fn kind(error: &(dyn Error + 'static), sent: RequestSent) -> TransportErrorKind {
    let fallback = || {
        let tunnel = error_sources(error).find_map(|cause| cause.downcast_ref::<TunnelError>());
        match tunnel {
            Some(tunnel) if tunnel.is_unauthorized => {
                return TransportErrorKind::ProxyAuthentication;
            }
            Some(_) => return TransportErrorKind::Proxy,
            None => {}
        }
        match sent {
            RequestSent::No => TransportErrorKind::Connect,
            RequestSent::Maybe => TransportErrorKind::Closed,
        }
    };
    // Checked first, because a DNS lookup needs a file descriptor, too.
    if error_sources(error).any(is_local_resource) {
        return TransportErrorKind::LocalResource;
    }
    error_sources(error).find_map(cause_kind).unwrap_or_else(fallback)
}

fn cause_kind(cause: &(dyn Error + 'static)) -> Option<TransportErrorKind> {
    if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
        return Some(match tls {
            rustls::Error::InvalidCertificate(_) => TransportErrorKind::Certificate,
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
                TransportErrorKind::ClientCertificateRequired
            }
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

/// Returns whether the server certainly did not process the request: it closed the connection
/// gracefully before this stream, or refused the stream.
fn was_not_processed(error: &(dyn Error + 'static)) -> bool {
    let reason = error_sources(error).find_map(|cause| cause.downcast_ref::<h2::Error>()?.reason());
    matches!(reason, Some(h2::Reason::NO_ERROR | h2::Reason::REFUSED_STREAM))
}

#[cfg(test)]
mod tests;

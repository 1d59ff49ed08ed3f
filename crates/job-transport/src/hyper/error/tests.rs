//! Nested errors of the libraries, and how they are classified.

use super::*;
use crate::transport::display_chain;

fn io(error: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}

fn dns_error(source: io::Error) -> DnsError {
    DnsError { host: "cce.example".into(), source }
}

fn tunnel_error(source: impl Into<Box<dyn Error + Send + Sync>>) -> TunnelError {
    TunnelError { is_unauthorized: false, source: source.into() }
}

#[test]
fn connect_errors_are_classified_by_cause() {
    use TransportErrorKind::*;
    let certificate = || rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
    let no_descriptor = || io::Error::from_raw_os_error(LOCAL_RESOURCE_ERRNOS[0]);
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    let rows: Vec<(io::Error, TransportErrorKind, Option<TimeoutStage>)> = vec![
        (io(io(certificate())), Certificate, None),
        (io(io(rustls::Error::DecryptError)), Tls, None),
        (io(dns_error(io("no such host"))), Dns, None),
        (io(dns_error(no_descriptor())), LocalResource, None),
        (io(tunnel_error(no_descriptor())), LocalResource, None),
        (io(tunnel_error("503")), Proxy, None),
        (
            io(TunnelError { is_unauthorized: true, ..tunnel_error("407") }),
            ProxyAuthentication,
            None,
        ),
        (
            io(io(rustls::Error::AlertReceived(AlertDescription::CertificateRequired))),
            ClientCertificateRequired,
            None,
        ),
        (io(tunnel_error(dns_error(io("no such host")))), Dns, None),
        (io(StageTimeout(TimeoutStage::Tls)), Timeout, Some(TimeoutStage::Tls)),
        (io(late()), Timeout, Some(TimeoutStage::Connect)),
        (io::Error::from(io::ErrorKind::ConnectionRefused), Connect, None),
    ];
    for (error, kind, stage) in rows {
        let shown = format!("{error:?}");
        let error = classify(error.into(), RequestSent::No);
        assert_eq!((error.kind(), error.stage()), (kind, stage), "{shown}");
        assert_eq!(error.request_sent(), RequestSent::No, "{shown}");
    }
    let error = classify(io(late()).into(), RequestSent::Maybe);
    assert_eq!((error.kind(), error.stage()), (Closed, None));
}

#[test]
fn messages_name_the_host_and_leave_out_library_layers() {
    let no_name = "failed to lookup address information: Name or service not known";
    let busy = "failed to lookup address information: Temporary failure in name resolution";
    let eof = "peer closed connection without sending TLS close_notify: https://docs.rs/rustls";
    let rows = [
        (io(dns_error(io(no_name))), "cannot resolve `cce.example`: name not found"),
        (
            io(dns_error(io(busy))),
            "cannot resolve `cce.example`: temporary failure in name resolution",
        ),
        (
            io(tunnel_error("tunnel error: unsuccessful")),
            "cannot connect through the proxy: tunnel error: unsuccessful",
        ),
        (
            // The host is that of the proxy, which the transport adds.
            io(tunnel_error(dns_error(io(no_name)))),
            "cannot resolve the host name: name not found",
        ),
        (
            io(io(io::Error::from(io::ErrorKind::ConnectionRefused))),
            "cannot connect to the server: connection refused",
        ),
        (
            io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof"),
            "cannot connect to the server: tls handshake eof",
        ),
    ];
    for (error, expected) in rows {
        let error = classify(error.into(), RequestSent::No);
        assert_eq!(display_chain(&error), expected);
    }
    let error = io::Error::new(io::ErrorKind::UnexpectedEof, eof);
    let error = classify(error.into(), RequestSent::Maybe);
    assert_eq!(display_chain(&error), "the connection closed before the reply was complete");
}

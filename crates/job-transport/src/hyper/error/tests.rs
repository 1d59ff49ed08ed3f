//! Errors of the libraries below, as they are nested, and what is made of them.

use super::*;

fn io(error: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
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
        (io(DnsError(io("no such host"))), Dns, None),
        (io(DnsError(no_descriptor())), LocalResource, None),
        (io(TunnelError(Box::new(no_descriptor()))), LocalResource, None),
        (io(TunnelError("407".into())), Proxy, None),
        (io(TunnelError(Box::new(DnsError(io("no such host"))))), Dns, None),
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

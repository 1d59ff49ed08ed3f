//! Errors of the libraries below, as they are nested, and what is made of them.

use super::*;

fn io(error: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}

#[test]
fn errors_before_the_request_is_sent() {
    use TransportErrorKind::*;
    let certificate = || rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
    let no_descriptor = || io::Error::from_raw_os_error(LOCAL[0]);
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    let rows: Vec<(io::Error, TransportErrorKind, Option<Stage>)> = vec![
        (io(io(certificate())), Certificate, None),
        (io(io(rustls::Error::DecryptError)), Tls, None),
        (io(NoAddress(io("no such host"))), Dns, None),
        (io(NoAddress(no_descriptor())), LocalResource, None),
        (io(NoTunnel(Box::new(no_descriptor()))), LocalResource, None),
        (io(NoTunnel("407".into())), Proxy, None),
        (io(NoTunnel(Box::new(NoAddress(io("no such host"))))), Dns, None),
        (io(TooLate(Stage::Tls)), Timeout, Some(Stage::Tls)),
        (io(late()), Timeout, Some(Stage::Connect)),
        (io::Error::from(io::ErrorKind::ConnectionRefused), Connect, None),
    ];
    for (error, kind, stage) in rows {
        let shown = format!("{error:?}");
        let error = failed(error.into(), RequestSent::No);
        assert_eq!((error.kind(), error.stage()), (kind, stage), "{shown}");
        assert_eq!(error.request_sent(), RequestSent::No, "{shown}");
    }
    let error = failed(io(late()).into(), RequestSent::Maybe);
    assert_eq!((error.kind(), error.stage()), (Closed, None));
}

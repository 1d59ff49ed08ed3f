//! What is kept of an attempt's error.

use http::{HeaderValue, Response, StatusCode, header::RETRY_AFTER};
use job_transport::{CredentialsFault, ProvideError, RequestSent, TransportError};

use super::*;

fn status(status: u16, retry_after: Option<&'static str>) -> FetchError {
    let mut reply = Response::new("".into());
    *reply.status_mut() = StatusCode::from_u16(status).unwrap();
    reply.headers_mut().extend(
        retry_after.map(|retry_after| (RETRY_AFTER, HeaderValue::from_static(retry_after))),
    );
    FetchError::of_reply(&reply)
}

fn transport(kind: TransportErrorKind) -> FetchError {
    TransportError::new(kind, RequestSent::No).into()
}

/// Returns the error of an attempt whose credentials could not be had for this reason.
fn without_credentials(error: FetchError) -> FetchError {
    CredentialsFault::Provider(ProvideError::from(error)).into()
}

#[test]
fn faults_of_errors() {
    let dns = || transport(TransportErrorKind::Dns);
    let dns_kind = FaultKind::Transport(TransportErrorKind::Dns);
    let rows = [
        (status(429, Some("7")), FaultKind::Status(429), Some(7)),
        (status(403, None), FaultKind::Status(403), None),
        (dns(), dns_kind, None),
        (without_credentials(status(429, Some("7"))), FaultKind::Credentials, Some(7)),
        (without_credentials(status(401, None)), FaultKind::Credentials, None),
        (without_credentials(dns()), dns_kind, None),
        (CredentialsFault::NoProject.into(), FaultKind::Credentials, None),
        (CredentialsFault::WrongSignature("no".into()).into(), FaultKind::WrongSignature, None),
    ];
    for (error, kind, retry_after) in rows {
        let fault = Fault::from(&error);
        let told = (fault.kind, fault.retry_after.map(|span| span.as_secs()), fault.class);
        assert_eq!(told, (kind, retry_after, error.class()), "{fault}");
    }
}

#[test]
fn a_message_has_every_cause() {
    let fault = Fault::from(&without_credentials(status(503, None)));
    insta::assert_snapshot!(fault);
}

//! Tests of the conversion from a `FetchError`.

use http::{HeaderValue, Response, StatusCode, header::RETRY_AFTER};
use job_transport::{
    auth::CredentialsProviderError,
    transport::{RequestSent, TransportError},
};

use super::*;
use crate::machine::QuotaPolicy;

fn status(status: u16, retry_after: Option<&'static str>) -> FetchError {
    let mut reply = Response::new("".into());
    *reply.status_mut() = StatusCode::from_u16(status).unwrap();
    reply.headers_mut().extend(
        retry_after.map(|retry_after| (RETRY_AFTER, HeaderValue::from_static(retry_after))),
    );
    FetchError::from_response(&reply)
}

fn transport(kind: TransportErrorKind) -> FetchError {
    TransportError::new(kind, RequestSent::No).into()
}

/// Returns the error of an attempt whose credentials provider failed with `error`.
fn without_credentials(error: FetchError) -> FetchError {
    CredentialsProviderError::from(error).into()
}

#[test]
fn fetch_errors_convert_to_attempt_errors() {
    let dns = || transport(TransportErrorKind::Dns);
    let dns_kind = FetchErrorKind::Transport(TransportErrorKind::Dns);
    let rows = [
        (status(429, Some("7")), FetchErrorKind::Status(429), Some(7)),
        (status(403, None), FetchErrorKind::Status(403), None),
        (dns(), dns_kind, None),
        (without_credentials(status(429, Some("7"))), FetchErrorKind::Credentials, Some(7)),
        (without_credentials(status(401, None)), FetchErrorKind::Credentials, None),
        (without_credentials(dns()), dns_kind, None),
        (FetchError::new(FetchErrorKind::NoProject), FetchErrorKind::NoProject, None),
        (FetchError::new(FetchErrorKind::WrongSignature), FetchErrorKind::WrongSignature, None),
    ];
    for (error, kind, retry_after) in rows {
        let attempt_error = AttemptError::from(&error);
        let actual = (
            attempt_error.kind,
            attempt_error.retry_after.map(|span| span.as_secs()),
            attempt_error.class,
        );
        assert_eq!(actual, (kind, retry_after, error.class()), "{attempt_error}");
    }
}

#[test]
fn attempt_error_message_includes_every_cause() {
    let attempt_error = AttemptError::from(&without_credentials(status(503, None)));
    insta::assert_snapshot!(attempt_error);
}

#[test]
fn a_long_uid_is_shortened_in_the_message() {
    let message = |uid: &str| AttemptError::wrong_job(uid).message;
    assert_eq!(message("b"), r#"the service answered with the job "b""#);
    let exact = "é".repeat(64);
    assert_eq!(message(&exact), format!("the service answered with the job {exact:?}"));
    let long = format!("a{}", "é".repeat(1 << 20));
    let shown = &long[..127];
    assert_eq!(message(&long), format!("the service answered with the job {shown:?}.."));
}

#[test]
fn only_a_refusal_of_the_gateway_states_a_quota() {
    let user = "policy user over ratelimit,limit:200,time:5 minute";
    let quota = StatedQuota::new(QuotaPolicy::User, 200, Duration::from_secs(300));
    let rows = [
        (429, "APIG.0308", user, Some(quota)),
        (429, "APIGW.0308", user, Some(quota)),
        (429, "CCE.02429001", user, None),
        (503, "APIG.0308", user, None),
        (429, "APIG.0308", "too many requests", None),
        (429, "APIG.0308", "policy api over ratelimit,limit:2000,time:1 minute", None),
    ];
    for (code, error_code, message, expected) in rows {
        let body = format!(r#"{{"error_code": "{error_code}", "error_msg": "{message}"}}"#);
        let mut reply = Response::new(body.into());
        *reply.status_mut() = StatusCode::from_u16(code).unwrap();
        let error = FetchError::from_response(&reply);
        assert_eq!(AttemptError::from(&error).stated_quota, expected, "{code} {error_code}");
        // The limit of the identity service is another one.
        assert_eq!(AttemptError::from(&without_credentials(error)).stated_quota, None);
    }
}

//! What the reply of a receiver means: delivered, try again, or give up. Performs no I/O.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use job_transport::{
    request::retry_after,
    transport::{TimeoutStage, TransportError, TransportErrorKind, error_sources},
};

use super::connect::ConnectError;
use crate::{notifier::NotifierError, receiver::ReceiverUrl};

/// Returns what a reply means, or what it means that there is none.
///
/// # Errors
///
/// Returns an error that names the receiver if the notification was not delivered.
pub(super) fn verdict(
    receiver: &ReceiverUrl,
    timeout: Duration,
    sent: &Result<Response<Bytes>, TransportError>,
) -> Result<(), NotifierError> {
    match sent {
        Ok(reply) => reply_verdict(receiver, reply),
        Err(error) => error_verdict(receiver, timeout, error),
    }
}

fn reply_verdict(receiver: &ReceiverUrl, reply: &Response<Bytes>) -> Result<(), NotifierError> {
    let status = reply.status();
    let answered = match status.canonical_reason() {
        Some(reason) => format!("{receiver} answered {} {reason}", status.as_str()),
        None => format!("{receiver} answered {}", status.as_str()),
    };
    let message = match status.as_u16() {
        200..300 => return Ok(()),
        300..400 => format!("{answered}; redirects are not followed, so use the final URL"),
        410 => {
            return Err(NotifierError::permanent(format!(
                "{answered}; it does not accept notifications any more"
            )));
        }
        // Also 4xx: for example, a receiver that is deployed without its route answers 404 until the
        // mistake is corrected.
        _ => answered,
    };
    Err(NotifierError::transient(message).with_retry_after(retry_after(reply.headers())))
}

fn error_verdict(
    receiver: &ReceiverUrl,
    timeout: Duration,
    error: &TransportError,
) -> Result<(), NotifierError> {
    // The innermost cause, because the errors around it name the library that reported it.
    let cause = error_sources(error).skip(1).last().map(|cause| format!(": {cause}"));
    let cause = cause.unwrap_or_default();
    if let Some(cause) = error_sources(error).find_map(|cause| cause.downcast_ref::<ConnectError>())
    {
        return Err(NotifierError::transient(format!("cannot connect to {receiver}: {cause}")));
    }
    let message = match error.kind() {
        // The transport returns these errors only after a status of success, which is enough.
        TransportErrorKind::BodyTooLarge | TransportErrorKind::EncodedBody => return Ok(()),
        TransportErrorKind::Timeout if error.stage() == Some(TimeoutStage::Body) => return Ok(()),
        TransportErrorKind::InvalidRequest => {
            let message = format!("the request to {receiver} is invalid{cause}");
            return Err(NotifierError::permanent(message));
        }
        TransportErrorKind::Timeout => match error.stage() {
            Some(TimeoutStage::Queue) => {
                format!("too many notifications are sent at a time, so {receiver} has to wait")
            }
            Some(TimeoutStage::Connect | TimeoutStage::Tls) => {
                format!("timed out connecting to {receiver}")
            }
            _ => format!("{receiver} did not answer within {timeout:?}"),
        },
        TransportErrorKind::Connect => format!("cannot connect to {receiver}{cause}"),
        TransportErrorKind::Proxy | TransportErrorKind::ProxyAuthentication => {
            format!("cannot connect to {receiver} through the proxy{cause}")
        }
        TransportErrorKind::Certificate => {
            format!("cannot trust the certificate of {receiver}{cause}")
        }
        TransportErrorKind::Tls => format!("cannot establish TLS with {receiver}{cause}"),
        TransportErrorKind::ClientCertificateRequired => {
            format!("{receiver} requires a client certificate")
        }
        TransportErrorKind::StreamRefused | TransportErrorKind::Closed => {
            format!("{receiver} closed the connection before it answered")
        }
        TransportErrorKind::Protocol => {
            format!("the answer of {receiver} is not valid HTTP{cause}")
        }
        _ => format!("cannot send to {receiver}{cause}"),
    };
    Err(NotifierError::transient(message))
}

#[cfg(test)]
mod tests {
    use std::{io, net::IpAddr};

    use http::StatusCode;
    use job_transport::transport::RequestSent;

    use super::*;
    use crate::receiver::AddressKind;

    fn describe(verdict: Result<(), NotifierError>) -> String {
        let Err(error) = verdict else { return "delivered\n".into() };
        assert!(!error.to_string().contains("secret"), "{error}");
        let what = if error.is_permanent() { "failed" } else { "again" };
        let delay = error.retry_after().map(|delay| format!(" after {delay:?}"));
        format!("{what}{}: {error}\n", delay.unwrap_or_default())
    }

    fn url() -> ReceiverUrl {
        ReceiverUrl::new("https://example.com/hook?token=secret").unwrap()
    }

    #[test]
    fn statuses_decide_whether_to_try_again() {
        let mut text = String::new();
        for status in [
            200, 204, 299, 300, 302, 399, 400, 401, 403, 404, 408, 409, 410, 411, 429, 499, 500,
            503, 599, 999,
        ] {
            let mut reply = Response::new(Bytes::from_static(b"secret"));
            *reply.status_mut() = StatusCode::from_u16(status).unwrap();
            reply.headers_mut().insert("location", "https://secret.example".parse().unwrap());
            text += &format!("{status}  {}", describe(verdict(&url(), Duration::ZERO, &Ok(reply))));
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_retry_after_is_honored_for_replies_that_are_sent_again() {
        /// The status, the headers, and the delay in seconds.
        type Row = (u16, &'static [(&'static str, &'static str)], Option<u64>);
        const DATE: (&str, &str) = ("date", "Sun, 02 Feb 2020 08:12:40 GMT");
        let rows: [Row; 8] = [
            (429, &[("retry-after", "17")], Some(17)),
            (503, &[("retry-after", "17")], Some(17)),
            (503, &[DATE, ("retry-after", "Sun, 02 Feb 2020 08:13:00 GMT")], Some(20)),
            (503, &[("retry-after", "Sun, 02 Feb 2020 08:13:00 GMT")], None),
            (503, &[("retry-after", "soon")], None),
            (503, &[], None),
            (404, &[("retry-after", "17")], Some(17)),
            (410, &[("retry-after", "17")], None),
        ];
        for (status, headers, expected) in rows {
            let mut reply = Response::new(Bytes::new());
            *reply.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in headers {
                reply.headers_mut().insert(*name, value.parse().unwrap());
            }
            let error = verdict(&url(), Duration::ZERO, &Ok(reply)).unwrap_err();
            assert_eq!(error.retry_after().map(|delay| delay.as_secs()), expected, "{status}");
        }
    }

    #[test]
    fn errors_of_the_transport_are_tried_again_and_name_the_receiver() {
        use TransportErrorKind as Kind;
        let kinds = [
            Kind::InvalidRequest,
            Kind::LocalResource,
            Kind::Dns,
            Kind::Connect,
            Kind::Proxy,
            Kind::ProxyAuthentication,
            Kind::Certificate,
            Kind::ClientCertificateRequired,
            Kind::Tls,
            Kind::StreamRefused,
            Kind::Closed,
            Kind::Protocol,
            Kind::BodyTooLarge,
            Kind::EncodedBody,
            Kind::Other,
        ];
        let mut rows: Vec<(String, TransportError)> = kinds
            .map(|kind| (kind.as_str().to_owned(), TransportError::new(kind, RequestSent::Maybe)))
            .into();
        for stage in [
            TimeoutStage::Queue,
            TimeoutStage::Connect,
            TimeoutStage::Tls,
            TimeoutStage::Reply,
            TimeoutStage::Body,
        ] {
            rows.push((format!("timeout {}", stage.as_str()), TransportError::timeout(stage)));
        }
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let causes = [
            ConnectError::Lookup(io::Error::other(
                "failed to lookup address information: Name or service not known",
            )),
            ConnectError::Address(address, AddressKind::Private),
            ConnectError::Proxy("proxy.example:3128".into()),
        ];
        for cause in causes {
            let error = TransportError::new(Kind::Connect, RequestSent::No);
            rows.push(("connect".into(), error.with_source(io::Error::other(cause))));
        }
        let refused = io::Error::other(io::Error::other("connection refused"));
        let error = TransportError::new(Kind::Connect, RequestSent::No).with_source(refused);
        rows.push(("connect".into(), error));
        let mut text = String::new();
        for (name, error) in rows {
            let verdict = verdict(&url(), Duration::from_secs(20), &Err(error));
            text += &format!("{name:27}  {}", describe(verdict));
        }
        insta::assert_snapshot!(text);
    }
}

//! The messages of errors, with and without a host and a proxy.

use super::*;

#[test]
fn messages_name_the_host_and_the_proxy() {
    use TransportErrorKind::*;
    let of = |kind| TransportError::new(kind, RequestSent::Maybe);
    let rows = [
        (of(Dns), "cannot resolve `h`", "cannot resolve the proxy `p` to reach `h`"),
        (of(Connect), "cannot connect to `h`", "cannot connect to `h` through the proxy `p`"),
        (
            of(Proxy),
            "cannot connect through the proxy to `h`",
            "cannot connect through the proxy `p` to `h`",
        ),
        (
            of(ProxyAuthentication),
            "cannot log in to the proxy to reach `h`",
            "cannot log in to the proxy `p` to reach `h`",
        ),
        (
            of(Certificate),
            "cannot trust the certificate of `h`",
            "cannot trust the certificate of `h` through the proxy `p`",
        ),
        (
            of(Closed),
            "the connection closed before the reply was complete",
            "the connection closed before the reply was complete (`h` through the proxy `p`)",
        ),
        (
            TransportError::timeout(TimeoutStage::Connect),
            "timed out connecting to `h`",
            "timed out connecting to `h` through the proxy `p`",
        ),
        (
            TransportError::timeout(TimeoutStage::Reply),
            "timed out waiting for the reply",
            "timed out waiting for the reply (`h` through the proxy `p`)",
        ),
        (
            TransportError::timeout(TimeoutStage::Queue),
            "timed out before the request could be sent",
            "timed out before the request could be sent",
        ),
        (of(InvalidRequest), "the request is invalid", "the request is invalid"),
    ];
    for (error, direct, proxied) in rows {
        let error = error.with_host("h");
        assert_eq!(error.to_string(), direct);
        let error = error.with_proxy("p");
        assert_eq!(error.to_string(), proxied);
        assert_eq!((error.host(), error.proxy()), (Some("h"), Some("p")));
    }
    assert_eq!(of(Proxy).to_string(), "cannot connect through the proxy");
    assert_eq!(of(Connect).with_proxy("p").to_string(), {
        "cannot connect to the server through the proxy `p`"
    });
}

#[test]
fn stages_and_whether_a_request_was_sent_have_stable_words() {
    let stages = [
        (TimeoutStage::Queue, "queue"),
        (TimeoutStage::Connect, "connect"),
        (TimeoutStage::Tls, "tls"),
        (TimeoutStage::Reply, "reply"),
        (TimeoutStage::Body, "body"),
    ];
    for (stage, word) in stages {
        assert_eq!(stage.as_str(), word);
    }
    for (sent, word) in [(RequestSent::No, "no"), (RequestSent::Maybe, "maybe")] {
        assert_eq!(sent.as_str(), word);
    }
}

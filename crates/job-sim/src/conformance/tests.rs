//! Tests that each broken rule is found, with transports that break one rule each.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use http::header::{AUTHORIZATION, LOCATION};

use super::*;
use crate::{
    plan::{Plan, TimeSource},
    service::SimTransport,
};

type SendResult = Result<Response<Bytes>, TransportError>;

/// The in-memory transport, with changes to each request and each reply.
struct FaultyTransport {
    inner: SimTransport,
    request: fn(&mut Request<Bytes>),
    reply: fn(SendResult) -> SendResult,
}

impl Transport for FaultyTransport {
    fn send(&self, mut request: Request<Bytes>) -> BoxFuture<'_, SendResult> {
        (self.request)(&mut request);
        Box::pin(async move { (self.reply)(self.inner.send(request).await) })
    }
}

/// Follows redirects.
struct RedirectFollower(SimTransport);

impl Transport for RedirectFollower {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, SendResult> {
        Box::pin(async move {
            let reply = self.0.send(request).await?;
            match reply.headers().get(LOCATION).and_then(|to| to.to_str().ok()) {
                Some(to) => self.0.send(get(&format!("https://cce.example{to}"))).await,
                None => Ok(reply),
            }
        })
    }
}

/// Continues with a request even if its future is dropped.
struct UncancellableTransport(Arc<SimTransport>);

impl Transport for UncancellableTransport {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, SendResult> {
        let inner = self.0.clone();
        let task = tokio::spawn(async move { inner.send(request).await });
        Box::pin(async move { task.await.unwrap() })
    }
}

async fn violations<T: Transport>(transport: impl Fn(SimTransport) -> T) -> Vec<Violation> {
    let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
    let transport = transport(SimTransport::new(sim.clone()));
    Conformance::new(&sim, "https://cce.example").run(&transport).await
}

/// Checks that there are violations, and that each is of one of the expected rules.
fn check(name: &str, violations: &[Violation], expected_rules: &[&str]) {
    assert!(!violations.is_empty(), "{name}: no violation found");
    for violation in violations {
        assert!(
            expected_rules.iter().any(|rule| violation.rule.starts_with(rule)),
            "{name}: {violation}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_conforming_transport_passes() {
    assert_eq!(violations(|inner| inner).await, []);
}

#[tokio::test(start_paused = true)]
async fn every_broken_rule_is_detected() {
    const REQUEST_CHECKS: &[&str] = &["a request arrives", "each request gets"];
    type Row = (
        &'static str,
        fn(&mut Request<Bytes>),
        fn(SendResult) -> SendResult,
        &'static [&'static str],
    );
    let unchanged_request: fn(&mut Request<Bytes>) = |_| {};
    let unchanged_reply: fn(SendResult) -> SendResult = |sent| sent;
    let rows: [Row; 14] = [
        ("another method", |r| *r.method_mut() = Method::GET, unchanged_reply, REQUEST_CHECKS),
        (
            "no query",
            |r| *r.uri_mut() = r.uri().path().parse().unwrap(),
            unchanged_reply,
            REQUEST_CHECKS,
        ),
        ("no body", |r| *r.body_mut() = Bytes::new(), unchanged_reply, REQUEST_CHECKS),
        (
            "a header lost",
            |r| drop(r.headers_mut().remove("content-type")),
            unchanged_reply,
            REQUEST_CHECKS,
        ),
        (
            "one of two lost",
            |r| drop(r.headers_mut().insert("x-twice", "2".parse().unwrap())),
            unchanged_reply,
            REQUEST_CHECKS,
        ),
        (
            "credentials added",
            |r| drop(r.headers_mut().insert(AUTHORIZATION, "x".parse().unwrap())),
            unchanged_reply,
            REQUEST_CHECKS,
        ),
        (
            "errors of statuses",
            unchanged_request,
            |sent| {
                let failed = TransportError::new(TransportErrorKind::Other, RequestSent::Maybe);
                sent.and_then(|r| if r.status().is_server_error() { Err(failed) } else { Ok(r) })
            },
            &["every status"],
        ),
        (
            "a status lost with its body",
            unchanged_request,
            |sent| {
                let failed = TransportError::new(TransportErrorKind::Closed, RequestSent::Maybe);
                let is_cut = |reply: &Response<Bytes>| reply.status().as_u16() == 402;
                sent.and_then(|reply| if is_cut(&reply) { Err(failed) } else { Ok(reply) })
            },
            &["an error status"],
        ),
        (
            "a body cut",
            unchanged_request,
            |sent| sent.map(|r| r.map(|b| b.slice(..b.len().min(1 << 19)))),
            &["a reply arrives complete"],
        ),
        (
            "a reply's header lost",
            unchanged_request,
            |sent| {
                let mut reply = sent?;
                reply.headers_mut().remove("retry-after");
                Ok(reply)
            },
            &["a reply arrives complete"],
        ),
        (
            "a body decoded",
            unchanged_request,
            |sent| {
                let mut reply = sent?;
                if reply.headers_mut().remove(CONTENT_ENCODING).is_some() {
                    reply = reply.map(|_| Bytes::new());
                }
                Ok(reply)
            },
            &["a compressed body"],
        ),
        (
            "surely not sent",
            unchanged_request,
            |sent| sent.map_err(|error| TransportError::new(error.kind(), RequestSent::No)),
            &["a reset connection"],
        ),
        (
            "another kind",
            unchanged_request,
            |sent| {
                sent.map_err(|_| TransportError::new(TransportErrorKind::Dns, RequestSent::Maybe))
            },
            &["a reset connection"],
        ),
        (
            "a reply made up",
            unchanged_request,
            |sent| sent.or_else(|_| Ok(Response::new(Bytes::new()))),
            &["a reset connection"],
        ),
    ];
    for (name, request, reply, of) in rows {
        check(name, &violations(|inner| FaultyTransport { inner, request, reply }).await, of);
    }
    check("redirects", &violations(RedirectFollower).await, &["every status"]);
    let clinging = violations(|inner| UncancellableTransport(Arc::new(inner))).await;
    check("clinging", &clinging, &["a dropped request"]);
}

#[tokio::test(start_paused = true)]
async fn a_reply_from_a_dead_endpoint_is_detected() {
    let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
    let transport = SimTransport::new(sim.clone());
    let conformance =
        Conformance::new(&sim, "https://cce.example").unreachable_endpoint("https://dead");
    check("from nowhere", &conformance.run(&transport).await, &["an unreachable endpoint"]);
}

//! Transports that break one rule each, and the check that finds it.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use http::header::{AUTHORIZATION, LOCATION};

use super::*;
use crate::{
    plan::Plan,
    service::{Pace, SimTransport},
};

type Sent = Result<Response<Bytes>, TransportError>;

/// The in-memory transport, but for what is done to each request and each reply.
struct Broken {
    inner: SimTransport,
    request: fn(&mut Request<Bytes>),
    reply: fn(Sent) -> Sent,
}

impl Transport for Broken {
    fn send(&self, mut request: Request<Bytes>) -> BoxFuture<'_, Sent> {
        (self.request)(&mut request);
        Box::pin(async move { (self.reply)(self.inner.send(request).await) })
    }
}

/// Goes where a redirect leads.
struct Following(SimTransport);

impl Transport for Following {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Sent> {
        Box::pin(async move {
            let reply = self.0.send(request).await?;
            match reply.headers().get(LOCATION).and_then(|to| to.to_str().ok()) {
                Some(to) => self.0.send(get(&format!("https://cce.example{to}"))).await,
                None => Ok(reply),
            }
        })
    }
}

/// Goes on with a request whose future is dropped.
struct Clinging(Arc<SimTransport>);

impl Transport for Clinging {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Sent> {
        let inner = self.0.clone();
        let task = tokio::spawn(async move { inner.send(request).await });
        Box::pin(async move { task.await.unwrap() })
    }
}

async fn complaints<T: Transport>(transport: impl Fn(SimTransport) -> T) -> Vec<String> {
    let sim = Arc::new(Sim::new(Plan::create_cluster(), Pace::Clock));
    let transport = transport(SimTransport::new(sim.clone()));
    Conformance::new(&sim, "https://cce.example").complaints(&transport).await
}

/// Checks that each complaint is of one of these checks, and that there is one.
fn check(name: &str, complaints: &[String], of: &[&str]) {
    assert!(!complaints.is_empty(), "{name} is not found");
    for complaint in complaints {
        assert!(of.iter().any(|check| complaint.starts_with(check)), "{name}: {complaint}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_keeps_the_rules_passes() {
    assert_eq!(complaints(|inner| inner).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn each_broken_rule_is_found() {
    const ARRIVES: &[&str] = &["a request arrives", "each request gets"];
    type Row = (&'static str, fn(&mut Request<Bytes>), fn(Sent) -> Sent, &'static [&'static str]);
    let kept: fn(&mut Request<Bytes>) = |_| {};
    let as_it_is: fn(Sent) -> Sent = |sent| sent;
    let rows: [Row; 13] = [
        ("another method", |r| *r.method_mut() = Method::GET, as_it_is, ARRIVES),
        ("no query", |r| *r.uri_mut() = r.uri().path().parse().unwrap(), as_it_is, ARRIVES),
        ("no body", |r| *r.body_mut() = Bytes::new(), as_it_is, ARRIVES),
        ("a header lost", |r| drop(r.headers_mut().remove("content-type")), as_it_is, ARRIVES),
        (
            "one of two lost",
            |r| drop(r.headers_mut().insert("x-twice", "2".parse().unwrap())),
            as_it_is,
            ARRIVES,
        ),
        (
            "credentials added",
            |r| drop(r.headers_mut().insert(AUTHORIZATION, "x".parse().unwrap())),
            as_it_is,
            ARRIVES,
        ),
        (
            "errors of statuses",
            kept,
            |sent| {
                let failed = TransportError::new(TransportErrorKind::Other, RequestSent::Maybe);
                sent.and_then(|r| if r.status().is_server_error() { Err(failed) } else { Ok(r) })
            },
            &["any status"],
        ),
        (
            "a body cut",
            kept,
            |sent| sent.map(|r| r.map(|b| b.slice(..b.len().min(1 << 19)))),
            &["a reply comes whole"],
        ),
        (
            "a reply's header lost",
            kept,
            |sent| {
                let mut reply = sent?;
                reply.headers_mut().remove("retry-after");
                Ok(reply)
            },
            &["a reply comes whole"],
        ),
        (
            "a body decoded",
            kept,
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
            kept,
            |sent| sent.map_err(|error| TransportError::new(error.kind(), RequestSent::No)),
            &["an ended connection"],
        ),
        (
            "another kind",
            kept,
            |sent| {
                sent.map_err(|_| TransportError::new(TransportErrorKind::Dns, RequestSent::Maybe))
            },
            &["an ended connection"],
        ),
        (
            "a reply made up",
            kept,
            |sent| sent.or_else(|_| Ok(Response::new(Bytes::new()))),
            &["an ended connection"],
        ),
    ];
    for (name, request, reply, of) in rows {
        check(name, &complaints(|inner| Broken { inner, request, reply }).await, of);
    }
    check("redirects", &complaints(Following).await, &["any status"]);
    let clinging = complaints(|inner| Clinging(Arc::new(inner))).await;
    check("clinging", &clinging, &["a request that is given up"]);
}

#[tokio::test(start_paused = true)]
async fn a_reply_from_nowhere_is_found() {
    let sim = Arc::new(Sim::new(Plan::create_cluster(), Pace::Clock));
    let transport = SimTransport::new(sim.clone());
    let conformance = Conformance::new(&sim, "https://cce.example").dead_endpoint("https://dead");
    check("from nowhere", &conformance.complaints(&transport).await, &["no connection"]);
}

//! Checks that a transport follows the rules for all transports, with the simulated service as its
//! server.

use std::{
    collections::BTreeSet,
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_ENCODING};
use job_transport::transport::{RequestSent, Transport, TransportError, TransportErrorKind};
use serde_json::Value;

use crate::{faults::Fault, service::Sim};

/// Maximum time until the service notices that a request was dropped.
const CANCELLATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Number of concurrent requests in the check that each one gets its own reply.
const CONCURRENT_REQUESTS: usize = 50;

/// A rule that a transport violates.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The rule, such as `every status is returned as a reply`.
    pub rule: &'static str,
    /// How the transport violates the rule.
    pub message: String,
}

impl Violation {
    /// Creates a violation of a rule.
    #[must_use]
    pub fn new(rule: &'static str, message: impl Into<String>) -> Self {
        Self { rule, message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.message)
    }
}

/// A conformance suite for implementations of [`Transport`].
///
/// Each check sends requests through the transport to a [`Sim`], and compares what arrives on both
/// sides with the rule. Run the suite in the tests of your own transport.
///
/// ```
/// use std::{sync::Arc, time::Duration};
///
/// use job_sim::{Conformance, Plan, Sim, SimTransport, TimeSource};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
/// // Use your own transport instead, with the endpoint and the CA of a `SimServer`.
/// let transport = SimTransport::new(sim.clone());
/// let conformance = Conformance::new(&sim, "https://cce.example");
/// assert_eq!(conformance.run(&transport).await, []);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Conformance<'s> {
    sim: &'s Sim,
    endpoint: String,
    unreachable_endpoint: Option<String>,
}

impl<'s> Conformance<'s> {
    /// Creates the checks against a service at this endpoint. No other client may use the service
    /// during the checks.
    #[must_use]
    pub fn new(sim: &'s Sim, endpoint: impl Into<String>) -> Self {
        Self { sim, endpoint: endpoint.into(), unreachable_endpoint: None }
    }

    /// Adds the check that an unreachable endpoint is an error. Nothing may listen at this
    /// endpoint.
    #[must_use]
    pub fn unreachable_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.unreachable_endpoint = Some(endpoint.into());
        self
    }

    /// Runs all checks, and returns a violation for each check that failed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the checks end, but pending faults remain in the service.
    pub async fn run(&self, transport: &dyn Transport) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut record = |rule, result: Result<(), String>| {
            violations.extend(result.err().map(|message| Violation { rule, message }));
            // A failed check may leave faults behind, which must not apply to the next one.
            self.sim.clear_faults();
        };
        record("a request arrives unchanged", self.check_request_unchanged(transport).await);
        record("every status is returned as a reply", self.check_statuses(transport).await);
        record("a reply arrives complete", self.check_replies(transport).await);
        record("a compressed body is not decoded", self.check_encoded_body(transport).await);
        record("an error status counts without its body", self.check_cut_error(transport).await);
        record("each request gets its own reply", self.check_concurrent_requests(transport).await);
        record("a reset connection is an error", self.check_reset(transport).await);
        record("a dropped request is canceled", self.check_cancellation(transport).await);
        record("an unreachable endpoint is an error", self.check_unreachable(transport).await);
        violations
    }

    async fn check_request_unchanged(&self, transport: &dyn Transport) -> Result<(), String> {
        let targets = ["/", "/a%2Fb/%20/~x:y@z/", "/a//b?q=%2b+%20&q=1&r", "/%C3%BC;p=1?"];
        for (method, body) in [(Method::GET, ""), (Method::POST, "a \u{fc}\n\0b")] {
            for target in targets {
                let mut request = self.request(target);
                *request.method_mut() = method.clone();
                *request.body_mut() = Bytes::from_static(body.as_bytes());
                let mut secret = HeaderValue::from_static("MIIF+/=");
                secret.set_sensitive(true);
                let headers = request.headers_mut();
                headers.insert("content-type", HeaderValue::from_static("application/json"));
                headers.insert("x-auth-token", secret);
                headers.append("x-twice", HeaderValue::from_static("1, \"a\""));
                headers.append("x-twice", HeaderValue::from_static("2"));
                self.sim.inject_fault(Fault::Echo);
                let reply = transport.send(request.clone()).await.map_err(describe_error)?;
                compare_echo(&request, reply.body())?;
            }
        }
        Ok(())
    }

    async fn check_statuses(&self, transport: &dyn Transport) -> Result<(), String> {
        let codes = [200, 201, 204, 206, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404];
        let more = [407, 409, 418, 425, 429, 451, 499, 500, 501, 502, 503, 504, 505, 599];
        for code in codes.into_iter().chain(more) {
            let status = StatusCode::from_u16(code).map_err(|error| error.to_string())?;
            let before = self.sim.requests();
            self.sim.inject_fault(Fault::HtmlPage(status));
            let reply = transport.send(self.request("/x")).await.map_err(describe_error)?;
            ensure_equal("status", &reply.status(), &status)?;
            ensure_equal("requests", &(self.sim.requests() - before), &1)?;
        }
        Ok(())
    }

    async fn check_replies(&self, transport: &dyn Transport) -> Result<(), String> {
        let every_byte: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        for body in [Bytes::new(), Bytes::from_static(b"{}"), every_byte.into()] {
            let mut reply = Response::new(body.clone());
            let headers = reply.headers_mut();
            headers.insert("x-request-id", HeaderValue::from_static("r-1"));
            headers.insert("retry-after", HeaderValue::from_static("7"));
            headers.append("x-twice", HeaderValue::from_static("1"));
            headers.append("x-twice", HeaderValue::from_static("2"));
            let long = HeaderValue::try_from("t".repeat(16_384));
            headers.extend(long.map(|long| (http::HeaderName::from_static("x-long"), long)));
            self.sim.inject_fault(Fault::Reply(reply.clone()));
            let got = transport.send(self.request("/x")).await.map_err(describe_error)?;
            if got.body() != &body {
                return Err(format!(
                    "the body has {} bytes instead of {}",
                    got.body().len(),
                    body.len()
                ));
            }
            for name in reply.headers().keys() {
                let values = |of: &Response<Bytes>| -> Vec<HeaderValue> {
                    of.headers().get_all(name).iter().cloned().collect()
                };
                ensure_equal(name.as_str(), &values(&got), &values(&reply))?;
            }
        }
        Ok(())
    }

    async fn check_encoded_body(&self, transport: &dyn Transport) -> Result<(), String> {
        // An empty text, compressed. A transport that decodes it returns an empty body.
        let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0";
        let mut reply = Response::new(Bytes::from_static(gzip));
        reply.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        self.sim.inject_fault(Fault::Reply(reply));
        match transport.send(self.request("/x")).await {
            Ok(reply) => {
                ensure_equal(
                    "content-encoding",
                    &reply.headers().get(CONTENT_ENCODING).is_some(),
                    &true,
                )?;
                ensure_equal("body", reply.body(), &Bytes::from_static(gzip))
            }
            Err(error) => ensure_equal("kind", &error.kind(), &TransportErrorKind::EncodedBody),
        }
    }

    async fn check_cut_error(&self, transport: &dyn Transport) -> Result<(), String> {
        let status = StatusCode::PAYMENT_REQUIRED;
        self.sim.inject_fault(Fault::TruncatedError(status));
        let reply = transport.send(self.request("/x")).await.map_err(describe_error)?;
        ensure_equal("status", &reply.status(), &status)
    }

    async fn check_concurrent_requests(&self, transport: &dyn Transport) -> Result<(), String> {
        (0..CONCURRENT_REQUESTS).for_each(|_| self.sim.inject_fault(Fault::Echo));
        let target = |number| format!("/x?{number}");
        let requests =
            (0..CONCURRENT_REQUESTS).map(|number| transport.send(self.request(&target(number))));
        for (number, reply) in join_all(requests).await.into_iter().enumerate() {
            let echo: Value = serde_json::from_slice(reply.map_err(describe_error)?.body())
                .map_err(|error| error.to_string())?;
            ensure_equal("target", &echo["target"].as_str(), &Some(&*target(number)))?;
        }
        Ok(())
    }

    async fn check_reset(&self, transport: &dyn Transport) -> Result<(), String> {
        self.sim.inject_fault(Fault::Reset);
        let Err(error) = transport.send(self.request("/x")).await else {
            return Err("the transport returned a reply, although none was sent".into());
        };
        ensure_equal("request sent", &error.request_sent(), &RequestSent::Maybe)?;
        ensure_equal("kind", &error.kind(), &TransportErrorKind::Closed)?;
        let after = transport.send(self.request("/x")).await;
        after.map(drop).map_err(|error| format!("the next request also fails: {error:?}"))
    }

    async fn check_cancellation(&self, transport: &dyn Transport) -> Result<(), String> {
        self.sim.inject_fault(Fault::Stall);
        {
            let mut attempt = transport.send(self.request("/x"));
            let stalled = async {
                tokio::time::timeout(CANCELLATION_TIMEOUT, self.wait_for_stalled(1)).await
            };
            let mut stalled = pin!(stalled);
            poll_fn(|context| match attempt.as_mut().poll(context) {
                Poll::Ready(reply) => Poll::Ready(Err(format!(
                    "the transport returned a reply to a stalled request: {reply:?}"
                ))),
                Poll::Pending => stalled
                    .as_mut()
                    .poll(context)
                    .map(|arrived| arrived.map_err(|_| "the request did not arrive".to_owned())),
            })
            .await?;
        }
        let freed = tokio::time::timeout(CANCELLATION_TIMEOUT, self.wait_for_stalled(0)).await;
        freed.map_err(|_| "the request is still open at the service".to_owned())?;
        let after = transport.send(self.request("/x")).await;
        after.map(drop).map_err(|error| format!("the next request fails: {error:?}"))
    }

    async fn check_unreachable(&self, transport: &dyn Transport) -> Result<(), String> {
        let Some(endpoint) = &self.unreachable_endpoint else { return Ok(()) };
        match transport.send(get(&format!("{endpoint}/x"))).await {
            Ok(reply) => Err(format!("the transport returned a reply: {reply:?}")),
            Err(error) => {
                let got = (error.kind(), error.request_sent());
                ensure_equal("error", &got, &(TransportErrorKind::Connect, RequestSent::No))
            }
        }
    }

    /// Waits until `requests` requests are stalled at the service.
    async fn wait_for_stalled(&self, requests: u32) {
        while self.sim.stalled() != requests {
            #[expect(
                clippy::disallowed_methods,
                reason = "the service has no notification to wait for"
            )]
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn request(&self, target: &str) -> Request<Bytes> {
        get(&format!("{}{target}", self.endpoint))
    }
}

fn get(uri: &str) -> Request<Bytes> {
    let mut request = Request::new(Bytes::new());
    // If the endpoint is invalid, so is the request, and the transport reports it.
    *request.uri_mut() = uri.parse().unwrap_or_default();
    request
}

/// Compares a request with its echo. Nothing may be missing or changed, and no credentials may be
/// added.
fn compare_echo(request: &Request<Bytes>, echo: &[u8]) -> Result<(), String> {
    let echo: Value = serde_json::from_slice(echo).map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
    let target = request.uri().path_and_query().map(|target| target.as_str());
    ensure_equal("method", &echo["method"].as_str(), &Some(request.method().as_str()))?;
    ensure_equal("target", &echo["target"].as_str(), &target)?;
    ensure_equal("body", &echo["body"].as_str(), &Some(&*text(request.body())))?;
    let headers = echo["headers"].as_array().into_iter().flatten();
    let headers: Vec<(&str, &str)> =
        headers.filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_str()?))).collect();
    for name in request.headers().keys() {
        let sent: Vec<String> =
            request.headers().get_all(name).iter().map(|value| text(value.as_bytes())).collect();
        let of_name = headers.iter().filter(|(got, _)| got == name);
        ensure_equal(name.as_str(), &of_name.map(|(_, value)| *value).collect::<Vec<_>>(), &sent)?;
    }
    let known: BTreeSet<&str> = request.headers().keys().map(|name| name.as_str()).collect();
    let credential_headers = ["authorization", "cookie", "proxy-authorization", "x-auth-token"];
    let added = headers.iter().map(|(name, _)| *name).filter(|name| !known.contains(name));
    match added.into_iter().find(|name| credential_headers.contains(name)) {
        Some(name) => Err(format!("the transport added the header {name}")),
        None => Ok(()),
    }
}

fn ensure_equal<G: PartialEq<W> + fmt::Debug + ?Sized, W: fmt::Debug + ?Sized>(
    what: &str,
    got: &G,
    wanted: &W,
) -> Result<(), String> {
    if got == wanted {
        Ok(())
    } else {
        Err(format!("{what}: {got:.200?} instead of {wanted:.200?}"))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes it by value")]
fn describe_error(error: TransportError) -> String {
    format!("{error}: {error:?}")
}

#[cfg(test)]
mod tests;

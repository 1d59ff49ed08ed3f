//! Tests tries with receivers on loopback that fail in several ways, and with names that resolve to
//! addresses that are not allowed.

mod receiver;

use std::{collections::VecDeque, io, net::SocketAddr, sync::Mutex};

use job_sim::{Plan, Sim, SimServer, TimeSource};
use job_transport::hyper::{Proxy, TlsConfig, TlsProvider};
use receiver::{Behavior, Received, Receiver};

use super::*;

const KEY: &str = "whsec_c2l4dGVlbiBieXRlcyB0d2ljZSBpcyB0aGlydHktdHdv";
const OTHER_KEY: &str = "YW5vdGhlciBrZXkgb2YgdHdlbnR5LWZvdXIgYnl0ZXM=";

/// Returns scripted addresses, the next ones at each lookup, and counts the lookups.
#[derive(Default)]
struct ScriptedResolver {
    answers: Mutex<VecDeque<&'static str>>,
    lookups: Mutex<usize>,
}

impl ScriptedResolver {
    fn new(answers: impl IntoIterator<Item = &'static str>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() })
    }
}

impl Resolve for ScriptedResolver {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        *self.lookups.lock().unwrap() += 1;
        let answer = self.answers.lock().unwrap().pop_front().unwrap();
        let addresses =
            answer.split_whitespace().map(|text| SocketAddr::new(text.parse().unwrap(), port));
        let addresses = match addresses.collect::<Vec<_>>() {
            none if none.is_empty() => Err(io::Error::other(
                "failed to lookup address information: Name or service not known",
            )),
            addresses => Ok(addresses),
        };
        Box::pin(async { addresses })
    }
}

fn transport() -> HyperTransport {
    HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs()).unwrap())
}

fn webhook(transport: HyperTransport, entries: &str) -> Webhook {
    let keys = [KEY, OTHER_KEY].map(|key| WebhookKey::new(key).unwrap());
    Webhook::new(transport, keys).allow(AllowList::new(entries.split(", ")).unwrap()).allow_http()
}

fn notification(job: &str) -> Notification {
    let (project, job) = ("p1".parse().unwrap(), job.parse().unwrap());
    Notification::new(&project, &job, "succeeded", 7, r#"{"v":1,"outcome":"succeeded"}"#)
}

/// Returns what a try results in, without the number of the port.
async fn describe(webhook: &Webhook, to: &str) -> String {
    let result = webhook.deliver(to, &notification("a")).await;
    let Err(error) = result else { return "delivered".into() };
    let message = error.to_string();
    assert!(!message.contains("secret") && !message.contains("token"), "{message}");
    let port = to.split(':').nth(2).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let what = if error.is_permanent() { "failed" } else { "again" };
    format!("{what}: {}", message.replace(&format!(":{port}"), ":PORT"))
}

const OK: Behavior = Behavior::Reply("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
const CLOSING_OK: Behavior =
    Behavior::Reply("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");

#[tokio::test]
async fn receivers_accept_the_signature_of_each_key() {
    let receiver = Receiver::start(OK).await;
    let webhook = webhook(transport(), "http://localhost:*");
    for job in ["354331b2c-229a-11e8-9c75-0255ac100ceb", "a b:c", "jöb"] {
        let notification = notification(job);
        assert_eq!(webhook.deliver(&receiver.url("localhost"), &notification).await, Ok(()));
        let mut received = receiver.received();
        let Received { request_line, headers, body } = received.pop().unwrap();
        assert_eq!(request_line, "POST /hook?token=secret HTTP/1.1");
        assert_eq!(headers["content-type"], "application/json");
        for key in [KEY, OTHER_KEY] {
            let receiver = standardwebhooks::Webhook::new(key).unwrap();
            receiver.verify(&body, &headers).unwrap();
        }
        let stranger = standardwebhooks::Webhook::new("c29tZWJvZHkgZWxzZSdzIGtleSwgc29tZWhvdw==");
        assert!(stranger.unwrap().verify(&body, &headers).is_err());
        let id = headers["webhook-id"].to_str().unwrap();
        let id = percent_encoding::percent_decode_str(id).decode_utf8().unwrap();
        assert_eq!(id, format!("p1:{job}:succeeded:7"));
        assert_eq!(body, notification.body().as_bytes());
    }
}

#[tokio::test]
async fn the_webhook_id_is_the_same_in_each_try() {
    let receiver = Receiver::start(Behavior::Reply("HTTP/1.1 503 X\r\n\r\n")).await;
    let webhook = webhook(transport(), "http://localhost:*");
    for _ in 0..2 {
        let error = webhook.deliver(&receiver.url("localhost"), &notification("a")).await;
        assert!(!error.unwrap_err().is_permanent());
    }
    let received = receiver.received();
    let ids: Vec<_> = received.iter().map(|request| &request.headers["webhook-id"]).collect();
    assert_eq!(ids, ["p1:a:succeeded:7"; 2]);
}

#[tokio::test]
async fn each_failure_of_a_receiver_has_its_result() {
    let other = Receiver::start(OK).await;
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        other.url("127.0.0.1")
    );
    let redirect: &'static str = redirect.leak();
    let chunked = "\r\ntransfer-encoding: chunked\r\n\r\n";
    let endless = |status: &str| Behavior::Endless(format!("HTTP/1.1 {status}{chunked}").leak());
    let rows = [
        (OK, "delivered"),
        (endless("200 OK"), "delivered"),
        (endless("500 X"), "again: 127.0.0.1:PORT/hook answered 500 Internal Server Error"),
        (
            Behavior::Reply("HTTP/1.1 500 secret\r\ncontent-length: 6\r\n\r\nsecret"),
            "again: 127.0.0.1:PORT/hook answered 500 Internal Server Error",
        ),
        (
            Behavior::Reply(redirect),
            "again: 127.0.0.1:PORT/hook answered 302 Found; redirects are not followed, so use the \
             final URL",
        ),
        (
            Behavior::Reply("HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n"),
            "again: 127.0.0.1:PORT/hook answered 404 Not Found",
        ),
        (
            Behavior::Reply("HTTP/1.1 410 X\r\ncontent-length: 0\r\n\r\n"),
            "failed: 127.0.0.1:PORT/hook answered 410 Gone",
        ),
        (Behavior::Close, "again: 127.0.0.1:PORT/hook closed the connection before it answered"),
        (Behavior::Reply("secret"), "again: the answer of 127.0.0.1:PORT/hook is not valid HTTP"),
    ];
    let webhook = webhook(transport(), "http://127.0.0.1:*, https://127.0.0.1:*");
    for (behavior, expected) in rows {
        let receiver = Receiver::start(behavior).await;
        let result = describe(&webhook, &receiver.url("127.0.0.1")).await;
        assert!(result.starts_with(expected), "{result}\n{expected}");
    }
    assert!(other.received().is_empty(), "a redirect is not followed");
    // Nothing listens on this port.
    let result = describe(&webhook, "http://127.0.0.1:1/hook?token=secret").await;
    assert!(result.starts_with("again: cannot connect to 127.0.0.1:PORT/hook: "), "{result}");
    // A receiver without TLS.
    let receiver = Receiver::start(Behavior::Reply("secret")).await;
    let url = receiver.url("127.0.0.1").replace("http:", "https:");
    let result = describe(&webhook, &url).await;
    assert!(result.starts_with("again: cannot establish TLS with 127.0.0.1:PORT/hook"), "{result}");
}

#[tokio::test(start_paused = true)]
async fn a_try_ends_if_the_receiver_does_not_answer() {
    let receiver = Receiver::start(Behavior::Hang).await;
    let webhook = webhook(transport(), "http://127.0.0.1:*");
    let result = describe(&webhook, &receiver.url("127.0.0.1")).await;
    assert_eq!(result, "again: 127.0.0.1:PORT/hook did not answer within 20s");
}

#[tokio::test]
async fn only_trusted_certificates_are_accepted() {
    let start = || async {
        let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
        SimServer::start(sim).await.unwrap()
    };
    let (server, other) = (start().await, start().await);
    let url = format!("{}/hook?token=secret", server.endpoint());
    for (trusted, expected) in
        [(&server, "again: 127.0.0.1:PORT/hook answered"), (&other, "again: cannot trust the")]
    {
        let tls = TlsConfig::ca_pem(TlsProvider::aws_lc_rs(), trusted.ca_pem()).unwrap();
        let webhook = webhook(HyperTransport::new(tls), "https://127.0.0.1:*");
        let result = describe(&webhook, &url).await;
        assert!(result.starts_with(expected), "{result}");
    }
}

#[tokio::test]
async fn names_that_resolve_to_forbidden_addresses_are_not_connected() {
    let receiver = Receiver::start(OK).await;
    let named = "http://hook.test:* 127.0.0.1";
    let error = "again: cannot connect to hook.test:PORT/hook: ";
    // The allow-list, what the name resolves to, and the result.
    let rows = [
        (named, "127.0.0.1", "delivered"),
        (named, "::ffff:127.0.0.1", "delivered"),
        // Only the allowed address is connected.
        (named, "127.0.0.2 169.254.169.254 127.0.0.1", "delivered"),
        (named, "", "its name cannot be resolved: Name or service not known"),
        (named, "127.0.0.2", "the allow-list does not name the loopback address 127.0.0.2"),
        (named, "10.0.0.1", "the allow-list does not name the private address 10.0.0.1"),
        (named, "169.254.169.254", "the address 169.254.169.254 is never allowed (link-local)"),
        (named, "0.0.0.0", "the address 0.0.0.0 is never allowed (unspecified)"),
        ("http://*:*", "127.0.0.1", "the allow-list does not name the loopback address 127.0.0.1"),
        ("http://*:*", "::1", "the allow-list does not name the loopback address ::1"),
        (
            "http://*:*",
            "::ffff:127.0.0.1",
            "the allow-list does not name the loopback address ::ffff:127.0.0.1",
        ),
        (
            "http://*.test:*, http://localhost:*",
            "127.0.0.1",
            "the allow-list does not name the loopback address 127.0.0.1",
        ),
    ];
    for (entries, addresses, expected) in rows {
        let webhook =
            webhook(transport(), entries).with_resolver(ScriptedResolver::new([addresses]));
        let result = describe(&webhook, &receiver.url("hook.test")).await;
        let is_delivered = expected == "delivered";
        let expected = if is_delivered { expected.into() } else { format!("{error}{expected}") };
        assert_eq!(result, expected, "{entries}: {addresses}");
        assert_eq!(receiver.received().drain(..).count(), usize::from(is_delivered));
    }
}

#[tokio::test]
async fn the_connected_address_is_the_one_that_was_checked() {
    // The name has an allowed address first, and a forbidden one at the next lookup.
    let receiver = Receiver::start(CLOSING_OK).await;
    let resolver = ScriptedResolver::new(["127.0.0.1", "127.0.0.2"]);
    let webhook = webhook(transport(), "http://hook.test:* 127.0.0.1");
    let webhook = webhook.with_resolver(resolver.clone());
    let url = receiver.url("hook.test");
    assert_eq!(describe(&webhook, &url).await, "delivered");
    assert_eq!((*resolver.lookups.lock().unwrap(), receiver.received().len()), (1, 1));
    // The receiver has closed its connection, so the second try looks the name up again.
    let result = describe(&webhook, &url).await;
    assert!(result.ends_with("does not name the loopback address 127.0.0.2"), "{result}");
    assert_eq!((*resolver.lookups.lock().unwrap(), receiver.received().len()), (2, 1));
}

#[tokio::test]
async fn a_proxy_is_used_only_if_the_allow_list_names_it() {
    let proxy =
        Receiver::start(Behavior::Reply("HTTP/1.1 403 X\r\ncontent-length: 0\r\n\r\n")).await;
    let address = format!("http://{}", proxy.address);
    let named = format!("https://hook.test, proxy {address}");
    let port = proxy.address.port();
    let rows = [
        (
            "https://hook.test",
            format!("hook.test/hook: the allow-list does not name the proxy 127.0.0.1:{port}"),
            0,
        ),
        // An entry for receivers is not one for a proxy.
        (
            "https://*",
            format!("hook.test/hook: the allow-list does not name the proxy 127.0.0.1:{port}"),
            0,
        ),
        (&*named, "hook.test/hook through the proxy".into(), 1),
    ];
    for (entries, expected, requests) in rows {
        let transport = transport().proxy(Proxy::new(&address, "").unwrap());
        let webhook = webhook(transport, entries);
        let result = webhook.deliver("https://hook.test/hook?secret", &notification("a")).await;
        let error = result.unwrap_err();
        assert!(!error.is_permanent() && !error.to_string().contains("secret"), "{error}");
        assert!(error.to_string().contains(&expected), "{error}");
        let mut received = proxy.received();
        assert!(
            received
                .iter()
                .all(|request| request.request_line.starts_with("CONNECT hook.test:443"))
        );
        assert_eq!(received.drain(..).count(), requests, "{entries}");
    }
}

#[test]
fn receivers_are_checked_before_a_wait_starts() {
    let list = || AllowList::new(["https://example.com", "http://example.com", "http://localhost"]);
    let key = || WebhookKey::new(KEY);
    let webhook = |http: bool| {
        let webhook = Webhook::new(transport(), key()).allow(list().unwrap());
        if http { webhook.allow_http() } else { webhook }
    };
    let not_https = "example.com/hook is not https; plain http is for localhost only";
    let not_allowed = "example.org is not in this service's allow-list of receivers";
    let rows = [
        ("https://example.com/hook?a=b", None, None),
        ("http://localhost/hook", None, None),
        ("http://example.com/hook", Some(not_https), None),
        ("https://example.org/", Some(not_allowed), Some(not_allowed)),
    ];
    for (to, secure, http) in rows {
        for (webhook, expected) in [(webhook(false), secure), (webhook(true), http)] {
            let error = webhook.check(to).err();
            assert!(error.as_ref().is_none_or(NotifierError::is_permanent));
            assert_eq!(error.map(|error| error.to_string()).as_deref(), expected, "{to}");
        }
    }
    let without_list = Webhook::new(transport(), key());
    let error = without_list.check("https://example.com").unwrap_err().to_string();
    assert!(error.contains("allow-list of receivers is empty"), "{error}");
    let without_key = Webhook::new(transport(), []).allow(list().unwrap());
    let error = without_key.check("https://example.com").unwrap_err().to_string();
    assert!(error.contains("has no webhook key"), "{error}");
}

#[test]
fn debug_output_hides_keys() {
    let text = format!("{:?}", webhook(transport(), "https://example.com"));
    assert!(text.contains("keys: 2") && text.contains("example.com"), "{text}");
    // The bytes of the keys, in any form.
    for part in ["c2l4", "sixteen", "YW5v", "another", "Hmac"] {
        assert!(!text.contains(part), "{text}");
    }
}

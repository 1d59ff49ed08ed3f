//! Tests signatures with a receiver's library, and the result of each response.

use std::sync::Mutex;

use http::{HeaderMap, Response, StatusCode};
use job_transport::transport::{RequestSent, TransportError, TransportErrorKind};

use super::*;

const KEY: &str = "whsec_c2l4dGVlbiBieXRlcyB0d2ljZSBpcyB0aGlydHktdHdv";
const OTHER_KEY: &str = "YW5vdGhlciBrZXkgb2YgdHdlbnR5LWZvdXIgYnl0ZXM=";

/// Answers with a status, or with a connection error if there is none, and records the requests.
struct StubTransport(Option<u16>, Arc<Mutex<Vec<Request<Bytes>>>>);

impl Transport for StubTransport {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        self.1.lock().unwrap().push(request);
        let answer = match self.0 {
            None => Err(TransportError::new(TransportErrorKind::Connect, RequestSent::No)),
            Some(status) => {
                let mut response = Response::new(Bytes::new());
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                Ok(response)
            }
        };
        Box::pin(async { answer })
    }
}

fn notification(job: &str) -> Notification {
    let key = format!("p1:{job}").parse().unwrap();
    Notification {
        key,
        outcome: "succeeded".into(),
        body: r#"{"v":1,"outcome":"succeeded"}"#.into(),
    }
}

async fn deliver(
    status: Option<u16>,
    notification: &Notification,
) -> (Result<(), NotifierError>, Vec<Request<Bytes>>) {
    let sent = Arc::default();
    let keys = [KEY, OTHER_KEY].map(|key| WebhookKey::new(key).unwrap());
    let webhook = Webhook::new(StubTransport(status, Arc::clone(&sent)), keys);
    let result = webhook.deliver("https://example.com/hook?token=x", notification).await;
    let sent = std::mem::take(&mut *sent.lock().unwrap());
    (result, sent)
}

#[tokio::test]
async fn receivers_accept_the_signature_of_each_key() {
    for job in ["354331b2c-229a-11e8-9c75-0255ac100ceb", "a b:c", "jöb"] {
        let notification = notification(job);
        let (result, sent) = deliver(Some(204), &notification).await;
        assert_eq!(result, Ok(()));
        let [request] = &sent[..] else { panic!("{sent:?}") };
        for key in [KEY, OTHER_KEY] {
            let receiver = standardwebhooks::Webhook::new(key).unwrap();
            receiver.verify(request.body(), request.headers()).unwrap();
        }
        let stranger = standardwebhooks::Webhook::new("c29tZWJvZHkgZWxzZSdzIGtleSwgc29tZWhvdw==");
        assert!(stranger.unwrap().verify(request.body(), request.headers()).is_err());
        let id = request.headers()["webhook-id"].to_str().unwrap();
        let id = percent_encoding::percent_decode_str(id).decode_utf8().unwrap();
        assert_eq!(id, format!("p1:{job}:succeeded"));
        assert_eq!(request.body(), notification.body.as_bytes());
    }
}

#[tokio::test]
async fn the_webhook_id_is_stable_across_deliveries() {
    let ids = |headers: &HeaderMap| headers["webhook-id"].clone();
    let (_, first) = deliver(Some(503), &notification("a")).await;
    let (_, second) = deliver(Some(204), &notification("a")).await;
    assert_eq!(ids(first[0].headers()), ids(second[0].headers()));
}

#[tokio::test]
async fn receiver_statuses_decide_whether_to_retry() {
    let mut text = String::new();
    for status in [
        Some(200),
        Some(204),
        Some(299),
        Some(302),
        Some(401),
        Some(404),
        Some(410),
        Some(500),
        Some(503),
        None,
    ] {
        let (result, _) = deliver(status, &notification("a")).await;
        text += &match result {
            Ok(()) => format!("{status:?}: delivered\n"),
            Err(error) if error.is_permanent() => format!("{status:?}: never, {error}\n"),
            Err(error) => format!("{status:?}: again, {error}\n"),
        };
        assert!(!text.contains("token"), "the query of a URL may be a secret");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn webhook_urls_are_validated() {
    let keys = || WebhookKey::new(KEY);
    let webhook = |http: bool| {
        let webhook = Webhook::new(StubTransport(None, Arc::default()), keys());
        if http { webhook.allow_http() } else { webhook }
    };
    let rows = [
        ("https://example.com/hook?a=b", None, None),
        ("http://localhost:1234/hook", None, None),
        ("http://[::1]/hook", None, None),
        ("http://example.com/hook", Some("not https"), None),
        ("ftp://example.com/hook", Some("not https"), Some("not https")),
        (
            "https://user:pass@example.com/",
            Some("a user name or password"),
            Some("a user name or password"),
        ),
        ("/hook", Some("not a URL"), Some("not a URL")),
        ("", Some("not a URL"), Some("not a URL")),
    ];
    for (to, secure, http) in rows {
        for (webhook, expected) in [(webhook(false), secure), (webhook(true), http)] {
            let message = webhook.check(to).err().map(|error| error.to_string());
            let fits = match expected {
                None => message.is_none(),
                Some(expected) => {
                    message.as_ref().is_some_and(|message| message.contains(expected))
                }
            };
            assert!(fits, "{to}: {message:?}");
        }
    }
    let nobody = Webhook::new(StubTransport(None, Arc::default()), []);
    assert!(
        nobody.check("https://example.com").unwrap_err().to_string().contains("no webhook key")
    );
}

#[test]
fn webhook_keys_are_validated() {
    let rows = [
        (KEY, None),
        (OTHER_KEY, None),
        ("whsec_c2hvcnQ=", Some("a webhook key of 5 bytes is too short: use at least 24")),
        ("whsec_!", Some("not a webhook key: expected base64")),
        ("", Some("a webhook key of 0 bytes")),
    ];
    for (text, expected) in rows {
        let message = WebhookKey::new(text).err().map(|error| error.to_string());
        let fits = match expected {
            None => message.is_none(),
            Some(expected) => message.as_ref().is_some_and(|message| message.starts_with(expected)),
        };
        assert!(fits, "{text}: {message:?}");
    }
    assert_eq!(format!("{:?}", WebhookKey::new(KEY).unwrap()), "WebhookKey { .. }");
}

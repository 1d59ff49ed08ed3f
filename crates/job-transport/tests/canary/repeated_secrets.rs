//! Tests that a secret which a reply repeats is hidden, in the forms that a person can recognize.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Response, StatusCode};
use job_model::is_unprintable;
use job_transport::{
    Client, Credentials,
    auth::{AccessKey, Identity, PasswordLogin},
    transport::{Transport, TransportError, display_chain},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Answers every request with the same reply.
struct FixedReply(Response<Bytes>);

impl Transport for FixedReply {
    fn send(
        &self,
        _: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let (head, body) = (self.0.clone().into_parts().0, self.0.body().clone());
        Box::pin(async { Ok(Response::from_parts(head, body)) })
    }
}

/// Returns forms of a secret that a program or a person would take for it, each with a part that
/// only the secret has.
fn repeated_forms(secret: &str) -> Vec<(String, &'static str)> {
    let each = |shown: &dyn Fn(u32) -> String| secret.chars().map(|c| shown(c.into())).collect();
    let in_parts = |between: &str| secret.replace("canary", &format!("cana{between}ry"));
    vec![
        (secret.into(), "cana"),
        (in_parts("\u{200b}"), "cana"),
        (in_parts("\u{202e}\u{ad}"), "cana"),
        (in_parts("\\u200b"), "cana"),
        (in_parts("\\n"), "cana"),
        (in_parts(" \t "), "cana"),
        (in_parts("%E2%80%8B"), "cana"),
        (in_parts("<b>"), "cana"),
        (in_parts("<!-- > -->"), "cana"),
        (secret.replace('/', "\\/").replace('&', "\\u0026"), "cana"),
        (each(&|c| format!("\\u{c:04x}")), "\\u0063\\u0061"),
        (each(&|c| format!("%{c:02x}")), "%63%61"),
        (utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(), "cana"),
        (each(&|c| format!("\\u0025{c:02X}")), "\\u002563"),
        (each(&|c| format!("&#{c};")), "&#99;&#97;"),
        (each(&|c| format!("&#x{c:x};")), "&#x63;&#x61;"),
        (each(&|c| format!("\\u0026#{c};")), "\\u0026#99;"),
    ]
}

fn reply_is_list(reply: &Response<Bytes>) -> bool {
    reply.body().starts_with(b"[")
}

/// Reads a job, and returns the text that a program can show of it.
async fn show_job(client: &Client) -> String {
    match client.job(&"job-1".parse().unwrap()).await {
        Ok(reading) => {
            let text = reading.snapshot.text();
            let text = String::from_utf8_lossy(&text);
            format!("{reading:?} {:?} {text}", reading.job())
        }
        Err(error) => format!("{} {error:?}", display_chain(&error)),
    }
}

/// Reads the list of jobs, and returns the text that a program can show of it.
async fn show_list(client: &Client) -> String {
    match client.jobs().await {
        Ok(reading) => {
            let rows: String = reading.list.rows().map(|row| row.as_str()).collect();
            format!("{reading:?} {:?} {rows}", reading.list.deviations())
        }
        Err(error) => format!("{} {error:?}", display_chain(&error)),
    }
}

/// Returns a reply of each kind that repeats a text, with its name.
fn replies_with(text: &str) -> Vec<(&'static str, Response<Bytes>)> {
    let reply = |status: u16, body: String| {
        Response::builder().status(status).body(Bytes::from(body)).unwrap()
    };
    let page = |status: u16, body: String| {
        let mut page = reply(status, body);
        page.headers_mut().insert("content-type", "text/html".parse().unwrap());
        page
    };
    // Long bodies take long in a test, so only a form is used that is not found without decoding.
    let padding = " ".repeat(if text.starts_with("\\u0063") { 2 << 20 } else { 0 });
    let job = |reason: &str| {
        format!(r#"{{"kind": "Job", "status": {{"phase": "Failed", "reason": "{reason}"}}}}"#)
    };
    let error = |text: &str| format!(r#"{{"error_code": "APIGW.0301", "error_msg": "{text}"}}"#);
    let mut replies = vec![
        ("a refusal", reply(401, error(&format!("a {text} b")))),
        ("a bare message", reply(400, format!("a {text} b"))),
        ("a code", reply(400, format!(r#"{{"code": "{text}", "message": "m"}}"#))),
        ("an id in a body", reply(500, format!(r#"{{"message": "m", "request_id": "{text}"}}"#))),
        (
            "a nested error",
            reply(403, format!(r#"{{"a": [{{"error": {{"detail": "{text}"}}}}]}}"#)),
        ),
        ("a page", page(502, format!("<html><body>a {text} b</body></html>"))),
        ("a title", page(502, format!("<title>a {text} b</title>"))),
        ("a page in JSON", reply(500, error(&format!("<p>{text}</p>")))),
        ("a long error", reply(400, error(text) + &padding)),
        ("another success", reply(202, error(text))),
        ("a page with 200", page(200, format!("<title>a {text} b</title>"))),
        ("an error with 200", reply(200, error(text))),
        ("another kind", reply(200, format!(r#"{{"kind": "{text}"}}"#))),
        ("a reason", reply(200, job(text))),
        ("a row", reply(200, format!("[{}]", job(text)))),
        ("a broken row", reply(200, format!(r#"[{{"{text}": 1}}, "{text}", {}]"#, job("r")))),
        (
            "a sub-job",
            reply(
                200,
                format!(
                    r#"{{"kind": "Job", "spec": {{"subJobs": [{}]}}, "status": {{"phase": "Running"}}}}"#,
                    job(text)
                ),
            ),
        ),
        (
            "an unknown field",
            reply(
                200,
                job("r").replacen("kind", text, 1).replace("Job\"", "Job\", \"kind\": \"Job\""),
            ),
        ),
    ];
    // Another request id is not read.
    if text.is_ascii()
        && let Ok(id) = text.parse()
    {
        let mut with_id = reply(404, error("m"));
        with_id.headers_mut().insert("x-request-id", id);
        replies.push(("a request id", with_id));
    }
    replies
}

#[tokio::test]
async fn repeated_secrets_are_hidden_in_every_text() {
    let secret = "canary-repeated/+=&1";
    let endpoint = || "https://cce.example".parse().unwrap();
    for (form, part) in repeated_forms(secret) {
        assert!(form.contains(part), "{form}");
        for (place, reply) in replies_with(&form) {
            let transport = Arc::new(FixedReply(reply));
            // A new key each time, because a refusal blocks it.
            static KEYS: AtomicU32 = AtomicU32::new(0);
            let number = KEYS.fetch_add(1, Ordering::Relaxed);
            let key = AccessKey::new(format!("KEY{number}"), "secret-key").unwrap();
            let key = key.with_security_token(secret).unwrap();
            let login = PasswordLogin::new("user", secret, "domain");
            let identity = Identity::new(endpoint(), login, transport.clone());
            let ways = [
                ("token", Credentials::token(secret).unwrap()),
                ("key", Credentials::access_key(key)),
                ("password", Credentials::from_provider(identity)),
            ];
            for (way, credentials) in ways {
                let client = Client::new(endpoint(), credentials, transport.clone());
                let client = client.project("p".parse().unwrap());
                let shown = if reply_is_list(&transport.0) {
                    show_list(&client).await
                } else {
                    show_job(&client).await
                };
                let context = format!("{place}, {way}, {form}: {shown}");
                let seen: String =
                    shown.chars().filter(|c| !c.is_whitespace() && !is_unprintable(*c)).collect();
                assert!(!seen.contains(part), "{context}");
                // The reply to a login with status 200 is not shown.
                let is_shown = way != "password" || transport.0.status() != StatusCode::OK;
                assert!(!is_shown || seen.contains("(hidden)"), "{context}");
            }
        }
    }
}

//! Tests that no output contains a secret in any encoding: `Debug`, errors and their causes,
//! panics, and the logs of this crate and its dependencies at the most verbose level.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    error::Error,
    fmt::{Debug, Write as _},
    io,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine};
use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Response, StatusCode};
use job_model::{is_unprintable, object::ObjectId};
use job_sim::{Fault, ListFault, ObjectPlan, Plan, Sim, SimServer, TimeSource};
use job_transport::{
    Client, Credentials,
    auth::{
        AccessKey, AssumeAgency, Identity, MetadataService, OidcAssume, OidcLogin, PasswordLogin,
        PodIdentity, ProvideCredentials, TokenSource,
    },
    hyper::{HyperTransport, Proxy, TlsConfig, TlsProvider},
    transport::{Transport, TransportError, display_chain},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tracing_subscriber::fmt::MakeWriter;

/// Collects all output.
#[derive(Clone, Default)]
struct CapturedOutput(Arc<Mutex<Vec<u8>>>);

impl CapturedOutput {
    fn debug(&self, what: &dyn Debug) {
        let mut text = String::new();
        write!(text, "{what:?}\n{what:#?}\n").unwrap();
        self.0.lock().unwrap().extend(text.into_bytes());
    }

    fn error(&self, error: &(dyn Error + 'static)) {
        self.debug(&error);
        for cause in std::iter::successors(Some(error), |&cause| cause.source()) {
            self.debug(&cause.to_string());
        }
        // A panic message of `unwrap` contains the error.
        let unwrapped: Result<(), _> =
            panic::catch_unwind(AssertUnwindSafe(|| panic!("called `unwrap` on {error:?}")));
        assert!(unwrapped.is_err());
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for CapturedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for CapturedOutput {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// Returns the encodings of a secret. Base64 has three, depending on the secret's offset in the
/// text.
fn encodings(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![
        secret.to_owned(),
        secret.escape_debug().to_string(),
        hex.to_uppercase(),
        hex,
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string().replace("%2D", "-"),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string().replace("%2F", "%2f"),
    ];
    for engine in [BASE64_STANDARD, BASE64_URL_SAFE] {
        for shift in 0..3 {
            let encoded = engine.encode([&b"\0\0"[..shift], secret.as_bytes()].concat());
            // Leave out the characters that also depend on the bytes before and after it.
            let inner = &encoded[[0, 2, 3][shift]..];
            forms.push(inner[..inner.trim_end_matches('=').len() - 2].to_owned());
        }
    }
    // The bytes as numbers, as `Debug` prints them.
    forms.push(secret.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", "));
    forms
}

#[test]
fn secret_search_finds_every_encoding() {
    let secret = "simulated-token/+=";
    let shown = [
        format!("x{secret}y"),
        format!("{:?}", format!("user:{secret}")),
        format!("{:?}", secret.as_bytes()),
        "73696d756c617465642d746f6b656e2f2b3d".into(),
        "simulated%2Dtoken%2F%2B%3D".into(),
        "simulated-token%2F%2B%3D".into(),
        BASE64_STANDARD.encode(format!("user:{secret}")),
        BASE64_STANDARD.encode(format!("users:{secret}:x")),
        BASE64_URL_SAFE.encode(format!("{secret}-1")),
    ];
    for text in shown {
        assert!(encodings(secret).iter().any(|form| text.contains(form)), "{text}");
    }
}

fn provider() -> TlsProvider {
    #[cfg(feature = "aws-lc-rs")]
    let provider = TlsProvider::aws_lc_rs();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = TlsProvider::ring();
    provider
}

#[tokio::test]
async fn no_output_contains_a_secret() {
    let shown = CapturedOutput::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(shown.clone())
        .init();
    let hook = shown.clone();
    panic::set_hook(Box::new(move |panic| hook.debug(&panic.to_string())));

    let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
    let server = SimServer::start(sim.clone()).await.unwrap();
    let transport = HyperTransport::new(TlsConfig::ca_pem(provider(), server.ca_pem()).unwrap());
    let endpoint = || server.endpoint().parse().unwrap();
    let identity = |login| Identity::new(endpoint(), login, transport.clone());

    let key = |secret_key: &str| {
        let key = AccessKey::new(sim.access_key().access_key(), secret_key).unwrap();
        key.with_security_token("canary-security/+=").unwrap()
    };
    let wrong =
        || PasswordLogin::new("simulated-user", "canary-password \"/+%", "simulated-domain");
    sim.add_cluster("c", ObjectPlan::ready());
    sim.add_node("c", "n", ObjectPlan::ready());
    let cluster = ObjectId::Cluster("c".parse().unwrap());
    let node = ObjectId::Node { cluster: "c".parse().unwrap(), node: "n".parse().unwrap() };
    let right = sim.access_key().with_security_token("canary-security/+=").unwrap();
    let ways = [
        ("a right token", sim.credentials(), "simulated-token/+=", true),
        ("a wrong token", Credentials::token("canary-token/+=").unwrap(), "canary-token/+=", false),
        ("a right key", Credentials::access_key(right.clone()), "canary-security/+=", true),
        ("a wrong key", Credentials::access_key(key("canary-secret/+=")), "", false),
        ("the wrong key again", Credentials::access_key(key("canary-secret/+=")), "", false),
        (
            "a right login",
            Credentials::from_provider(identity(sim.login())),
            "simulated-token/+=-1",
            true,
        ),
        ("a wrong login", Credentials::from_provider(identity(wrong())), "", false),
    ];
    for (name, credentials, own, succeeds) in ways {
        let client = Client::new(endpoint(), credentials, transport.clone());
        let client = client.project(sim.project().clone());
        shown.debug(&client);
        let outcome = client.job(sim.job()).await;
        assert_eq!(outcome.is_ok(), succeeds, "{name}");
        outcome.map_or_else(|error| shown.error(&error), |reading| shown.debug(&reading));
        let outcome = client.jobs().await;
        assert_eq!(outcome.is_ok(), succeeds, "{name}");
        outcome.map_or_else(|error| shown.error(&error), |reading| shown.debug(&reading));
        for id in [&cluster, &node] {
            let outcome = client.object(id).await;
            assert_eq!(outcome.is_ok(), succeeds, "{name}");
            outcome.map_or_else(|error| shown.error(&error), |reading| shown.debug(&reading));
        }
        // A service that repeats the request in an error body, unless no request is sent any more.
        let mut repeated = Response::new(Bytes::from(format!("you sent {own}")));
        *repeated.status_mut() = StatusCode::BAD_REQUEST;
        if !own.is_empty() {
            sim.inject_fault(Fault::Reply(repeated.clone()));
            sim.set_list_faults([ListFault::Reply(Fault::Reply(repeated.clone()))]);
            sim.inject_object_fault(Fault::Reply(repeated));
            shown.error(&client.object(&node).await.unwrap_err());
        }
        shown.error(&client.job(sim.job()).await.unwrap_err());
        shown.error(&client.jobs().await.unwrap_err());
        sim.set_list_faults([]);
    }
    // A node whose `spec`, `metadata` and `status` contain user data.
    let client = Client::new(endpoint(), sim.credentials(), transport.clone());
    let client = client.project(sim.project().clone());
    let body = r#"{"kind": "Node", "metadata": {"annotations": {"a": "canary-user-data/+="}},
        "spec": {"login": {"userPassword": {"password": "canary-user-data/+="}}},
        "status": {"phase": "Active", "x": "canary-user-data/+="}}"#;
    sim.inject_object_fault(Fault::Reply(Response::new(body.into())));
    let reading = client.object(&node).await.unwrap();
    assert!(serde_json::to_string(&reading.object).unwrap().contains("canary-user-data/+="));
    shown.debug(&reading);
    sim.inject_object_fault(Fault::Reply(Response::new(body.into())));
    shown.error(&client.object(&cluster).await.unwrap_err());
    // A login whose password is repeated in the reply, raw and in its JSON form.
    let mut repeated = Response::new(Bytes::from(format!(
        "canary-password \"/+% and {:?}",
        "canary-password \"/+%"
    )));
    *repeated.status_mut() = StatusCode::BAD_REQUEST;
    sim.inject_fault(Fault::Reply(repeated));
    let client =
        Client::new(endpoint(), Credentials::from_provider(identity(wrong())), transport.clone());
    shown.error(&client.job(sim.job()).await.unwrap_err());

    show_providers(&shown, &sim, &server, &transport).await;

    // A proxy that receives credentials and refuses to open a tunnel.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut told = vec![0; 4096];
        let read = stream.read(&mut told).await.unwrap();
        stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&told[..read]).into_owned()
    });
    let proxy = Proxy::new(&format!("http://user:canary-proxy%2F+=@127.0.0.1:{port}"), "").unwrap();
    for what in [&wrong() as &dyn Debug, &sim.login(), &right, &identity(wrong()), &proxy] {
        shown.debug(what);
    }
    let transport = transport.proxy(proxy);
    shown.debug(&transport);
    let request = http::Request::get("https://cce.example").body(Bytes::new()).unwrap();
    shown.error(&transport.send(request).await.unwrap_err());
    assert!(told.await.unwrap().to_lowercase().contains("proxy-authorization"));

    let _ = panic::take_hook();

    let number = sim.access_key().access_key().trim_start_matches("SIMULATEDKEY").to_owned();
    let text = shown.text();
    for part in ["h2::", "hyper_util::", "rustls", "job_transport", "panicked", "(hidden)"] {
        assert!(text.contains(part), "nothing was shown by {part}");
    }
    for secret in [
        "canary-user-data/+=",
        "simulated-token/+=",
        "simulated-password \"/+%\\",
        &format!("simulated-secret/+=-{number}"),
        "canary-token/+=",
        "canary-secret/+=",
        "canary-security/+=",
        "canary-password \"/+%",
        "canary-proxy/+=",
        "canary-proxy%2F+=",
        "simulated-id-token/+=",
        "canary-id-token/+=",
        "simulated-pod-token/+=",
        "simulated-security-token/+=",
        "simulated-session-1",
    ] {
        for form in encodings(secret) {
            let place = text.find(&form).map(|at| {
                let (start, end) =
                    (at.saturating_sub(300), (at + form.len() + 100).min(text.len()));
                text.get(start..end).unwrap_or_default().to_owned()
            });
            assert_eq!(place, None, "{form}");
        }
    }
}

/// Requests temporary credentials in every way: first successfully, then from a service that
/// refuses the request and repeats it.
async fn show_providers(
    shown: &CapturedOutput,
    sim: &Arc<Sim>,
    server: &SimServer,
    transport: &HyperTransport,
) {
    let plain = SimServer::start_plain(sim.clone(), ([127, 0, 0, 1], 0).into()).await.unwrap();
    let account = sim.account();
    let file = std::env::temp_dir().join(format!("job-transport-{}-canary", std::process::id()));
    std::fs::write(&file, &account.pod_token).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let endpoint = || server.endpoint().parse().unwrap();
    let id_token = |token: &str| TokenSource::text(token).unwrap();
    let (idp, agency) = (&account.identity_provider, &account.agency);
    let login = |token| OidcLogin::new(endpoint(), idp, id_token(token), transport.clone());
    let assume = |token| {
        let (provider, agency) = (&account.provider_urn, &account.agency_urn);
        OidcAssume::new(endpoint(), provider, agency, id_token(token), transport.clone())
    };
    let agency = |source| {
        AssumeAgency::new(endpoint(), source, &account.agency_domain, agency, transport.clone())
    };
    let pod_uri = format!("{}/v1/credentials", plain.endpoint());
    let metadata = MetadataService::with_url(&plain.endpoint(), transport.clone()).unwrap();
    let pod = PodIdentity::new(&pod_uri, transport.clone()).unwrap().token_file(&file);
    let own_token = Credentials::token(&account.token).unwrap();
    let (right, wrong) = (&*account.id_token, "canary-id-token/+=");
    let wrong_token = Credentials::token("canary-token/+=").unwrap();
    let rows: [(Box<dyn ShownProvider>, &str, bool); 9] = [
        (Box::new(metadata), "", true),
        (Box::new(pod), &account.pod_token, true),
        (Box::new(login(right)), right, true),
        (Box::new(login(wrong)), wrong, false),
        (Box::new(assume(right)), right, true),
        (Box::new(assume(wrong)), wrong, false),
        (Box::new(agency(own_token)), &account.token, true),
        (Box::new(agency(Credentials::access_key(sim.access_key()))), "", true),
        (Box::new(agency(wrong_token)), "canary-token/+=", false),
    ];
    for (provider, own, succeeds) in rows {
        shown.debug(&provider);
        let provided = provider.provide().await;
        assert_eq!(provided.is_ok(), succeeds, "{provider:?}");
        provided.map_or_else(|error| shown.error(&error), |provided| shown.debug(&provided));
        // A service that repeats the request, with a success and with an error.
        sim.inject_fault(Fault::Echo);
        shown.error(&provider.provide().await.unwrap_err());
        let mut repeated = Response::new(Bytes::from(format!("you sent {own}")));
        *repeated.status_mut() = StatusCode::BAD_REQUEST;
        sim.inject_fault(Fault::Reply(repeated));
        shown.error(&provider.provide().await.unwrap_err());
    }
    std::fs::remove_file(&file).unwrap();
}

/// A provider that can be printed.
trait ShownProvider: ProvideCredentials + Debug {}

impl<P: ProvideCredentials + Debug> ShownProvider for P {}

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

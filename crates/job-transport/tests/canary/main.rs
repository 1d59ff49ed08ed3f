//! Tests that no output contains a secret in any encoding: `Debug`, errors and their causes,
//! panics, and the logs of this crate and its dependencies at the most verbose level.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod repeated_secrets;

use std::{
    error::Error,
    fmt::{Debug, Write as _},
    io,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex},
};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine};
use bytes::Bytes;
use http::{Response, StatusCode};
use job_model::object::ObjectId;
use job_sim::{Fault, ListFault, ObjectPlan, Plan, Sim, SimServer, TimeSource};
use job_transport::{
    Client, Credentials,
    auth::{
        AccessKey, AssumeAgency, Identity, MetadataService, OidcAssume, OidcLogin, PasswordLogin,
        PodIdentity, ProvideCredentials, TokenSource,
    },
    hyper::{HyperTransport, Proxy, TlsConfig, TlsProvider},
    transport::Transport,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

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
    let writer = shown.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
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
    let proxy_request = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = vec![0; 4096];
        let read = stream.read(&mut bytes).await.unwrap();
        stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    });
    let proxy = Proxy::new(&format!("http://user:canary-proxy%2F+=@127.0.0.1:{port}"), "").unwrap();
    for what in [&wrong() as &dyn Debug, &sim.login(), &right, &identity(wrong()), &proxy] {
        shown.debug(what);
    }
    let transport = transport.proxy(proxy);
    shown.debug(&transport);
    let request = http::Request::get("https://cce.example").body(Bytes::new()).unwrap();
    shown.error(&transport.send(request).await.unwrap_err());
    assert!(proxy_request.await.unwrap().to_lowercase().contains("proxy-authorization"));

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

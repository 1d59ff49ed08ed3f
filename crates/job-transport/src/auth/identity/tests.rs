//! Tests login requests, and the replies of the identity service.

use std::sync::{Arc, Mutex};

use http::{Request, Response};

use super::*;
use crate::auth::credential::Credential;

/// Answers each login with the same reply, and keeps the last request.
#[derive(Clone, Default)]
struct FixedReply(Arc<Mutex<Option<Request<Bytes>>>>, Response<Bytes>);

impl Transport for FixedReply {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        *self.0.lock().unwrap() = Some(request);
        let reply = self.1.clone();
        Box::pin(async { Ok(reply) })
    }
}

fn login() -> PasswordLogin {
    PasswordLogin::new("user", "p\"w", "OTC-1")
}

fn reply(status: u16, headers: &[(&str, &str)], body: &'static str) -> Response<Bytes> {
    let reply = headers
        .iter()
        .fold(Response::builder().status(status), |reply, header| reply.header(header.0, header.1));
    reply.body(Bytes::from_static(body.as_bytes())).unwrap()
}

async fn provide_from(
    reply: Response<Bytes>,
) -> Result<ProvidedCredential, CredentialsProviderError> {
    let endpoint = "https://iam.example/v3".parse().unwrap();
    Identity::new(endpoint, login(), FixedReply(Arc::default(), reply)).provide().await
}

#[tokio::test]
async fn login_request_matches_the_identity_api() {
    let project = |name: &str| login().project_id(name.parse().unwrap());
    let logins = [
        login(),
        login().project_name("eu-de"),
        project("4b8c"),
        login().project_name_in_domain("eu-de", "OTC-2"),
        login().project_name_in_domain_id("eu-de", "d2"),
        login().domain_name("OTC-1"),
        login().domain_id("d1"),
        PasswordLogin::with_domain_id("user", "p\"w", "d1").project_name("eu-de"),
        PasswordLogin::with_user_id("u1", "p\"w").project_name("eu-de").passcode("123456"),
        login().passcode("123456"),
    ];
    let mut shown = String::new();
    for login in logins {
        let transport = FixedReply::default();
        let endpoint = "https://iam.example".parse().unwrap();
        let identity = Identity::new(endpoint, login, transport.clone());
        assert!(identity.provide().await.is_err());
        let request = transport.0.lock().unwrap().take().unwrap();
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        shown += &format!("{} {} {:?}\n", request.method(), request.uri(), request.headers());
        shown += &format!("{body:#}\n{identity:?}\n\n");
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn login_reply_yields_token_lifetime_and_project() {
    let body =
        r#"{"token": {"expires_at": "2019-02-13T06:52:13.855000Z", "project": {"id": "4b8c"}}}"#;
    let token = ("X-Subject-Token", "MIIF");
    let date = |date| ("Date", date);
    let rows = [
        (body, vec![token, date("Wed, 13 Feb 2019 06:51:13 GMT")], Some(60_855), Some("4b8c")),
        (body, vec![token, date("Thu, 14 Feb 2019 06:51:13 GMT")], Some(0), Some("4b8c")),
        (body, vec![token], None, Some("4b8c")),
        (r#"{"token": {"expires_at": 5, "project": {"id": "a/b"}}}"#, vec![token], None, None),
        (
            r#"{"token": {"expires_at": {}, "project": {"id": "4b8c", "domain": [7]}, "x": []}}"#,
            vec![token, date("Wed, 13 Feb 2019 06:51:13 GMT")],
            None,
            Some("4b8c"),
        ),
        (
            r#"{"token": {"expires_at": "2019-02-13T06:52:13Z", "project": 7}}"#,
            vec![token, date("Wed, 13 Feb 2019 06:51:13 GMT")],
            Some(60_000),
            None,
        ),
        (r#"{"token": [], "project": {"id": "4b8c"}}"#, vec![token], None, None),
        ("", vec![token], None, None),
        ("<html>", vec![token], None, None),
    ];
    for (body, headers, lifetime, project) in rows {
        let provided = provide_from(reply(201, &headers, body)).await.unwrap();
        assert!(
            matches!(&provided.credential, Credential::Token(token) if token.expose_secret() == "MIIF")
        );
        assert_eq!(provided.lifetime, lifetime.map(Duration::from_millis), "{body} {headers:?}");
        assert_eq!(provided.project.as_ref().map(ProjectId::as_str), project, "{body}");
    }
}

#[tokio::test]
async fn replies_without_a_token_are_classified_errors() {
    let wrong =
        r#"{"error": {"code": 401, "message": "wrong: p\"w for user", "title": "Unauthorized"}}"#;
    let rows = [
        reply(401, &[("X-Request-Id", "r-1")], wrong),
        reply(200, &[("X-Subject-Token", "MIIF")], "{}"),
        reply(201, &[], "{}"),
        reply(201, &[("X-Subject-Token", "two words")], "{}"),
        reply(302, &[("Location", "https://login.example")], ""),
        reply(404, &[], r#"{"error_code": "APIGW.0101", "error_msg": "no such API"}"#),
        reply(429, &[], ""),
        reply(503, &[], "<title>503</title>"),
    ];
    let mut lines = String::new();
    for row in rows {
        let status = row.status();
        let error = provide_from(row).await.unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        lines +=
            &format!("{status}\n    {:?}: {error}; {}\n", error.class(), cause.unwrap_or_default());
        assert!(!format!("{error:?}{lines}").contains("p\"w"));
    }
    insta::assert_snapshot!(lines);
}

#[tokio::test]
async fn a_passcode_is_sent_once() {
    let login = || login().passcode("123456");
    let endpoint = || "https://iam.example".parse().unwrap();
    // A reply without a decision leaves the passcode valid.
    let rows = [(201, true), (401, true), (500, true), (429, false), (503, false)];
    for (status, is_used) in rows {
        let headers = [("X-Subject-Token", "MIIF")];
        let transport = FixedReply(Arc::default(), reply(status, &headers, "{}"));
        let identity = Identity::new(endpoint(), login(), transport.clone());
        assert_eq!(identity.provide().await.is_ok(), status == 201, "{status}");
        let _ = transport.0.lock().unwrap().take();
        let second = identity.provide().await;
        assert_eq!(transport.0.lock().unwrap().is_none(), is_used, "{status}");
        if is_used {
            let error = second.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Unauthorized);
            assert!(error.to_string().contains("passcode"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_passcode_is_not_sent_again_after_a_dropped_login() {
    /// Never answers.
    #[derive(Clone, Default)]
    struct Silent(Arc<std::sync::atomic::AtomicU32>);

    impl Transport for Silent {
        fn send(
            &self,
            _: Request<Bytes>,
        ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::pending())
        }
    }

    let transport = Silent::default();
    let identity = Identity::new(
        "https://iam.example".parse().unwrap(),
        login().passcode("123456"),
        transport.clone(),
    );
    assert!(futures_util::poll!(identity.provide()).is_pending());
    let error = identity.provide().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unauthorized);
    assert_eq!(transport.0.load(Ordering::Relaxed), 1);
}

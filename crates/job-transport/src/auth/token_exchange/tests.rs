//! Tests which tokens are used as they are, exchanged, or refused.

use std::sync::Mutex;

use http::{Request, Response};

use super::*;

/// Answers inspections and exchanges with fixed replies, and keeps the requests.
#[derive(Default)]
struct IdentityService {
    inspection: Option<(u16, &'static str)>,
    exchange: Option<(u16, &'static str)>,
    requests: Mutex<Vec<Request<Bytes>>>,
}

impl Transport for IdentityService {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let reply = match *request.method() {
            Method::GET => self.inspection,
            _ => self.exchange,
        };
        self.requests.lock().unwrap().push(request);
        let reply = reply.map(|(status, body)| {
            let reply = Response::builder().status(status).header("X-Subject-Token", "scoped");
            reply.body(Bytes::from_static(body.as_bytes())).unwrap()
        });
        let none = || {
            TransportError::new(
                crate::transport::TransportErrorKind::Dns,
                crate::transport::RequestSent::No,
            )
        };
        Box::pin(async move { reply.ok_or_else(none) })
    }
}

const PROJECT: &str =
    r#"{"token": {"project": {"id": "4b8c", "name": "eu-de"}, "user": {"domain": {"id": "d"}}}}"#;
const DOMAIN: &str = r#"{"token": {"domain": {"id": "d"}, "user": {"domain": {"id": "d"}}}}"#;
const UNSCOPED: &str = r#"{"token": {"methods": ["password"], "user": {"domain": {"id": "d"}}}}"#;

fn show(provided: Result<ProvidedCredential, CredentialsProviderError>) -> String {
    match provided {
        Ok(ProvidedCredential { credential: Credential::Token(token), project, .. }) => {
            let project = project.map_or_else(|| "none".into(), |project| project.to_string());
            format!("token {}, project {project}", token.expose_secret())
        }
        Ok(_) => panic!("a key"),
        Err(error) => {
            format!("{:?}: {}", error.class(), crate::transport::display_chain(&error))
        }
    }
}

#[tokio::test]
async fn a_token_is_used_as_it_is_or_exchanged() {
    let id = || WantedProject::Id("p".parse().unwrap());
    let name = || WantedProject::Name("eu-de_x".into());
    let default = || WantedProject::DefaultName("eu-de".into());
    let exchanged = Some((201, r#"{"token": {"project": {"id": "new"}}}"#));
    let refused = Some((401, r#"{"error": {"code": 401, "message": "expired MIIF"}}"#));
    let rows = [
        ("a project's token", default(), Some((200, PROJECT)), None),
        ("another project's token", name(), Some((200, PROJECT)), None),
        ("an account's token", default(), Some((200, DOMAIN)), None),
        ("an unscoped token", default(), Some((200, UNSCOPED)), exchanged),
        ("an unscoped token, and a name", name(), Some((200, UNSCOPED)), exchanged),
        ("an unscoped token, and an id", id(), Some((200, UNSCOPED)), exchanged),
        ("a project's token, and an id", id(), Some((200, PROJECT)), None),
        ("an expired token", default(), refused, None),
        ("an unscoped token that may not be exchanged", default(), Some((200, UNSCOPED)), refused),
        ("a page of a proxy", default(), Some((200, "<html>")), None),
        ("no identity service", default(), None, None),
    ];
    let mut shown = String::new();
    for (what, project, inspection, exchange) in rows {
        let service = Arc::new(IdentityService { inspection, exchange, ..Default::default() });
        let endpoint = "https://iam.example/v3".parse().unwrap();
        let token = SecretString::from("MIIF");
        let provider = TokenExchange::new(endpoint, token, project, service.clone());
        let first = show(provider.provide().await);
        let second = show(provider.provide().await);
        shown += &format!("{what}\n  first: {first}\n  after a refusal: {second}\n");
        for request in service.requests.lock().unwrap().drain(..) {
            let body = String::from_utf8_lossy(request.body()).into_owned();
            let headers = request.headers();
            let has = |name: &str| headers.get(name).is_some_and(|value| value.is_sensitive());
            let with =
                if has("x-subject-token") && has("x-auth-token") { " with the token" } else { "" };
            shown += &format!("    {} {}{with} {body}\n", request.method(), request.uri());
        }
        assert!(!format!("{provider:?}").contains("MIIF"));
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn a_dropped_inspection_is_not_a_refusal() {
    let service =
        Arc::new(IdentityService { inspection: Some((200, PROJECT)), ..Default::default() });
    let endpoint = "https://iam.example/v3".parse().unwrap();
    let project = WantedProject::DefaultName("eu-de".into());
    let provider = TokenExchange::new(endpoint, "MIIF".to_owned().into(), project, service);
    drop(provider.provide());
    assert_eq!(show(provider.provide().await), "token MIIF, project 4b8c");
}

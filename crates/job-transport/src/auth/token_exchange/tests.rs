//! Tests which tokens are used as they are, exchanged, or refused.

use std::{future::ready, sync::Mutex};

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

/// A file whose content is the next of these tokens at each reading, and then the last one.
struct TokenFiles(Mutex<Vec<&'static str>>);

impl ProvideCredentials for TokenFiles {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        let mut tokens = self.0.lock().unwrap();
        let token = if tokens.len() > 1 { tokens.remove(0) } else { tokens[0] };
        Box::pin(ready(match token {
            "" => Err(CredentialsProviderError::new(ErrorClass::Unauthorized, "no second token")),
            token => Ok(ProvidedCredential::token(token).unwrap()),
        }))
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(2)
    }
}

fn fixed() -> ExchangeableToken {
    ExchangeableToken::Fixed("MIIF".to_owned().into())
}

fn in_file(tokens: &[&'static str]) -> ExchangeableToken {
    ExchangeableToken::InFile(Box::new(TokenFiles(Mutex::new(tokens.to_vec()))))
}

fn exchange(
    token: ExchangeableToken,
    project: WantedProject,
    service: &Arc<IdentityService>,
) -> TokenExchange {
    TokenExchange::new("https://iam.example/v3".parse().unwrap(), token, project, service.clone())
}

#[tokio::test]
async fn a_token_is_used_as_it_is_or_exchanged() {
    let id = || WantedProject::Id("p".parse().unwrap());
    let name = || WantedProject::Name("eu-de_x".into());
    let default = || WantedProject::DefaultName("eu-de".into());
    let exchanged = Some((201, r#"{"token": {"project": {"id": "new"}}}"#));
    let refused = Some((401, r#"{"error": {"code": 401, "message": "expired MIIF"}}"#));
    let (project, domain) = (Some((200, PROJECT)), Some((200, DOMAIN)));
    let unscoped = Some((200, UNSCOPED));
    let file = || in_file(&["MIIF"]);
    let pipe = || in_file(&["MIIF", ""]);
    let rows = [
        ("a project's token", fixed(), default(), project, None),
        ("another project's token", fixed(), name(), project, None),
        ("an account's token", fixed(), default(), domain, None),
        ("an unscoped token", fixed(), default(), unscoped, exchanged),
        ("an unscoped token, and a name", fixed(), name(), unscoped, exchanged),
        ("an unscoped token, and an id", fixed(), id(), unscoped, exchanged),
        ("a project's token, and an id", fixed(), id(), project, None),
        ("an expired token", fixed(), default(), refused, None),
        ("an unscoped token that may not be exchanged", fixed(), default(), unscoped, refused),
        ("a page of a proxy", fixed(), default(), Some((200, "<html>")), None),
        ("no identity service", fixed(), default(), None, None),
        ("a project's token in a file", file(), default(), project, None),
        ("an unscoped token in a file", file(), default(), unscoped, exchanged),
        ("an unscoped token in a file, and an id", file(), id(), unscoped, exchanged),
        ("a project's token in a file, and an id", file(), id(), project, None),
        ("an expired token in a file", file(), default(), refused, None),
        ("no identity service, and a file", file(), default(), None, None),
        ("an unscoped token in a pipe, and an id", pipe(), id(), unscoped, exchanged),
        ("a project's token in a pipe, and an id", pipe(), id(), project, None),
    ];
    let mut shown = String::new();
    for (what, token, project, inspection, reply) in rows {
        let service =
            Arc::new(IdentityService { inspection, exchange: reply, ..Default::default() });
        let is_pipe = what.contains("pipe");
        let provider = exchange(token, project, &service);
        shown += &format!("{what}\n");
        for (when, reason) in [
            ("first", RenewalReason::Due),
            ("when it is due", RenewalReason::Due),
            ("after a refusal", RenewalReason::Refused),
        ] {
            // A pipe is read only once, so nothing is due.
            if is_pipe && when == "when it is due" {
                continue;
            }
            shown += &format!("  {when}: {}\n", show(provider.renew(reason).await));
            for request in service.requests.lock().unwrap().drain(..) {
                shown += &format!("    {}\n", show_request(&request));
            }
        }
        assert!(!format!("{provider:?}").contains("MIIF"));
    }
    insta::assert_snapshot!(shown);
}

fn show_request(request: &Request<Bytes>) -> String {
    let body = String::from_utf8_lossy(request.body()).into_owned();
    let is_secret =
        |name| request.headers().get(name).is_some_and(|value: &HeaderValue| value.is_sensitive());
    let rest = if is_secret(X_AUTH_TOKEN) && is_secret(X_SUBJECT_TOKEN) {
        "with the token".into()
    } else {
        body
    };
    format!("{} {} {rest}", request.method(), request.uri())
}

#[tokio::test]
async fn a_dropped_inspection_is_not_a_refusal() {
    let service =
        Arc::new(IdentityService { inspection: Some((200, PROJECT)), ..Default::default() });
    let provider = exchange(fixed(), WantedProject::DefaultName("eu-de".into()), &service);
    drop(provider.renew(RenewalReason::Due));
    let provided = provider.renew(RenewalReason::Due).await;
    assert_eq!(show(provided), "token MIIF, project 4b8c");
}

#[tokio::test]
async fn a_new_token_in_the_file_is_inspected() {
    let service =
        Arc::new(IdentityService { inspection: Some((200, PROJECT)), ..Default::default() });
    let file = in_file(&["first", "first", "second"]);
    let provider = exchange(file, WantedProject::DefaultName("eu-de".into()), &service);
    for (token, inspections) in [("first", 1), ("first", 1), ("second", 2), ("second", 2)] {
        let provided = provider.renew(RenewalReason::Due).await;
        assert_eq!(show(provided), format!("token {token}, project 4b8c"));
        assert_eq!(service.requests.lock().unwrap().len(), inspections, "{token}");
    }
}

#[tokio::test]
async fn reading_the_file_again_has_the_timeout_of_the_file() {
    let rows =
        [(Some((200, PROJECT)), Duration::from_secs(2)), (Some((200, UNSCOPED)), EXCHANGE_TIMEOUT)];
    for (inspection, due) in rows {
        let reply = Some((201, r#"{"token": {"project": {"id": "new"}}}"#));
        let service =
            Arc::new(IdentityService { inspection, exchange: reply, ..Default::default() });
        let project = WantedProject::DefaultName("eu-de".into());
        let provider = exchange(in_file(&["MIIF"]), project, &service);
        assert_eq!(provider.renewal_timeout(RenewalReason::Due), EXCHANGE_TIMEOUT);
        drop(provider.renew(RenewalReason::Due).await);
        assert_eq!(provider.renewal_timeout(RenewalReason::Due), due);
        assert_eq!(provider.renewal_timeout(RenewalReason::Refused), EXCHANGE_TIMEOUT);
    }
}

//! Tests which tokens are used as they are, exchanged, or refused.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::poll;
use http::{Request, Response};

use super::*;
use crate::{
    auth::credential::Credential,
    testing::ManualClock,
    transport::{RequestSent, TransportError, TransportErrorKind, display_chain},
};

/// A reply of the identity service: a status and a body, or none at all.
#[derive(Clone, Copy)]
enum Reply {
    Status(u16, &'static str),
    Unreachable,
    Silent,
}

/// Answers inspections and exchanges with a list of replies, the last one again and again. Keeps
/// the requests.
struct IdentityService {
    inspections: Mutex<VecDeque<Reply>>,
    exchanges: Mutex<VecDeque<Reply>>,
    requests: Mutex<Vec<Request<Bytes>>>,
}

impl IdentityService {
    fn new(inspections: &[Reply], exchanges: &[Reply]) -> Arc<Self> {
        Arc::new(Self {
            inspections: Mutex::new(inspections.iter().copied().collect()),
            exchanges: Mutex::new(exchanges.iter().copied().collect()),
            requests: Mutex::default(),
        })
    }
}

impl Transport for IdentityService {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let replies = match *request.method() {
            Method::GET => &self.inspections,
            _ => &self.exchanges,
        };
        self.requests.lock().unwrap().push(request);
        let mut replies = replies.lock().unwrap();
        let last = *replies.front().unwrap();
        let reply = if replies.len() > 1 { replies.pop_front().unwrap() } else { last };
        Box::pin(async move {
            match reply {
                Reply::Status(status, body) => {
                    let reply = Response::builder().status(status);
                    let reply = reply.header("X-Subject-Token", "scoped");
                    let reply = reply.header("Date", "Thu, 01 Jan 1970 00:00:00 GMT");
                    Ok(reply.body(Bytes::from_static(body.as_bytes())).unwrap())
                }
                Reply::Unreachable => {
                    Err(TransportError::new(TransportErrorKind::Dns, RequestSent::No))
                }
                Reply::Silent => std::future::pending().await,
            }
        })
    }
}

const PROJECT: Reply = Reply::Status(
    200,
    r#"{"token": {"project": {"id": "4b8c", "name": "eu-de"}, "user": {"domain": {"id": "d"}}}}"#,
);
const OTHER: Reply =
    Reply::Status(200, r#"{"token": {"project": {"id": "77aa", "name": "eu-nl"}, "user": {}}}"#);
const DOMAIN: Reply =
    Reply::Status(200, r#"{"token": {"domain": {"id": "d"}, "user": {"domain": {"id": "d"}}}}"#);
const UNSCOPED: Reply =
    Reply::Status(200, r#"{"token": {"methods": ["password"], "user": {"domain": {"id": "d"}}}}"#);
const PAGE: Reply = Reply::Status(200, "<html>");
const EXCHANGED: Reply = Reply::Status(201, r#"{"token": {"project": {"id": "new"}}}"#);
const REFUSED: Reply = Reply::Status(401, r#"{"error": {"code": 401, "message": "expired MIIF"}}"#);
const UNAVAILABLE: Reply = Reply::Status(503, "");

/// A file with another token at each reading, and with the last one from then on.
struct TokenFiles(Mutex<VecDeque<FileToken>>);

#[derive(Clone, Copy)]
enum FileToken {
    Text(&'static str),
    /// A pipe that was read, or a file that cannot be read.
    Missing,
    /// The file describes another project.
    Revoked,
}

impl ProvideCredentials for TokenFiles {
    fn provide(&self) -> BoxFuture<'_, Provided> {
        let mut tokens = self.0.lock().unwrap();
        let token = if tokens.len() > 1 { tokens.pop_front() } else { tokens.front().copied() };
        let error = |message| CredentialsProviderError::new(ErrorClass::Unauthorized, message);
        let provided = match token.unwrap() {
            FileToken::Text(token) => {
                let provided = ProvidedCredential::token(token).unwrap();
                Ok(ProvidedCredential { recheck_after: Some(Duration::from_secs(5)), ..provided })
            }
            FileToken::Missing => Err(error("no second token")),
            FileToken::Revoked => Err(error("another project").revoking()),
        };
        Box::pin(std::future::ready(provided))
    }
}

fn fixed() -> ExchangeableToken {
    ExchangeableToken::Fixed("MIIF".to_owned().into())
}

fn in_file(tokens: &[FileToken]) -> ExchangeableToken {
    let tokens = tokens.iter().copied().collect();
    ExchangeableToken::InFile(Box::new(TokenFiles(Mutex::new(tokens))))
}

fn id() -> WantedProject {
    WantedProject::Id("p".parse().unwrap())
}

fn name() -> WantedProject {
    WantedProject::Name("eu-de_x".into(), Some(Domain::Name("OTC2".into())))
}

fn default_name() -> WantedProject {
    WantedProject::DefaultName("eu-de".into())
}

fn exchange(
    token: ExchangeableToken,
    project: WantedProject,
    service: &Arc<IdentityService>,
) -> TokenExchange {
    TokenExchange::new("https://iam.example/v3".parse().unwrap(), token, project, service.clone())
}

fn show(provided: &Provided) -> String {
    match provided {
        Ok(ProvidedCredential { credential: Credential::Token(token), project, .. }) => {
            let project = project.as_ref().map_or_else(|| "none".into(), ToString::to_string);
            format!("token {}, project {project}", token.expose_secret())
        }
        Ok(_) => panic!("a key"),
        Err(error) => format!("{:?}: {}", error.class(), display_chain(error)),
    }
}

/// Calls the provider for each reason. Returns the results, each with the requests that it sent.
async fn renew_all(
    provider: &TokenExchange,
    service: &IdentityService,
    reasons: &[RenewalReason],
) -> String {
    let clock = ManualClock::new();
    let mut shown = String::new();
    for reason in reasons {
        shown += &format!("  {reason:?}: {}\n", show(&provider.renew(*reason, &clock).await));
        for request in service.requests.lock().unwrap().drain(..) {
            shown += &format!("    {}\n", show_request(&request));
        }
    }
    shown
}

fn show_request(request: &Request<Bytes>) -> String {
    let is_secret = |name| {
        request.headers().get(name).is_some_and(|value: &http::HeaderValue| value.is_sensitive())
    };
    let rest = if is_secret("x-auth-token") && is_secret("x-subject-token") {
        "with the token".into()
    } else {
        String::from_utf8_lossy(request.body()).into_owned()
    };
    format!("{} {} {rest}", request.method(), request.uri().path())
}

#[tokio::test]
async fn a_token_is_used_as_it_is_or_exchanged() {
    use FileToken::{Missing, Revoked, Text};
    use RenewalReason::{Due, Forbidden, Refused};

    let file = || in_file(&[Text("MIIF")]);
    let all: &'static [RenewalReason] = &[Due, Due, Refused, Forbidden];
    type Row = (
        &'static str,
        ExchangeableToken,
        WantedProject,
        &'static [Reply],
        &'static [Reply],
        &'static [RenewalReason],
    );
    let rows: Vec<Row> = vec![
        ("a project's token", fixed(), default_name(), &[PROJECT], &[], all),
        ("another project's token", fixed(), name(), &[PROJECT], &[], all),
        ("an account's token", fixed(), default_name(), &[DOMAIN], &[], all),
        ("an unscoped token", fixed(), default_name(), &[UNSCOPED], &[EXCHANGED], all),
        ("an unscoped token, and a name", fixed(), name(), &[UNSCOPED], &[EXCHANGED], all),
        ("an unscoped token, and an id", fixed(), id(), &[UNSCOPED], &[EXCHANGED], all),
        (
            "an unscoped token, an id, and a 403",
            fixed(),
            id(),
            &[UNSCOPED],
            &[EXCHANGED],
            &[Due, Forbidden],
        ),
        ("a project's token, and an id", fixed(), id(), &[PROJECT], &[], all),
        ("a project's token, an id, and a 403", fixed(), id(), &[PROJECT], &[], &[Due, Forbidden]),
        ("an expired token", fixed(), default_name(), &[REFUSED], &[], all),
        (
            "an unscoped token that may not be exchanged",
            fixed(),
            default_name(),
            &[UNSCOPED],
            &[REFUSED],
            all,
        ),
        ("a page of a proxy", fixed(), default_name(), &[PAGE], &[], all),
        ("no identity service", fixed(), default_name(), &[Reply::Unreachable], &[], all),
        ("no identity service, and an id", fixed(), id(), &[Reply::Unreachable], &[], all),
        (
            "an identity service that is busy once",
            fixed(),
            default_name(),
            &[UNAVAILABLE, UNSCOPED],
            &[EXCHANGED],
            &[Due, Due, Forbidden],
        ),
        ("a project's token in a file", file(), default_name(), &[PROJECT], &[], all),
        ("an unscoped token in a file", file(), default_name(), &[UNSCOPED], &[EXCHANGED], all),
        ("an unscoped token in a file, and an id", file(), id(), &[UNSCOPED], &[EXCHANGED], all),
        ("an expired token in a file", file(), default_name(), &[REFUSED], &[], all),
        (
            "no identity service, and a file",
            file(),
            default_name(),
            &[Reply::Unreachable],
            &[],
            all,
        ),
        (
            "a token of another project in the file",
            in_file(&[Text("MIIF"), Text("second")]),
            default_name(),
            &[PROJECT, OTHER],
            &[],
            &[Due, Due],
        ),
        (
            "a new token of the same project, while the identity service is busy",
            in_file(&[Text("MIIF"), Text("second")]),
            default_name(),
            &[PROJECT, UNAVAILABLE],
            &[],
            &[Due, Due],
        ),
        (
            "a file that now describes another project",
            in_file(&[Text("MIIF"), Revoked]),
            id(),
            &[UNSCOPED],
            &[EXCHANGED],
            &[Due, Refused],
        ),
        (
            "an unscoped token in a pipe, and an id",
            in_file(&[Text("MIIF"), Missing]),
            id(),
            &[UNSCOPED],
            &[EXCHANGED],
            &[Due, Refused],
        ),
        (
            "a project's token in a pipe, and an id",
            in_file(&[Text("MIIF"), Missing]),
            id(),
            &[PROJECT],
            &[],
            &[Due, Refused, Refused],
        ),
    ];
    let mut shown = String::new();
    for (what, token, project, inspections, exchanges, reasons) in rows {
        let service = IdentityService::new(inspections, exchanges);
        let provider = exchange(token, project, &service);
        shown += &format!("{what}\n{}", renew_all(&provider, &service, reasons).await);
        assert!(!format!("{provider:?}").contains("MIIF"));
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn a_dropped_inspection_decides_nothing() {
    let service = IdentityService::new(&[Reply::Silent, UNSCOPED], &[EXCHANGED]);
    let clock = ManualClock::new();
    let pipe = in_file(&[FileToken::Text("MIIF"), FileToken::Missing]);
    let provider = exchange(pipe, default_name(), &service);
    let mut dropped = provider.renew(RenewalReason::Due, &clock);
    assert!(poll!(&mut dropped).is_pending());
    drop(dropped);
    let provided = provider.renew(RenewalReason::Due, &clock).await;
    assert_eq!(show(&provided), "token scoped, project new");
}

#[cfg(feature = "tokio")]
#[tokio::test(start_paused = true)]
async fn a_silent_identity_service_delays_a_token_by_five_seconds() {
    let service = IdentityService::new(&[Reply::Silent], &[]);
    let clock = crate::clock::TokioClock::new();
    let provider = exchange(fixed(), default_name(), &service);
    let start = clock.monotonic();
    let provided = provider.renew(RenewalReason::Due, &clock).await;
    assert_eq!(show(&provided), "token MIIF, project none");
    assert_eq!(clock.monotonic() - start, INSPECTION_TIMEOUT);
}

/// The file is read every 5 s, but its token is exchanged only when the exchanged one gets old.
#[tokio::test]
async fn an_exchanged_token_is_renewed_after_most_of_its_lifetime() {
    const HOUR: Reply =
        Reply::Status(201, r#"{"token": {"expires_at": "1970-01-01T01:00:00Z", "project": {}}}"#);
    let service = IdentityService::new(&[UNSCOPED], &[HOUR]);
    let clock = ManualClock::new();
    let provider = exchange(in_file(&[FileToken::Text("MIIF")]), default_name(), &service);
    for (minutes, requests) in [(0, 2), (10, 2), (37, 2), (2, 4)] {
        clock.advance(minutes * 60);
        let provided = provider.renew(RenewalReason::Due, &clock).await.unwrap();
        assert_eq!(provided.recheck_after, Some(Duration::from_secs(5)));
        assert_eq!(service.requests.lock().unwrap().len(), requests, "{minutes}");
    }
}

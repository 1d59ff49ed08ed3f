//! Tests which requests get a token or a key, and for which caller.

use http::{Method, Uri};

use super::*;
use crate::auth::{Scope, account};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// The services and the credentials that they issued.
struct Services {
    service: IdentityService,
    authenticator: Authenticator,
}

impl Services {
    fn new() -> Self {
        let project = "4b8c1e4d".parse().unwrap();
        Self { service: IdentityService::new(), authenticator: Authenticator::new(project) }
    }

    fn send(
        &mut self,
        call: IdentityCall,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Response<Bytes> {
        let request = Request::builder().method(Method::POST).uri(Uri::from_static("https://h/"));
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Bytes::from(body.to_string())).unwrap();
        self.service.answer(call, &request, &mut self.authenticator, "https://h", NOW)
    }

    /// Returns the owner and the scope of the token in a reply, or the status.
    fn token_owner(&self, reply: &Response<Bytes>) -> String {
        match reply.headers().get("x-subject-token") {
            Some(token) => {
                let token = self.authenticator.token(token.to_str().unwrap(), NOW).unwrap();
                format!("{}, {:?}", token.caller, token.scope)
            }
            None => reply.status().to_string(),
        }
    }
}

fn password(password: &str, passcode: Option<&str>) -> Value {
    let domain = json!({"name": account::DOMAIN});
    let user = json!({"name": account::USER, "password": password, "domain": domain});
    let mut identity = json!({"methods": ["password"], "password": {"user": user}});
    if let Some(passcode) = passcode {
        identity["methods"] = json!(["password", "totp"]);
        identity["totp"] = json!({"user": {"name": account::USER, "passcode": passcode}});
    }
    json!({"auth": {"identity": identity}})
}

fn with_scope(mut body: Value, scope: Value) -> Value {
    body["auth"]["scope"] = scope;
    body
}

#[test]
fn passwords_and_tokens_are_exchanged_for_tokens_of_the_requested_scope() {
    let exchange =
        |token: &str| json!({"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}});
    let agency = |name: &str| {
        let agency = json!({"domain_name": account::AGENCY_DOMAIN, "agency_name": name});
        json!({"auth": {"identity": {"methods": ["assume_role"], "assume_role": agency}}})
    };
    let project = || json!({"project": {"name": account::PROJECT_NAME}});
    let rows = [
        (password(account::PASSWORD, None), "user simulated-user, Unscoped", "401 Unauthorized"),
        (password("wrong", None), "401 Unauthorized", "401 Unauthorized"),
        (
            password(account::PASSWORD, Some(account::PASSCODE)),
            "user simulated-user, Unscoped",
            "user simulated-user, Unscoped",
        ),
        (password(account::PASSWORD, Some("000000")), "401 Unauthorized", "401 Unauthorized"),
        (
            with_scope(password(account::PASSWORD, None), project()),
            "user simulated-user, Project",
            "401 Unauthorized",
        ),
        (
            with_scope(password(account::PASSWORD, None), json!({"project": {"name": "other"}})),
            "401 Unauthorized",
            "401 Unauthorized",
        ),
        (
            with_scope(exchange(account::TOKEN), json!({"domain": {"name": account::DOMAIN}})),
            "user simulated-user, Domain",
            "user simulated-user, Domain",
        ),
        (exchange("wrong"), "401 Unauthorized", "401 Unauthorized"),
        (
            with_scope(agency(account::AGENCY), project()),
            "agency simulated-agency, Project",
            "agency simulated-agency, Project",
        ),
        (agency("other"), "401 Unauthorized", "401 Unauthorized"),
        (json!({}), "401 Unauthorized", "401 Unauthorized"),
    ];
    for (body, without_passcode, with_passcode) in rows {
        for (requires_passcode, expected) in [(false, without_passcode), (true, with_passcode)] {
            let mut services = Services::new();
            services.service.requires_passcode = requires_passcode;
            let token = [("x-auth-token", account::TOKEN)];
            let reply = services.send(IdentityCall::Tokens, &token, &body);
            assert_eq!(services.token_owner(&reply), expected, "{body}");
        }
    }
}

#[test]
fn valid_tokens_can_be_inspected() {
    let mut services = Services::new();
    let login = with_scope(password(account::PASSWORD, None), json!({"unscoped": {}}));
    let reply = services.send(IdentityCall::Tokens, &[], &login);
    let unscoped = reply.headers()["x-subject-token"].to_str().unwrap().to_owned();
    let rows = [
        (account::TOKEN, account::TOKEN, "200, project \"eu-de\""),
        (account::TOKEN, &unscoped, "200, project null"),
        (&unscoped, &unscoped, "200, project null"),
        ("wrong", account::TOKEN, "401, project null"),
        (account::TOKEN, "wrong", "404, project null"),
    ];
    for (token, subject, expected) in rows {
        let headers = [("x-auth-token", token), ("x-subject-token", subject)];
        let reply = services.send(IdentityCall::InspectToken, &headers, &Value::Null);
        let body: Value = serde_json::from_slice(reply.body()).unwrap();
        let project = &body["token"]["project"]["name"];
        assert_eq!(format!("{}, project {project}", reply.status().as_u16()), expected);
    }
}

#[test]
fn only_valid_proofs_get_a_temporary_key() {
    let id_token = |token: &str| json!({"auth": {"id_token": {"id": token}}});
    let provider = [("x-idp-id", account::IDENTITY_PROVIDER)];
    let mut services = Services::new();
    let reply = services.send(IdentityCall::IdToken, &provider, &id_token(account::ID_TOKEN));
    assert_eq!(services.token_owner(&reply), "federated user of simulated-provider, Unscoped");
    let unscoped = reply.headers()["x-subject-token"].to_str().unwrap().to_owned();
    for (headers, token) in [
        (&provider[..], "wrong"),
        (&[], account::ID_TOKEN),
        (&[("x-idp-id", "x")], account::ID_TOKEN),
    ] {
        let reply = services.send(IdentityCall::IdToken, headers, &id_token(token));
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "{headers:?} {token}");
    }

    let key_for =
        |token: &str| json!({"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}});
    let assume = |urn: &str, token: &str| {
        json!({"provider_urn": account::PROVIDER_URN, "agency_urn": urn,
            "agency_session_name": "s", "duration_seconds": 3600, "id_token": token})
    };
    let pod = |token| vec![("authorization", token)];
    let ok = "200 OK";
    let rows = [
        (IdentityCall::SecurityTokens, vec![], key_for(&unscoped), "201 Created"),
        (IdentityCall::SecurityTokens, vec![], key_for("wrong"), "401 Unauthorized"),
        (IdentityCall::SecurityTokens, vec![], json!({}), "401 Unauthorized"),
        (IdentityCall::AssumeWithOidc, vec![], assume(account::AGENCY_URN, account::ID_TOKEN), ok),
        (IdentityCall::AssumeWithOidc, vec![], assume("x", account::ID_TOKEN), "401 Unauthorized"),
        (IdentityCall::AssumeWithOidc, vec![], assume(account::AGENCY_URN, ""), "401 Unauthorized"),
        (IdentityCall::PodIdentity, pod(account::POD_TOKEN), json!({}), ok),
        (IdentityCall::PodIdentity, pod("wrong"), json!({}), "401 Unauthorized"),
        (IdentityCall::PodIdentity, vec![], json!({}), "401 Unauthorized"),
    ];
    for (call, headers, body, expected) in rows {
        let reply = services.send(call, &headers, &body);
        assert_eq!(reply.status().to_string(), expected, "{call:?} {headers:?} {body}");
    }
}

#[test]
fn the_metadata_service_requires_a_session_that_has_not_expired() {
    let mut services = Services::new();
    let ttl = [("x-metadata-token-ttl-seconds", "60")];
    let mut get = |call, headers: &[(&str, &str)]| {
        let reply = services.send(call, headers, &Value::Null);
        (reply.status().as_u16(), String::from_utf8(reply.body().to_vec()).unwrap())
    };
    assert_eq!(get(IdentityCall::MetadataKey, &[]).0, 401);
    assert_eq!(get(IdentityCall::MetadataToken, &[]).0, 400);
    let (status, session) = get(IdentityCall::MetadataToken, &ttl);
    assert_eq!(status, 200);
    assert_eq!(get(IdentityCall::MetadataKey, &[("x-metadata-token", &session)]).0, 200);
    services.service.has_agency = false;
    let reply =
        services.send(IdentityCall::MetadataKey, &[("x-metadata-token", &session)], &Value::Null);
    assert_eq!(&**reply.body(), b"Please configure Cloud Service Agency first");
    services.service.expire_sessions();
    services.service.has_sessions = false;
    let reply = services.send(IdentityCall::MetadataToken, &ttl, &Value::Null);
    assert_eq!(reply.status(), StatusCode::NOT_FOUND);
    assert_eq!(services.service.requests(IdentityFlow::MetadataKey), 3);
}

#[test]
fn requests_are_counted_per_flow() {
    let mut services = Services::new();
    let token = json!({"auth": {"identity": {"token": {}}}});
    let agency = json!({"auth": {"identity": {"assume_role": {}}}});
    for (call, body, flow) in [
        (IdentityCall::Tokens, Value::Null, IdentityFlow::Password),
        (IdentityCall::Tokens, token.clone(), IdentityFlow::TokenExchange),
        (IdentityCall::Tokens, agency.clone(), IdentityFlow::AgencyToken),
        (IdentityCall::InspectToken, Value::Null, IdentityFlow::TokenInspection),
        (IdentityCall::SecurityTokens, token, IdentityFlow::KeyForToken),
        (IdentityCall::SecurityTokens, agency, IdentityFlow::AgencyKey),
        (IdentityCall::Projects, Value::Null, IdentityFlow::Projects),
    ] {
        services.send(call, &[], &body);
        assert_eq!(services.service.requests(flow), 1, "{flow:?}");
    }
    assert_eq!(services.service.logins(), 3);
    assert_eq!(services.authenticator.token(account::TOKEN, NOW).unwrap().scope, Scope::Project);
}

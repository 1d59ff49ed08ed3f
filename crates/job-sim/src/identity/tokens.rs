//! Issues tokens: for a password, another token, an agency, or an ID token.

use bytes::Bytes;
use http::{HeaderName, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Exchange, IdentityService, identity_error};
use crate::{
    auth::{Scope, account},
    reply::{header, json_reply},
};

const X_SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

impl IdentityService {
    /// Answers `POST /v3/auth/tokens`.
    pub(super) fn issue_token(&self, exchange: Exchange<'_>) -> Response<Bytes> {
        let identity = &exchange.body["auth"]["identity"];
        let methods = identity["methods"].clone();
        let methods: Vec<&str> =
            methods.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let caller = match &*methods {
            ["password"] if !self.requires_passcode => password_caller(identity),
            ["password", "totp"] => password_caller(identity).filter(|_| has_passcode(identity)),
            ["token"] => exchange.caller_of(identity["token"]["id"].as_str().unwrap_or_default()),
            ["assume_role"] => exchange.agency_caller(),
            _ => None,
        };
        let scope = exchange.scope(methods.contains(&"assume_role"));
        match (caller, scope) {
            (Some(caller), Some(scope)) => exchange.token_reply(caller, scope, &methods),
            _ => identity_error(StatusCode::UNAUTHORIZED, "The username or password is wrong."),
        }
    }
}

/// Returns the user as a caller, if the user and the password are right.
fn password_caller(identity: &Value) -> Option<String> {
    let user = &identity["password"]["user"];
    let is_right = user["name"] == account::USER
        && user["password"] == account::PASSWORD
        && user["domain"]["name"] == account::DOMAIN;
    is_right.then(|| account::USER_CALLER.into())
}

fn has_passcode(identity: &Value) -> bool {
    identity["totp"]["user"]["passcode"] == account::PASSCODE
}

impl Exchange<'_> {
    /// Answers `POST /v3.0/OS-AUTH/id-token/tokens`.
    pub(super) fn exchange_id_token(self) -> Response<Bytes> {
        let is_right = self.body["auth"]["id_token"]["id"] == account::ID_TOKEN
            && header(self.request.headers(), "x-idp-id") == account::IDENTITY_PROVIDER;
        match (is_right, self.scope(false)) {
            (true, Some(scope)) => {
                let caller = format!("federated user of {}", account::IDENTITY_PROVIDER);
                self.token_reply(caller, scope, &["mapped"])
            }
            _ => identity_error(StatusCode::UNAUTHORIZED, "The ID token is invalid."),
        }
    }

    /// Returns the owner of a valid token.
    pub(super) fn caller_of(&self, token: &str) -> Option<String> {
        Some(self.authenticator.token(token, self.now)?.caller.clone())
    }

    /// Returns the agency as a caller, if the request describes it and its token may assume it.
    fn agency_caller(&self) -> Option<String> {
        self.caller_of(header(self.request.headers(), "x-auth-token"))?;
        self.requested_agency()
    }

    /// Returns the agency as a caller, if the request describes it.
    pub(super) fn requested_agency(&self) -> Option<String> {
        let agency = &self.body["auth"]["identity"]["assume_role"];
        let is_right = agency["agency_name"] == account::AGENCY
            && agency["domain_name"] == account::AGENCY_DOMAIN;
        is_right.then(|| format!("agency {}", account::AGENCY))
    }

    /// Returns the requested scope, or `None` if the project or the domain does not exist.
    fn scope(&self, is_agency: bool) -> Option<Scope> {
        let scope = &self.body["auth"]["scope"];
        let domain_name = if is_agency { account::AGENCY_DOMAIN } else { account::DOMAIN };
        let (project, domain) = (&scope["project"], &scope["domain"]);
        if !project.is_null() {
            let id = self.authenticator.project().as_str();
            let is_known = project["id"] == id || project["name"] == account::PROJECT_NAME;
            return is_known.then_some(Scope::Project);
        }
        if !domain.is_null() {
            return (domain["name"] == domain_name).then_some(Scope::Domain);
        }
        Some(Scope::Unscoped)
    }

    /// Issues a token and returns it.
    fn token_reply(self, caller: String, scope: Scope, methods: &[&str]) -> Response<Bytes> {
        let issued = self.authenticator.issue_token(caller, scope, self.now);
        let body = self.description(scope, issued.expires, methods);
        let mut reply = json_reply(StatusCode::CREATED, &body);
        reply.headers_mut().extend(issued.text.parse().map(|token| (X_SUBJECT_TOKEN, token)));
        reply
    }

    /// Answers `GET /v3/auth/tokens`: what a token is for.
    pub(super) fn inspect_token(self) -> Response<Bytes> {
        let headers = self.request.headers();
        if self.caller_of(header(headers, "x-auth-token")).is_none() {
            return identity_error(StatusCode::UNAUTHORIZED, "The token is invalid.");
        }
        let subject = header(headers, X_SUBJECT_TOKEN.as_str());
        match self.authenticator.token(subject, self.now) {
            Some(token) => {
                json_reply(StatusCode::OK, &self.description(token.scope, token.expires, &[]))
            }
            None => identity_error(StatusCode::NOT_FOUND, "The token cannot be found."),
        }
    }

    /// Describes a token. The catalog of a project's token points back to the simulator.
    fn description(&self, scope: Scope, expires: Timestamp, methods: &[&str]) -> Value {
        let domain = json!({"id": "simulated-domain-id", "name": account::DOMAIN});
        let mut body = json!({"token": {
            "expires_at": format!("{expires:.6}"), "issued_at": format!("{:.6}", self.now),
            "methods": methods, "roles": [],
            "user": {"id": "simulated-user-id", "name": account::USER, "domain": domain},
        }});
        match scope {
            Scope::Unscoped => {}
            Scope::Domain => body["token"]["domain"] = domain,
            Scope::Project => {
                let id = self.authenticator.project().as_str();
                body["token"]["project"] =
                    json!({"id": id, "name": account::PROJECT_NAME, "domain": domain});
                body["token"]["catalog"] = catalog(self.origin);
            }
        }
        body
    }
}

/// Returns the service catalog. All its URLs point to the address of the login.
fn catalog(origin: &str) -> Value {
    let region = account::PROJECT_NAME;
    let entry = |service: &str, name: &str, url: String| {
        let endpoint = json!({"id": format!("{name}-endpoint"), "interface": "public",
            "region": region, "region_id": region, "url": url});
        json!({"id": name, "name": name, "type": service, "endpoints": [endpoint]})
    };
    json!([
        entry("ccev2.0", "ccev2.0", origin.into()),
        entry("identity", "iam", format!("{origin}/v3"))
    ])
}

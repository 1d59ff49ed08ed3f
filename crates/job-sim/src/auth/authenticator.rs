//! Simulates the gateway's check of tokens and signatures, and the identity service that issues
//! tokens. Reads no clock.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use job_model::ProjectId;
use serde::Serialize;
use serde_json::{Value, json};

use super::verify::{SignatureError, parse_authorization};
use crate::reply::{ErrorReply, documented_error, gateway_error, header, json_reply};

/// Consecutive wrong signatures that lock a key, and how long the key stays locked. The real
/// service tolerates one more.
const LOCKOUT_THRESHOLD: u32 = 5;
const LOCKOUT_PERIOD: SignedDuration = SignedDuration::from_mins(5);

/// The token that is valid without a login. Like the other secrets here, it contains characters
/// that change when they are encoded, so that a test for leaks covers the encoded forms as well.
const TOKEN: &str = "simulated-token/+=";
const USER: &str = "simulated-user";
const PASSWORD: &str = "simulated-password \"/+%\\";
const DOMAIN: &str = "simulated-domain";

/// Makes the access key of each simulation in a process unique, because each key has its own
/// lockout.
static KEY_COUNTER: AtomicU32 = AtomicU32::new(0);

/// The credentials of a simulated user: a token, a key pair and a password.
///
/// None of them is secret, because they only open a simulation.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TestAccount {
    /// A token that is valid until [`Sim::expire_tokens`](crate::Sim::expire_tokens) is called.
    pub token: String,
    /// The access key. Each simulation in a process has a different one.
    pub access_key: String,
    /// The secret key for the access key.
    pub secret_key: String,
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// The user's domain (account), by name.
    pub domain: String,
    /// The project's id.
    pub project: String,
    /// The project's name.
    pub project_name: String,
}

/// The credentials that the gateway accepts.
#[derive(Debug)]
pub(crate) struct Authenticator {
    project: ProjectId,
    token_lifetime: SignedDuration,
    /// When each token expires.
    tokens: BTreeMap<String, Timestamp>,
    logins: u32,
    access_key: String,
    secret_key: String,
    consecutive_wrong_signatures: u32,
    locked_until: Timestamp,
}

impl Authenticator {
    pub(crate) fn new(project: ProjectId) -> Self {
        let key = KEY_COUNTER.fetch_add(1, Ordering::Relaxed);
        Self {
            project,
            token_lifetime: SignedDuration::from_hours(24),
            tokens: BTreeMap::from([(TOKEN.into(), Timestamp::MAX)]),
            logins: 0,
            access_key: format!("SIMULATEDKEY{key:08}"),
            secret_key: format!("simulated-secret/+=-{key:08}"),
            consecutive_wrong_signatures: 0,
            locked_until: Timestamp::MIN,
        }
    }

    pub(crate) fn account(&self) -> TestAccount {
        TestAccount {
            token: TOKEN.into(),
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
            user: USER.into(),
            password: PASSWORD.into(),
            domain: DOMAIN.into(),
            project: self.project.to_string(),
            project_name: PROJECT_NAME.into(),
        }
    }

    pub(crate) const fn logins(&self) -> u32 {
        self.logins
    }

    pub(crate) const fn set_token_lifetime(&mut self, lifetime: SignedDuration) {
        self.token_lifetime = lifetime;
    }

    pub(crate) fn expire_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Checks a request's token or signature.
    pub(crate) fn authenticate(
        &mut self,
        request: &Request<Bytes>,
        now: Timestamp,
    ) -> Result<(), ErrorReply> {
        if request.headers().contains_key("authorization") {
            return self.check_signature(request, now).map_err(|message| {
                let message = format!("Incorrect IAM authentication information: {message}");
                gateway_error(StatusCode::UNAUTHORIZED, "APIGW.0301", &message)
            });
        }
        match self.tokens.get(header(request.headers(), "x-auth-token")) {
            Some(expires) if now < *expires => Ok(()),
            _ => Err(documented_error(StatusCode::UNAUTHORIZED)),
        }
    }

    fn check_signature(&mut self, request: &Request<Bytes>, now: Timestamp) -> Result<(), String> {
        let authorization = parse_authorization(request).map_err(|error| message(&error))?;
        // A wrong signature with another key does not count for this one.
        if authorization.access_key != self.access_key {
            return Err(message(&SignatureError::UnknownKey));
        }
        if now < self.locked_until {
            return Err("too many wrong signatures; the access key is locked".into());
        }
        let Err(error) = authorization.verify(request, &self.secret_key, now) else {
            self.consecutive_wrong_signatures = 0;
            return Ok(());
        };
        self.consecutive_wrong_signatures += 1;
        if self.consecutive_wrong_signatures >= LOCKOUT_THRESHOLD {
            self.consecutive_wrong_signatures = 0;
            self.locked_until = now.saturating_add(LOCKOUT_PERIOD).unwrap_or(Timestamp::MAX);
        }
        Err(message(&error))
    }

    /// Answers a login with a token and a catalog that points back to the simulator, or rejects it.
    pub(crate) fn log_in(
        &mut self,
        request: &Request<Bytes>,
        origin: &str,
        now: Timestamp,
    ) -> Response<Bytes> {
        self.logins += 1;
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let user = &body["auth"]["identity"]["password"]["user"];
        let is_right = user["name"] == USER
            && user["password"] == PASSWORD
            && user["domain"]["name"] == DOMAIN;
        let scope = &body["auth"]["scope"]["project"];
        let is_of_project = scope["id"] == self.project.as_str() || scope["name"] == PROJECT_NAME;
        if !is_right || !(scope.is_null() || is_of_project) {
            let message = "The username or password is wrong.";
            let error = json!({"code": 401, "message": message, "title": "Unauthorized"});
            return json_reply(StatusCode::UNAUTHORIZED, &json!({"error": error}));
        }
        let token = format!("{TOKEN}-{}", self.logins);
        let expires = now.saturating_add(self.token_lifetime).unwrap_or(Timestamp::MAX);
        self.tokens.insert(token.clone(), expires);
        let domain = json!({"id": "simulated-domain-id", "name": DOMAIN});
        let mut body = json!({"token": {
            "expires_at": format!("{expires:.6}"), "issued_at": format!("{now:.6}"),
            "methods": ["password"], "roles": [],
            "user": {"id": "simulated-user-id", "name": USER, "domain": domain},
        }});
        if !scope.is_null() {
            let project =
                json!({"id": self.project.as_str(), "name": PROJECT_NAME, "domain": domain});
            body["token"]["project"] = project;
            body["token"]["catalog"] = catalog(origin);
        }
        let mut reply = json_reply(StatusCode::CREATED, &body);
        reply.headers_mut().extend(token.parse().map(|token| (X_SUBJECT_TOKEN, token)));
        reply
    }
}

/// The project's name, beside its id.
const PROJECT_NAME: &str = "eu-de";

const X_SUBJECT_TOKEN: http::HeaderName = http::HeaderName::from_static("x-subject-token");

/// Returns the gateway's message for a rejected signature.
fn message(error: &SignatureError) -> String {
    match error {
        SignatureError::Incomplete(missing) => {
            format!("the signature is incomplete: {missing} is missing or invalid")
        }
        SignatureError::UnknownKey => "no such access key".into(),
        SignatureError::ClockSkew => "the signature is expired".into(),
        SignatureError::Mismatch { canonical_request } => {
            let canonical_request = canonical_request.replace('\n', "|");
            format!("verify aksk signature fail, the canonical request is: {canonical_request}")
        }
    }
}

/// Returns the service catalog. All its URLs point to the address of the login.
fn catalog(origin: &str) -> Value {
    let entry = |service: &str, name: &str, url: String| {
        let endpoint = json!({"id": format!("{name}-endpoint"), "interface": "public",
            "region": PROJECT_NAME, "region_id": PROJECT_NAME, "url": url});
        json!({"id": name, "name": name, "type": service, "endpoints": [endpoint]})
    };
    json!([
        entry("ccev2.0", "ccev2.0", origin.into()),
        entry("identity", "iam", format!("{origin}/v3"))
    ])
}

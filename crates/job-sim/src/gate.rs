//! Who is let in: the gateway's check of tokens and signatures, and the identity service that gives
//! tokens. Reads no clock.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use job_model::ProjectId;
use job_transport::{AccessKey, PasswordLogin};
use serde_json::{Value, json};

use crate::{
    reply::{header, json_reply},
    verify::{Refusal, authorization},
};

/// How many wrong signatures in a row lock a key, and for how long. The service takes one more.
const WRONG_IN_A_ROW: u32 = 5;
const LOCKED: SignedDuration = SignedDuration::from_mins(5);

/// The token that is valid without a login. Like the other secrets here, it has characters that look
/// otherwise when they are encoded: who searches for a leak finds it in any form.
const TOKEN: &str = "simulated-token/+=";
const USER: &str = "simulated-user";
const PASSWORD: &str = "simulated-password \"/+%\\";
const DOMAIN: &str = "simulated-domain";

/// Sets apart the keys of simulations in one process: each has a lockout of its own.
static KEYS: AtomicU32 = AtomicU32::new(0);

/// What the gateway knows of credentials.
#[derive(Debug)]
pub(crate) struct Gate {
    project: ProjectId,
    token_lifetime: SignedDuration,
    /// When each token expires.
    tokens: BTreeMap<String, Timestamp>,
    logins: u32,
    access_key: String,
    secret_key: String,
    wrong_in_a_row: u32,
    locked_until: Timestamp,
}

/// Why a request is not let in.
pub(crate) type Refused = (StatusCode, Value);

impl Gate {
    pub(crate) fn new(project: ProjectId) -> Self {
        let key = KEYS.fetch_add(1, Ordering::Relaxed);
        Self {
            project,
            token_lifetime: SignedDuration::from_hours(24),
            tokens: BTreeMap::from([(TOKEN.into(), Timestamp::MAX)]),
            logins: 0,
            access_key: format!("SIMULATEDKEY{key:08}"),
            secret_key: format!("simulated-secret/+=-{key:08}"),
            wrong_in_a_row: 0,
            locked_until: Timestamp::MIN,
        }
    }

    pub(crate) const fn token() -> &'static str {
        TOKEN
    }

    #[expect(clippy::expect_used, reason = "a key of plain letters")]
    pub(crate) fn access_key(&self) -> AccessKey {
        AccessKey::new(&*self.access_key, &*self.secret_key).expect("a key of plain letters")
    }

    pub(crate) fn login() -> PasswordLogin {
        PasswordLogin::new(USER, PASSWORD, DOMAIN)
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
    pub(crate) fn check(
        &mut self,
        request: &Request<Bytes>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        if request.headers().contains_key("authorization") {
            return self.check_signature(request, now).map_err(|message| {
                let message = format!("Incorrect IAM authentication information: {message}");
                unauthorized("APIGW.0301", &message)
            });
        }
        match self.tokens.get(header(request.headers(), "x-auth-token")) {
            Some(expires) if now < *expires => Ok(()),
            _ => Err(unauthorized("APIGW.0307", "The token must be updated.")),
        }
    }

    fn check_signature(&mut self, request: &Request<Bytes>, now: Timestamp) -> Result<(), String> {
        let authorization = authorization(request).map_err(|refusal| told(&refusal))?;
        // What another key does locks that one.
        if authorization.access_key != self.access_key {
            return Err(told(&Refusal::UnknownKey));
        }
        if now < self.locked_until {
            return Err("too many wrong signatures; the access key is locked".into());
        }
        let Err(refusal) = authorization.verify(request, &self.secret_key, now) else {
            self.wrong_in_a_row = 0;
            return Ok(());
        };
        self.wrong_in_a_row += 1;
        if self.wrong_in_a_row >= WRONG_IN_A_ROW {
            self.wrong_in_a_row = 0;
            self.locked_until = now.saturating_add(LOCKED).unwrap_or(Timestamp::MAX);
        }
        Err(told(&refusal))
    }

    /// Answers a login with a token, or refuses it.
    pub(crate) fn log_in(&mut self, request: &Request<Bytes>, now: Timestamp) -> Response<Bytes> {
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
        let mut body = json!({"token": {
            "expires_at": format!("{expires:.6}"), "issued_at": format!("{now:.6}"),
            "methods": ["password"], "user": {"name": USER, "domain": {"name": DOMAIN}},
        }});
        if !scope.is_null() {
            body["token"]["project"] = json!({"id": self.project.as_str(), "name": PROJECT_NAME});
        }
        let mut reply = json_reply(StatusCode::CREATED, &body);
        reply.headers_mut().extend(token.parse().map(|token| (X_SUBJECT_TOKEN, token)));
        reply
    }
}

/// The project's name, beside its id.
pub(crate) const PROJECT_NAME: &str = "eu-de";

const X_SUBJECT_TOKEN: http::HeaderName = http::HeaderName::from_static("x-subject-token");

/// Returns what the gateway says of a refusal.
fn told(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Incomplete(what) => format!("the signature lacks {what}"),
        Refusal::UnknownKey => "no such access key".into(),
        Refusal::Skew => "the signature is expired".into(),
        Refusal::Wrong { canonical_request } => {
            let canonical_request = canonical_request.replace('\n', "|");
            format!("verify aksk signature fail, the canonical request is: {canonical_request}")
        }
    }
}

fn unauthorized(code: &str, message: &str) -> Refused {
    (StatusCode::UNAUTHORIZED, json!({"error_code": code, "error_msg": message}))
}

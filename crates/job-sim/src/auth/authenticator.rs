//! Simulates the gateway's check of tokens and signatures, and keeps those that were issued. Reads no
//! clock.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use jiff::{SignedDuration, Timestamp};
use job_model::ProjectId;

use super::{
    account::{self, TestAccount},
    verify::{SignatureError, parse_authorization},
};
use crate::reply::{ErrorReply, documented_error, gateway_error, header, service_error};

/// Consecutive wrong signatures that lock a key, and how long the key stays locked. The real
/// service tolerates one more.
const LOCKOUT_THRESHOLD: u32 = 5;
const LOCKOUT_PERIOD: SignedDuration = SignedDuration::from_mins(5);

/// Makes the access key of each simulation in a process unique, because each key has its own
/// lockout.
static KEY_COUNTER: AtomicU32 = AtomicU32::new(0);

/// What a token is valid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Only for other tokens and temporary keys.
    Unscoped,
    Domain,
    Project,
}

#[derive(Clone, Debug)]
pub(crate) struct IssuedToken {
    pub(crate) text: String,
    pub(crate) caller: String,
    pub(crate) scope: Scope,
    pub(crate) expires: Timestamp,
}

/// An access key with a security token, both of which expire.
#[derive(Clone, Debug)]
pub(crate) struct TemporaryKey {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) security_token: String,
    pub(crate) caller: String,
    pub(crate) expires: Timestamp,
}

/// The credentials that the gateway accepts.
#[derive(Debug)]
pub(crate) struct Authenticator {
    project: ProjectId,
    token_lifetime: SignedDuration,
    tokens: BTreeMap<String, IssuedToken>,
    /// The temporary keys, by access key.
    temporary_keys: BTreeMap<String, TemporaryKey>,
    /// The number of tokens and temporary keys that were issued.
    issued: u32,
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
            tokens: BTreeMap::from([(account::TOKEN.into(), first_token())]),
            temporary_keys: BTreeMap::new(),
            issued: 0,
            access_key: format!("SIMULATEDKEY{key:08}"),
            secret_key: format!("simulated-secret/+=-{key:08}"),
            consecutive_wrong_signatures: 0,
            locked_until: Timestamp::MIN,
        }
    }

    pub(crate) fn account(&self) -> TestAccount {
        TestAccount::new(&self.access_key, &self.secret_key, &self.project)
    }

    pub(crate) const fn project(&self) -> &ProjectId {
        &self.project
    }

    pub(crate) const fn set_token_lifetime(&mut self, lifetime: SignedDuration) {
        self.token_lifetime = lifetime;
    }

    pub(crate) fn expire_tokens(&mut self) {
        self.tokens.clear();
        self.temporary_keys.values_mut().for_each(|key| key.expires = Timestamp::MIN);
    }

    /// Returns when something that is issued now expires.
    pub(crate) fn expiry(&self, now: Timestamp) -> Timestamp {
        now.saturating_add(self.token_lifetime).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn issue_token(
        &mut self,
        caller: String,
        scope: Scope,
        now: Timestamp,
    ) -> IssuedToken {
        self.issued += 1;
        let text = format!("{}-{}", account::TOKEN, self.issued);
        let token = IssuedToken { text, caller, scope, expires: self.expiry(now) };
        self.tokens.insert(token.text.clone(), token.clone());
        token
    }

    pub(crate) fn issue_temporary_key(&mut self, caller: String, now: Timestamp) -> TemporaryKey {
        self.issued += 1;
        let number = self.issued;
        let key = TemporaryKey {
            access_key: format!("TEMPORARY{}{number:04}", self.access_key),
            secret_key: format!("{}-{number}", self.secret_key),
            security_token: format!("simulated-security-token/+={number}"),
            caller,
            expires: self.expiry(now),
        };
        self.temporary_keys.insert(key.access_key.clone(), key.clone());
        key
    }

    /// Returns a token that was issued and has not expired.
    pub(crate) fn token(&self, text: &str, now: Timestamp) -> Option<&IssuedToken> {
        self.tokens.get(text).filter(|token| now < token.expires)
    }

    /// Checks the token or signature of a request to the job API. Returns the caller.
    pub(crate) fn authenticate_for_project(
        &mut self,
        request: &Request<Bytes>,
        now: Timestamp,
    ) -> Result<String, ErrorReply> {
        let text = header(request.headers(), "x-auth-token");
        if self.token(text, now).is_some_and(|token| token.scope == Scope::Unscoped) {
            return Err(service_error(StatusCode::FORBIDDEN));
        }
        self.authenticate(request, now)
    }

    /// Checks a request's token or signature. Returns the caller.
    pub(crate) fn authenticate(
        &mut self,
        request: &Request<Bytes>,
        now: Timestamp,
    ) -> Result<String, ErrorReply> {
        if request.headers().contains_key("authorization") {
            return self.check_signature(request, now).map_err(|message| {
                let message = format!("Incorrect IAM authentication information: {message}");
                gateway_error(StatusCode::UNAUTHORIZED, "APIGW.0301", &message)
            });
        }
        match self.token(header(request.headers(), "x-auth-token"), now) {
            Some(token) => Ok(token.caller.clone()),
            None => Err(documented_error(StatusCode::UNAUTHORIZED)),
        }
    }

    fn check_signature(
        &mut self,
        request: &Request<Bytes>,
        now: Timestamp,
    ) -> Result<String, String> {
        let authorization = parse_authorization(request).map_err(|error| message(&error))?;
        if let Some(key) = self.temporary_keys.get(authorization.access_key) {
            authorization.verify(request, &key.secret_key, now).map_err(|error| message(&error))?;
            if header(request.headers(), "x-security-token") != key.security_token {
                return Err("decrypt token fail".into());
            }
            return match now < key.expires {
                true => Ok(key.caller.clone()),
                false => Err("securityToken expires".into()),
            };
        }
        // A wrong signature with another key does not count for this one.
        if authorization.access_key != self.access_key {
            return Err(message(&SignatureError::UnknownKey));
        }
        if now < self.locked_until {
            return Err("too many wrong signatures; the access key is locked".into());
        }
        let Err(error) = authorization.verify(request, &self.secret_key, now) else {
            self.consecutive_wrong_signatures = 0;
            return Ok(account::USER_CALLER.into());
        };
        self.consecutive_wrong_signatures += 1;
        if self.consecutive_wrong_signatures >= LOCKOUT_THRESHOLD {
            self.consecutive_wrong_signatures = 0;
            self.locked_until = now.saturating_add(LOCKOUT_PERIOD).unwrap_or(Timestamp::MAX);
        }
        Err(message(&error))
    }
}

/// The token that is valid without a login.
fn first_token() -> IssuedToken {
    IssuedToken {
        text: account::TOKEN.into(),
        caller: account::USER_CALLER.into(),
        scope: Scope::Project,
        expires: Timestamp::MAX,
    }
}

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

//! Simulates the services that issue tokens and temporary keys: the identity service, the token
//! service, the metadata service of a machine and the pod identity service of a node. Reads no
//! clock.

mod flow;
mod tokens;
mod temporary_keys;
mod projects;
mod metadata;

pub(crate) use flow::IdentityCall;
pub use flow::IdentityFlow;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{auth::Authenticator, reply::json_reply};

/// The state of these services, apart from the tokens and keys that they issued.
#[derive(Debug)]
pub(crate) struct IdentityService {
    /// The number of requests of each flow.
    counts: BTreeMap<IdentityFlow, u32>,
    /// Whether a login needs the passcode besides the password.
    pub(crate) requires_passcode: bool,
    /// Whether the metadata service issues session tokens.
    pub(crate) has_sessions: bool,
    /// Whether the machine has an agency.
    pub(crate) has_agency: bool,
    /// When each session token of the metadata service expires.
    sessions: BTreeMap<String, Timestamp>,
    /// The ids and names of the projects besides that of the jobs.
    projects: Vec<(String, String)>,
}

/// A request to one of the services, and what it may change.
struct Exchange<'e> {
    request: &'e Request<Bytes>,
    body: Value,
    authenticator: &'e mut Authenticator,
    /// The origin that the request was sent to.
    origin: &'e str,
    now: Timestamp,
}

impl IdentityService {
    pub(crate) fn new() -> Self {
        Self {
            counts: BTreeMap::new(),
            requires_passcode: false,
            has_sessions: true,
            has_agency: true,
            sessions: BTreeMap::new(),
            projects: vec![
                ("0a1b2c3d4e5f60718293a4b5c6d7e8f9".into(), "eu-de_team".into()),
                ("1a1b2c3d4e5f60718293a4b5c6d7e8f9".into(), "eu-nl".into()),
            ],
        }
    }

    /// Returns the number of requests of a flow.
    pub(crate) fn requests(&self, flow: IdentityFlow) -> u32 {
        self.counts.get(&flow).copied().unwrap_or_default()
    }

    /// Returns the number of requests for a token at `POST /v3/auth/tokens`.
    pub(crate) fn logins(&self) -> u32 {
        use IdentityFlow::{AgencyToken, Password, TokenExchange};
        [Password, TokenExchange, AgencyToken].map(|flow| self.requests(flow)).iter().sum()
    }

    pub(crate) fn add_project(&mut self, id: &str, name: &str) {
        self.projects.push((id.into(), name.into()));
    }

    /// Ends all sessions of the metadata service.
    pub(crate) fn expire_sessions(&mut self) {
        self.sessions.clear();
    }

    /// Answers a request to one of the services.
    pub(crate) fn answer(
        &mut self,
        call: IdentityCall,
        request: &Request<Bytes>,
        authenticator: &mut Authenticator,
        origin: &str,
        now: Timestamp,
    ) -> Response<Bytes> {
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        *self.counts.entry(call.flow(&body)).or_default() += 1;
        let exchange = Exchange { request, body, authenticator, origin, now };
        match call {
            IdentityCall::Tokens => self.issue_token(exchange),
            IdentityCall::InspectToken => exchange.inspect_token(),
            IdentityCall::IdToken => exchange.exchange_id_token(),
            IdentityCall::SecurityTokens => exchange.issue_key(),
            IdentityCall::AssumeWithOidc => exchange.assume_with_oidc(),
            IdentityCall::Projects => self.list_projects(exchange),
            IdentityCall::MetadataToken => self.start_session(&exchange),
            IdentityCall::MetadataKey => self.metadata_key(exchange),
            IdentityCall::PodIdentity => exchange.pod_key(),
        }
    }
}

/// Returns an error in the format of the identity service.
fn identity_error(status: StatusCode, message: &str) -> Response<Bytes> {
    let title = status.canonical_reason().unwrap_or("Error");
    let error = json!({"code": status.as_u16(), "message": message, "title": title});
    json_reply(status, &json!({"error": error}))
}

#[cfg(test)]
mod tests;

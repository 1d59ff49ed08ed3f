//! The metadata service of a machine: session tokens, and the temporary key of its agency.

use bytes::Bytes;
use http::{Response, StatusCode};
use jiff::SignedDuration;
use serde_json::json;

use super::{Exchange, IdentityFlow, IdentityService, temporary_keys::key_fields};
use crate::reply::{header, json_reply, text_reply};

impl IdentityService {
    /// Answers `PUT /meta-data/latest/api/token`.
    pub(super) fn start_session(&mut self, exchange: &Exchange<'_>) -> Response<Bytes> {
        if !self.has_sessions {
            return text_reply(StatusCode::NOT_FOUND, "404 page not found".into());
        }
        let ttl = header(exchange.request.headers(), "x-metadata-token-ttl-seconds");
        let Ok(ttl) = ttl.parse::<u32>() else {
            return text_reply(StatusCode::BAD_REQUEST, "the time to live is missing".into());
        };
        let token = format!("simulated-session-{}", self.requests(IdentityFlow::MetadataToken));
        let expires = exchange.now.saturating_add(SignedDuration::from_secs(ttl.into()));
        self.sessions.insert(token.clone(), expires.unwrap_or(exchange.now));
        text_reply(StatusCode::OK, token)
    }

    /// Answers `GET /openstack/latest/securitykey`.
    pub(super) fn metadata_key(&self, exchange: Exchange<'_>) -> Response<Bytes> {
        let token = header(exchange.request.headers(), "x-metadata-token");
        let is_valid = self.sessions.get(token).is_some_and(|expires| exchange.now < *expires);
        if self.has_sessions && !is_valid {
            return text_reply(StatusCode::UNAUTHORIZED, "the session token is invalid".into());
        }
        if !self.has_agency {
            let message = "Please configure Cloud Service Agency first";
            return text_reply(StatusCode::UNAUTHORIZED, message.into());
        }
        let caller = "agency of the machine".into();
        let key = exchange.authenticator.issue_temporary_key(caller, exchange.now);
        json_reply(StatusCode::OK, &json!({"credential": key_fields(&key)}))
    }
}

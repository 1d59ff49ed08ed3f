//! Issues temporary keys: for a token, an agency, an ID token, or the token of a pod.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Exchange, identity_error};
use crate::{
    auth::{TemporaryKey, account},
    reply::{header, json_reply},
};

impl Exchange<'_> {
    /// Answers `POST /v3.0/OS-CREDENTIAL/securitytokens`.
    pub(super) fn issue_key(self) -> Response<Bytes> {
        let identity = &self.body["auth"]["identity"];
        let caller = match identity["methods"][0].as_str() {
            Some("token") => {
                let in_body = identity["token"]["id"].as_str();
                let in_header = header(self.request.headers(), "x-auth-token");
                self.caller_of(in_body.unwrap_or(in_header))
            }
            Some("assume_role") => match self.authenticator.authenticate(self.request, self.now) {
                Ok(_) => self.requested_agency(),
                Err(error) => return json_reply(error.status, &error.body),
            },
            _ => None,
        };
        match caller {
            Some(caller) => {
                let key = self.authenticator.issue_temporary_key(caller, self.now);
                json_reply(StatusCode::CREATED, &json!({"credential": key_fields(&key)}))
            }
            None => identity_error(StatusCode::UNAUTHORIZED, "The token or the agency is invalid."),
        }
    }

    /// Answers `POST /v5/agencies/assume-with-oidc`.
    pub(super) fn assume_with_oidc(self) -> Response<Bytes> {
        let is_right = self.body["id_token"] == account::ID_TOKEN
            && self.body["provider_urn"] == account::PROVIDER_URN
            && self.body["agency_urn"] == account::AGENCY_URN
            && self.body["agency_session_name"].is_string()
            && self.body["duration_seconds"].is_u64();
        if !is_right {
            let body = json!({"error_code": "STS.0001", "error_msg": "The ID token is invalid."});
            return json_reply(StatusCode::UNAUTHORIZED, &body);
        }
        let caller = format!("agency {} by OIDC", account::AGENCY);
        let key = self.authenticator.issue_temporary_key(caller, self.now);
        let assumed = json!({"urn": account::AGENCY_URN, "id": "simulated-agency-id"});
        let credentials = json!({
            "access_key_id": key.access_key, "secret_access_key": key.secret_key,
            "security_token": key.security_token, "expiration": expires_at(&key),
        });
        let body = json!({"credentials": credentials, "assumed_agency": assumed});
        json_reply(StatusCode::OK, &body)
    }

    /// Answers `POST /v1/credentials`, the pod identity service.
    pub(super) fn pod_key(self) -> Response<Bytes> {
        if header(self.request.headers(), "authorization") != account::POD_TOKEN {
            let body = json!({"message": "the service account's token is invalid"});
            return json_reply(StatusCode::UNAUTHORIZED, &body);
        }
        let key = self.authenticator.issue_temporary_key("agency of the pod".into(), self.now);
        let body = json!({
            "accessKeyId": key.access_key, "secretAccessKey": key.secret_key,
            "securityToken": key.security_token, "expiration": expires_at(&key),
        });
        json_reply(StatusCode::OK, &body)
    }
}

/// Returns a key in the format of the identity and metadata services.
pub(super) fn key_fields(key: &TemporaryKey) -> Value {
    json!({
        "access": key.access_key, "secret": key.secret_key, "securitytoken": key.security_token,
        "expires_at": expires_at(key),
    })
}

fn expires_at(key: &TemporaryKey) -> String {
    format!("{:.6}", key.expires)
}

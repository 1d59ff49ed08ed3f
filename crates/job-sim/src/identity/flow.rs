//! The ways to get a token or a temporary key, which are counted separately.

use serde_json::Value;

/// A kind of request to the services that issue tokens and temporary keys.
///
/// [`Sim::identity_requests`](crate::Sim::identity_requests) counts the requests of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum IdentityFlow {
    /// `POST /v3/auth/tokens` with a password, and perhaps a passcode.
    Password,
    /// `POST /v3/auth/tokens` with another token.
    TokenExchange,
    /// `POST /v3/auth/tokens` to assume an agency.
    AgencyToken,
    /// `GET /v3/auth/tokens`: what a token is for.
    TokenInspection,
    /// `POST /v3.0/OS-AUTH/id-token/tokens`.
    IdToken,
    /// `POST /v3.0/OS-CREDENTIAL/securitytokens` with a token.
    KeyForToken,
    /// `POST /v3.0/OS-CREDENTIAL/securitytokens` to assume an agency.
    AgencyKey,
    /// `POST /v5/agencies/assume-with-oidc`.
    AssumeWithOidc,
    /// `GET /v3/projects`.
    Projects,
    /// `PUT /meta-data/latest/api/token`.
    MetadataToken,
    /// `GET /openstack/latest/securitykey`.
    MetadataKey,
    /// `POST /v1/credentials`, the pod identity service.
    PodIdentity,
}

/// A call of one of the services, from the method and the path only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdentityCall {
    Tokens,
    InspectToken,
    IdToken,
    SecurityTokens,
    AssumeWithOidc,
    Projects,
    MetadataToken,
    MetadataKey,
    PodIdentity,
}

impl IdentityCall {
    /// Returns the flow that a request with this body belongs to.
    pub(super) fn flow(self, body: &Value) -> IdentityFlow {
        let assumes_role = body["auth"]["identity"]["assume_role"].is_object();
        match self {
            Self::Tokens if assumes_role => IdentityFlow::AgencyToken,
            Self::Tokens if body["auth"]["identity"]["token"].is_object() => {
                IdentityFlow::TokenExchange
            }
            Self::Tokens => IdentityFlow::Password,
            Self::InspectToken => IdentityFlow::TokenInspection,
            Self::IdToken => IdentityFlow::IdToken,
            Self::SecurityTokens if assumes_role => IdentityFlow::AgencyKey,
            Self::SecurityTokens => IdentityFlow::KeyForToken,
            Self::AssumeWithOidc => IdentityFlow::AssumeWithOidc,
            Self::Projects => IdentityFlow::Projects,
            Self::MetadataToken => IdentityFlow::MetadataToken,
            Self::MetadataKey => IdentityFlow::MetadataKey,
            Self::PodIdentity => IdentityFlow::PodIdentity,
        }
    }
}

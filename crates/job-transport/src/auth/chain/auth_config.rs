//! The authentication method of a source, with its values.

use std::{path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::{error::CredentialChainError, field::Field};
use crate::auth::{access_key::AccessKey, identity::PasswordLogin, providers::TokenSource};

/// How requests are authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// With a token.
    Token,
    /// With a key pair that signs each request.
    AccessKey,
    /// With a user's password, which the identity service exchanges for a token.
    Password,
    /// With an ID token of an identity provider (OpenID Connect), exchanged for a temporary key.
    Oidc,
    /// With a temporary key of the metadata service of a virtual machine (ECS).
    Metadata,
    /// With a temporary key for the service account of a Kubernetes pod.
    PodIdentity,
}

impl AuthMethod {
    /// Returns the method as one word, for example for a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::AccessKey => "access_key",
            Self::Password => "password",
            Self::Oidc => "oidc",
            Self::Metadata => "metadata",
            Self::PodIdentity => "pod_identity",
        }
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Token => "a token",
            Self::AccessKey => "a key pair",
            Self::Password => "a password",
            Self::Oidc => "an identity provider",
            Self::Metadata => "the metadata service",
            Self::PodIdentity => "the pod identity",
        }
    }

    pub(super) const ANY_MISSING: &str = "no token, key pair or password";

    pub(super) const fn missing(self) -> &'static str {
        match self {
            Self::Token => "no token",
            Self::AccessKey => "no key pair",
            Self::Password => "no password",
            Self::Oidc => "no identity provider",
            Self::Metadata => "no metadata service",
            Self::PodIdentity => "no pod identity",
        }
    }
}

/// The authentication method, with its values.
#[derive(Clone)]
pub(super) enum AuthConfig {
    Token(SecretString),
    TokenFile(PathBuf),
    Key(AccessKey),
    Password(PasswordLogin),
    /// An ID token for the identity service.
    OidcLogin {
        idp_id: String,
        id_token: IdToken,
    },
    /// An ID token for the token service.
    OidcAssume(Box<OidcAgency>),
    Metadata,
    PodIdentity {
        uri: String,
        token_file: PathBuf,
    },
}

/// An ID token, or the file that contains it.
#[derive(Clone)]
pub(super) enum IdToken {
    Text(SecretString),
    File(PathBuf),
}

impl IdToken {
    pub(super) fn source(&self) -> Result<TokenSource, CredentialChainError> {
        match self {
            Self::Text(token) => TokenSource::text(token.expose_secret())
                .map_err(|error| CredentialChainError::Secret("the ID token".into(), error)),
            Self::File(file) => Ok(TokenSource::file(file)),
        }
    }
}

/// An agency that trusts an identity provider.
#[derive(Clone)]
pub(super) struct OidcAgency {
    pub(super) provider_urn: String,
    pub(super) agency_urn: String,
    pub(super) id_token: IdToken,
    pub(super) session_name: Option<String>,
    pub(super) duration: Option<Duration>,
    pub(super) policy: Option<String>,
    pub(super) policy_ids: Vec<String>,
}

/// An agency (assumed role) of another account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agency {
    pub(super) domain: String,
    pub(super) name: String,
}

impl AuthConfig {
    pub(super) const fn method(&self) -> AuthMethod {
        match self {
            Self::Token(_) | Self::TokenFile(_) => AuthMethod::Token,
            Self::Key(_) => AuthMethod::AccessKey,
            Self::Password(_) => AuthMethod::Password,
            Self::OidcLogin { .. } | Self::OidcAssume(_) => AuthMethod::Oidc,
            Self::Metadata => AuthMethod::Metadata,
            Self::PodIdentity { .. } => AuthMethod::PodIdentity,
        }
    }

    /// Returns whether a setting is used with this authentication method.
    pub(super) const fn uses(&self, field: Field) -> bool {
        match field {
            Field::Token => matches!(self, Self::Token(_)),
            Field::AccessKey | Field::SecretKey | Field::SecurityToken => {
                matches!(self, Self::Key(_))
            }
            Field::User
            | Field::UserId
            | Field::Password
            | Field::Passcode
            | Field::UserDomain
            | Field::UserDomainId
            | Field::Domain
            | Field::DomainId => matches!(self, Self::Password(_)),
            Field::ProjectDomain | Field::ProjectDomainId => {
                matches!(self, Self::Password(_) | Self::Token(_) | Self::TokenFile(_))
            }
            Field::IdpId | Field::IdpTokenFile => matches!(self, Self::OidcLogin { .. }),
            Field::ProviderUrn
            | Field::AgencyUrn
            | Field::IdToken
            | Field::IdTokenFile
            | Field::SessionName
            | Field::Duration
            | Field::Policy
            | Field::PolicyIds
            | Field::TokenServiceUrl => matches!(self, Self::OidcAssume(_)),
            Field::PodUri | Field::PodTokenFile => matches!(self, Self::PodIdentity { .. }),
            Field::AuthType | Field::AuthMethods => !matches!(self, Self::TokenFile(_)),
            Field::AgencyDomain
            | Field::AgencyName
            | Field::DelegatedProject
            | Field::ProjectName
            | Field::ProjectId
            | Field::Region
            | Field::AuthUrl
            | Field::CaFile => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_has_a_stable_word() {
        let rows = [
            (AuthMethod::Token, "token"),
            (AuthMethod::AccessKey, "access_key"),
            (AuthMethod::Password, "password"),
            (AuthMethod::Oidc, "oidc"),
            (AuthMethod::Metadata, "metadata"),
            (AuthMethod::PodIdentity, "pod_identity"),
        ];
        for (method, word) in rows {
            assert_eq!(method.as_str(), word);
        }
    }
}

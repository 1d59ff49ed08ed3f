//! The settings that a source can contain.

/// A setting that a source can contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Token,
    AccessKey,
    SecretKey,
    SecurityToken,
    User,
    UserId,
    Password,
    /// A one-time passcode, the second factor of a password.
    Passcode,
    UserDomain,
    UserDomainId,
    /// The kind of credentials that are to be used.
    AuthType,
    /// The factors of `v3multifactor`.
    AuthMethods,
    /// The id of an identity provider, and the file with its ID token.
    IdpId,
    IdpTokenFile,
    /// The URN of an identity provider, and of the agency that trusts it.
    ProviderUrn,
    AgencyUrn,
    IdToken,
    IdTokenFile,
    SessionName,
    Duration,
    Policy,
    PolicyIds,
    PodUri,
    PodTokenFile,
    /// An agency of another account, which these credentials assume.
    AgencyName,
    AgencyDomain,
    DelegatedProject,
    ProjectName,
    ProjectId,
    ProjectDomain,
    ProjectDomainId,
    /// The account that a token is for, if it is not for a project.
    Domain,
    DomainId,
    Region,
    AuthUrl,
    TokenServiceUrl,
    CaFile,
}

impl Field {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::AccessKey => "access key",
            Self::SecretKey => "secret key",
            Self::SecurityToken => "security token",
            Self::User => "user",
            Self::UserId => "user id",
            Self::Password => "password",
            Self::Passcode => "passcode",
            Self::UserDomain => "user domain",
            Self::UserDomainId => "user domain id",
            Self::AuthType => "auth type",
            Self::AuthMethods => "auth methods",
            Self::IdpId => "identity provider",
            Self::IdpTokenFile | Self::IdTokenFile => "ID token file",
            Self::ProviderUrn => "provider URN",
            Self::AgencyUrn => "agency URN",
            Self::IdToken => "ID token",
            Self::SessionName => "session name",
            Self::Duration => "duration",
            Self::Policy => "policy",
            Self::PolicyIds => "policy ids",
            Self::PodUri => "pod identity URI",
            Self::PodTokenFile => "pod token file",
            Self::AgencyName => "agency",
            Self::AgencyDomain => "agency domain",
            Self::DelegatedProject => "delegated project",
            Self::ProjectName => "project name",
            Self::ProjectId => "project",
            Self::ProjectDomain => "project domain",
            Self::ProjectDomainId => "project domain id",
            Self::Domain => "domain",
            Self::DomainId => "domain id",
            Self::Region => "region",
            Self::AuthUrl => "identity service",
            Self::TokenServiceUrl => "token service",
            Self::CaFile => "CA file",
        }
    }

    /// Returns whether the setting identifies the project.
    pub(super) const fn is_project(self) -> bool {
        matches!(self, Self::ProjectId | Self::ProjectName)
    }

    /// Returns whether the setting is a part of an agency.
    pub(super) const fn is_agency(self) -> bool {
        matches!(self, Self::AgencyName | Self::AgencyDomain | Self::DelegatedProject)
    }

    /// Returns whether the setting is a part of credentials, so that it belongs to the other parts.
    pub(super) const fn is_credential(self) -> bool {
        match self {
            Self::Token
            | Self::AccessKey
            | Self::SecretKey
            | Self::SecurityToken
            | Self::User
            | Self::UserId
            | Self::Password
            | Self::Passcode
            | Self::UserDomain
            | Self::UserDomainId
            | Self::AuthType
            | Self::AuthMethods
            | Self::IdpId
            | Self::IdpTokenFile
            | Self::ProviderUrn
            | Self::AgencyUrn
            | Self::IdToken
            | Self::IdTokenFile
            | Self::SessionName
            | Self::Duration
            | Self::Policy
            | Self::PolicyIds
            | Self::PodUri
            | Self::PodTokenFile => true,
            Self::AgencyName
            | Self::AgencyDomain
            | Self::DelegatedProject
            | Self::ProjectName
            | Self::ProjectId
            | Self::ProjectDomain
            | Self::ProjectDomainId
            | Self::Domain
            | Self::DomainId
            | Self::Region
            | Self::AuthUrl
            | Self::TokenServiceUrl
            | Self::CaFile => false,
        }
    }

    /// Returns the setting that is used instead of this one, if both are set.
    pub(super) const fn preferred(self) -> Option<Self> {
        match self {
            Self::ProjectName => Some(Self::ProjectId),
            Self::User | Self::UserDomain | Self::UserDomainId => Some(Self::UserId),
            Self::IdTokenFile => Some(Self::IdToken),
            _ => None,
        }
    }

    /// Returns whether the setting is a secret.
    pub(super) const fn is_secret(self) -> bool {
        matches!(
            self,
            Self::Token
                | Self::SecretKey
                | Self::SecurityToken
                | Self::Password
                | Self::Passcode
                | Self::IdToken
        )
    }
}

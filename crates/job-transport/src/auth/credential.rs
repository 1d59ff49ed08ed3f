//! Credentials: as a provider returns them, and as a request uses them.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use job_model::ProjectId;
use secrecy::{ExposeSecret, SecretString};

use super::{
    access_key::AccessKey,
    secret::{InvalidCredential, SecretHeader, parse_secret},
};
use crate::{
    clock::Clock,
    request::{FetchError, FetchErrorKind},
};

/// A token, or a key pair.
pub(crate) enum Credential {
    Token(SecretHeader),
    Key(AccessKey),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token(..)"),
            Self::Key(key) => key.fmt(f),
        }
    }
}

/// The credentials that a provider returns: a token or a key pair.
#[derive(Debug)]
pub struct ProvidedCredential {
    pub(crate) credential: Credential,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) expires_at: Option<Timestamp>,
    /// When to call the provider again although the credentials are still valid, because their
    /// source may change.
    pub(crate) recheck_after: Option<Duration>,
    pub(crate) project: Option<ProjectId>,
}

impl ProvidedCredential {
    /// Creates credentials from a user token, which is sent as `X-Auth-Token`.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not a valid token; see
    /// [`Credentials::token`](crate::Credentials::token).
    pub fn token(token: impl Into<String>) -> Result<Self, InvalidCredential> {
        Ok(Self::from_token(parse_secret(token.into())?))
    }

    /// Creates credentials from a key pair.
    #[must_use]
    pub fn access_key(key: AccessKey) -> Self {
        Self::new(Credential::Key(key))
    }

    /// Sets how long the credentials are valid, from now on.
    ///
    /// They are refreshed after 80 to 90 % of the lifetime. Without a lifetime, they are refreshed
    /// only when the service refuses them (401).
    #[must_use]
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Sets when the credentials expire, as wall-clock time.
    ///
    /// The lifetime is then the time until this, by the clock of the client. Prefer
    /// [`lifetime`](Self::lifetime), which takes precedence, if the service states its own time:
    /// this machine's clock may be wrong.
    #[must_use]
    pub const fn expires_at(mut self, at: Timestamp) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// Sets the project of the credentials, for clients without a project of their own.
    #[must_use]
    pub fn project(mut self, project: ProjectId) -> Self {
        self.project = Some(project);
        self
    }

    /// Returns how long the credentials are still valid. An expiry in the past is a lifetime of zero.
    pub(crate) fn remaining_lifetime(&self, clock: &dyn Clock) -> Option<Duration> {
        let until = |at: Timestamp| at.duration_since(clock.now()).try_into().unwrap_or_default();
        self.lifetime.or_else(|| self.expires_at.map(until))
    }

    /// Returns the token. Returns an error if the credentials are a key pair.
    pub(crate) fn into_token(self) -> Result<SecretString, FetchError> {
        match self.credential {
            Credential::Token(token) => Ok(token.into_secret()),
            Credential::Key(_) => Err(FetchError::new(FetchErrorKind::NoToken)),
        }
    }

    pub(crate) fn from_token(token: SecretString) -> Self {
        Self::new(Credential::Token(token.into()))
    }

    const fn new(credential: Credential) -> Self {
        Self { credential, lifetime: None, expires_at: None, recheck_after: None, project: None }
    }
}

/// The credentials of a request.
pub(crate) struct IssuedCredential {
    pub(crate) credential: Credential,
    /// The project that the provider named.
    pub(crate) project: Option<ProjectId>,
    /// The number of the provider's result, so that a late refusal of old credentials does not
    /// count as a refusal of newer ones.
    pub(crate) generation: u64,
}

impl IssuedCredential {
    pub(crate) fn new(provided: ProvidedCredential, generation: u64) -> Self {
        Self { credential: provided.credential, project: provided.project, generation }
    }

    /// Returns whether both are the same key pair with the same security token.
    pub(crate) fn has_same_key(&self, other: &Self) -> bool {
        match (&self.credential, &other.credential) {
            (Credential::Key(key), Credential::Key(other)) => key.id("") == other.id(""),
            _ => false,
        }
    }

    /// Returns whether both are the same token, or the same key pair with the same security token.
    pub(crate) fn has_same_secret(&self, other: &Self) -> bool {
        match (&self.credential, &other.credential) {
            (Credential::Token(token), Credential::Token(other)) => {
                token.expose_secret() == other.expose_secret()
            }
            _ => self.has_same_key(other),
        }
    }
}

//! Credentials: as a provider returns them, and as a request uses them.

use std::{fmt, time::Duration};

use job_model::ProjectId;
use secrecy::SecretString;

use super::{
    access_key::AccessKey,
    secret::{InvalidCredential, parse_secret},
};

/// A token, or a key pair.
pub(crate) enum Credential {
    Token(SecretString),
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
        Ok(Self::new(Credential::Token(parse_secret(token.into())?)))
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

    /// Sets the project of the credentials, for clients without a project of their own.
    #[must_use]
    pub fn project(mut self, project: ProjectId) -> Self {
        self.project = Some(project);
        self
    }

    pub(crate) const fn new(credential: Credential) -> Self {
        Self { credential, lifetime: None, project: None }
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
}

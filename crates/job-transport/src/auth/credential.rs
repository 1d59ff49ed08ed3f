//! A credential on its way: as a provider gives it, and as a request uses it.

use std::{fmt, sync::Arc, time::Duration};

use job_model::ProjectId;
use secrecy::SecretString;

use super::{
    access_key::AccessKey,
    secret::{InvalidCredential, parse_secret},
    signature_guard::SignatureGuard,
};

/// A token, or a key pair with the guard of its signatures.
pub(crate) enum Credential {
    Token(SecretString),
    Key { key: AccessKey, guard: Arc<SignatureGuard> },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token(..)"),
            Self::Key { key, .. } => key.fmt(f),
        }
    }
}

/// What a provider gives.
#[derive(Debug)]
pub struct ProvidedCredential {
    pub(crate) credential: Credential,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) project: Option<ProjectId>,
}

impl ProvidedCredential {
    /// Provides a user token, sent as `X-Auth-Token`.
    ///
    /// # Errors
    ///
    /// Where the text cannot be a token; see [`Credentials::token`](crate::Credentials::token).
    pub fn token(token: impl Into<String>) -> Result<Self, InvalidCredential> {
        Ok(Self::new(Credential::Token(parse_secret(token.into())?)))
    }

    /// Provides a key pair.
    #[must_use]
    pub fn access_key(key: AccessKey) -> Self {
        let guard = key.guard();
        Self::new(Credential::Key { key, guard })
    }

    /// Says for how long it will be accepted, from now on. It is renewed early, between eight and
    /// nine tenths of that. Without a lifetime it is renewed only when the service refuses it.
    #[must_use]
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Says to which project it belongs, for clients that were given none.
    #[must_use]
    pub fn project(mut self, project: ProjectId) -> Self {
        self.project = Some(project);
        self
    }

    pub(crate) const fn new(credential: Credential) -> Self {
        Self { credential, lifetime: None, project: None }
    }
}

/// What one request is authenticated with.
pub(crate) struct IssuedCredential {
    pub(crate) credential: Credential,
    /// The project that the provider named.
    pub(crate) project: Option<ProjectId>,
    /// Counts what was provided, so that a refusal of one is no refusal of the next.
    pub(crate) generation: u64,
}

impl IssuedCredential {
    pub(crate) fn new(provided: ProvidedCredential, generation: u64) -> Self {
        Self { credential: provided.credential, project: provided.project, generation }
    }
}

//! What a convention gives: credentials, and what is said beside them. Shows no secret.

use std::{fmt, path::PathBuf};

use job_model::ProjectId;

use super::values::{Auth, Field, Proof};
use crate::{
    auth::{
        credentials::{Credentials, Means},
        identity::Identity,
        provider::Provided,
        token_file::TokenFile,
    },
    request::Endpoint,
    transport::Transport,
};

/// What was found, and where.
pub struct Found {
    pub(super) proof: Proof,
    /// The project, where it is named by its id. Where it is named otherwise, the identity
    /// service's reply tells it.
    pub project: Option<ProjectId>,
    /// The region.
    pub region: Option<String>,
    /// The identity service.
    pub auth_url: Option<Endpoint>,
    /// A file of certificate authorities, in PEM form.
    pub ca_file: Option<PathBuf>,
    pub(super) settings: Vec<(Field, Option<String>, String)>,
    pub(super) project_origin: String,
}

/// A value that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting<'a> {
    /// What it is, such as `project`.
    pub what: &'static str,
    /// The value; `None` where it is a secret.
    pub value: Option<&'a str>,
    /// Where it is from: a variable, a file, or a place in one.
    pub origin: &'a str,
}

impl Found {
    /// Returns the credentials. A password's token is had from the identity service, by way of this
    /// transport.
    #[must_use]
    pub fn credentials(&self, transport: impl Transport + 'static) -> Credentials {
        match &self.proof {
            Proof::Token(token) => Credentials::fixed(Provided::of(Means::Token(token.clone()))),
            Proof::TokenFile(file) => Credentials::provided(TokenFile::new(file)),
            Proof::Key(key) => Credentials::access_key(key.clone()),
            Proof::Password(login, auth_url) => {
                let identity = Identity::new(auth_url.clone(), login.clone(), transport);
                Credentials::provided(identity)
            }
        }
    }

    /// Takes this project in place of the one that was found; a login asks for a token of it.
    #[must_use]
    pub fn with_project(mut self, project: ProjectId) -> Self {
        if let Proof::Password(login, _) = &mut self.proof {
            *login = login.clone().project_id(project.clone());
        }
        self.settings.retain(|(field, ..)| !field.is_of_project());
        self.project = Some(project);
        self
    }

    /// Returns how it is proven who asks.
    #[must_use]
    pub const fn auth(&self) -> Auth {
        match self.proof {
            Proof::Token(_) | Proof::TokenFile(_) => Auth::Token,
            Proof::Key(_) => Auth::AccessKey,
            Proof::Password(..) => Auth::Password,
        }
    }

    /// Returns whether the project is known, or will be told by the identity service.
    #[must_use]
    pub fn names_a_project(&self) -> bool {
        self.settings.iter().any(|(field, ..)| field.is_of_project()) || self.project.is_some()
    }

    /// Returns where the convention that was taken has the project's id, or would have it: a variable,
    /// or a place in a file.
    #[must_use]
    pub fn project_origin(&self) -> &str {
        &self.project_origin
    }

    /// Returns each value that was found, and where it is from.
    pub fn settings(&self) -> impl Iterator<Item = Setting<'_>> {
        let settings = self.settings.iter();
        settings.map(|(field, value, origin)| Setting {
            what: field.what(),
            value: value.as_deref(),
            origin,
        })
    }
}

/// Shows where each value is from, and none of them.
impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings: Vec<_> = self.settings().map(|of| (of.what, of.origin)).collect();
        f.debug_struct("Found").field("settings", &settings).finish_non_exhaustive()
    }
}

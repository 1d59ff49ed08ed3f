//! The values of one source, and the credentials that they form.

use std::{collections::BTreeMap, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::error::{CredentialChainError, CredentialChainWarning};
use crate::{
    auth::{access_key::AccessKey, identity::PasswordLogin, secret::parse_secret},
    request::Endpoint,
};

/// A setting that a source can contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Token,
    AccessKey,
    SecretKey,
    SecurityToken,
    User,
    Password,
    UserDomain,
    ProjectName,
    ProjectId,
    Region,
    AuthUrl,
    CaFile,
}

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
}

impl AuthMethod {
    pub(super) const ANY_MISSING: &str = "no token, key pair or password";

    pub(super) const fn missing(self) -> &'static str {
        match self {
            Self::Token => "no token",
            Self::AccessKey => "no key pair",
            Self::Password => "no password",
        }
    }
}

/// The names of the settings in a source.
pub(super) type FieldNames = [(Field, &'static str)];

/// The values of a source.
pub(super) struct Values<'n> {
    pub(super) names: &'n FieldNames,
    /// Each value, and its origin.
    pub(super) values: BTreeMap<Field, (SecretString, String)>,
    /// The file and section, as a prefix of a name; empty for environment variables.
    pub(super) name_prefix: String,
    pub(super) warnings: Vec<CredentialChainWarning>,
}

/// The authentication method, with its values.
#[derive(Clone)]
pub(super) enum AuthConfig {
    Token(SecretString),
    TokenFile(PathBuf),
    Key(AccessKey),
    Password(PasswordLogin, Endpoint),
}

impl AuthConfig {
    /// Returns whether a setting is used with this authentication method.
    pub(super) const fn uses(&self, field: Field) -> bool {
        match field {
            Field::Token => matches!(self, Self::Token(_)),
            Field::AccessKey | Field::SecretKey | Field::SecurityToken => {
                matches!(self, Self::Key(_))
            }
            Field::User | Field::Password | Field::UserDomain | Field::ProjectName => {
                matches!(self, Self::Password(..))
            }
            Field::ProjectId | Field::Region | Field::AuthUrl | Field::CaFile => true,
        }
    }
}

impl<'n> Values<'n> {
    /// Creates an empty set of values.
    pub(super) const fn empty(names: &'n FieldNames, name_prefix: String) -> Self {
        Self { names, values: BTreeMap::new(), name_prefix, warnings: Vec::new() }
    }

    /// Returns whether any of the values is used with this authentication method.
    pub(super) fn has_values_for(&self, auth_config: &AuthConfig) -> bool {
        self.values.keys().any(|field| auth_config.uses(*field))
    }

    /// Returns the authentication method, which must be `only` if that is set.
    pub(super) fn auth_config(
        &self,
        only: Option<AuthMethod>,
    ) -> Result<Option<AuthConfig>, CredentialChainError> {
        let is_allowed = |auth| only.is_none_or(|only| only == auth);
        let refused = |origin: &str| {
            let origin = origin.to_owned();
            |error| CredentialChainError::Secret(origin, error)
        };
        if let Some((token, origin)) =
            self.get(Field::Token).filter(|_| is_allowed(AuthMethod::Token))
        {
            let token = parse_secret(token.into()).map_err(refused(origin))?;
            return Ok(Some(AuthConfig::Token(token)));
        }
        if is_allowed(AuthMethod::AccessKey)
            && let Some([(access_key, key_origin), (secret_key, origin)]) =
                self.all_or_none([Field::AccessKey, Field::SecretKey])?
        {
            parse_secret(access_key.into()).map_err(refused(key_origin))?;
            let key = AccessKey::new(access_key, secret_key).map_err(refused(origin))?;
            let key = match self.get(Field::SecurityToken) {
                Some((token, origin)) => key.with_security_token(token).map_err(refused(origin))?,
                None => key,
            };
            return Ok(Some(AuthConfig::Key(key)));
        }
        // A user name without a password is ignored, because it may be set for other reasons.
        if self.get(Field::Password).is_none() || !is_allowed(AuthMethod::Password) {
            return Ok(None);
        }
        let fields = [Field::Password, Field::User, Field::UserDomain, Field::AuthUrl];
        let Some([password, user, domain, _]) = self.all_or_none(fields)? else { return Ok(None) };
        let Some(auth_url) = self.auth_url()? else { return Ok(None) };
        let login = PasswordLogin::new(user.0, password.0, domain.0);
        let login = match (self.get(Field::ProjectId), self.get(Field::ProjectName)) {
            (Some((id, origin)), _) => login.project_id(
                id.parse().map_err(|error| CredentialChainError::Project(origin.into(), error))?,
            ),
            (None, Some((name, _))) => login.project_name(name),
            (None, None) => login,
        };
        Ok(Some(AuthConfig::Password(login, auth_url)))
    }

    pub(super) fn auth_url(&self) -> Result<Option<Endpoint>, CredentialChainError> {
        let auth_url = self.get(Field::AuthUrl).map(|(text, origin)| {
            text.parse().map_err(|error| CredentialChainError::AuthUrl(origin.into(), error))
        });
        auth_url.transpose()
    }

    /// Returns all of these values, or `None` if none is set. Returns an error if only some are
    /// set.
    fn all_or_none<const N: usize>(
        &self,
        fields: [Field; N],
    ) -> Result<Option<[(&str, &str); N]>, CredentialChainError> {
        let found = fields.map(|field| self.get(field));
        let Some((_, there)) = found.iter().flatten().next() else { return Ok(None) };
        match fields.iter().zip(found).find(|(_, found)| found.is_none()) {
            None => Ok(Some(found.map(Option::unwrap_or_default))),
            Some((missing, _)) => Err(CredentialChainError::Incomplete {
                present: (*there).into(),
                missing: self.name(*missing),
            }),
        }
    }

    pub(super) fn get(&self, field: Field) -> Option<(&str, &str)> {
        let (value, origin) = self.values.get(&field)?;
        Some((value.expose_secret(), origin))
    }

    pub(super) fn name(&self, field: Field) -> String {
        let name = self.names.iter().find(|(named, _)| *named == field);
        let name = name.map_or_else(|| field.label(), |(_, name)| name);
        format!("{}{name}", self.name_prefix)
    }
}

impl Field {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::AccessKey => "access key",
            Self::SecretKey => "secret key",
            Self::SecurityToken => "security token",
            Self::User => "user",
            Self::Password => "password",
            Self::UserDomain => "user domain",
            Self::ProjectName => "project name",
            Self::ProjectId => "project",
            Self::Region => "region",
            Self::AuthUrl => "identity service",
            Self::CaFile => "CA file",
        }
    }

    /// Returns whether the setting identifies the project.
    pub(super) const fn is_project(self) -> bool {
        matches!(self, Self::ProjectId | Self::ProjectName)
    }

    /// Returns whether the setting is a secret.
    pub(super) const fn is_secret(self) -> bool {
        matches!(self, Self::Token | Self::SecretKey | Self::SecurityToken | Self::Password)
    }
}

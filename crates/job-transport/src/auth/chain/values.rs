//! The values of one convention, and what they make together. Reads no variable and no file.

use std::{collections::BTreeMap, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::error::CredentialChainError;
use crate::{
    auth::{access_key::AccessKey, identity::PasswordLogin, secret::parse_secret},
    request::Endpoint,
};

/// What a convention has a name for.
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

/// How it is proven who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// By a token.
    Token,
    /// By a key pair, which signs.
    AccessKey,
    /// By a user's password, which the identity service takes for a token.
    Password,
}

impl AuthMethod {
    pub(super) const ANY_MISSING: &str = "neither a token, nor a key pair, nor a password";

    pub(super) const fn missing(self) -> &'static str {
        match self {
            Self::Token => "no token",
            Self::AccessKey => "no key pair",
            Self::Password => "no password",
        }
    }
}

/// The names that a convention gives to what it knows.
pub(super) type FieldNames = [(Field, &'static str)];

/// What is there of a convention.
pub(super) struct Values<'n> {
    pub(super) names: &'n FieldNames,
    /// Each value, and where it is from.
    pub(super) values: BTreeMap<Field, (SecretString, String)>,
    /// Where they are all from, as it stands before a name; nothing before a variable's.
    pub(super) name_prefix: String,
}

/// What proves who asks.
#[derive(Clone)]
pub(super) enum AuthConfig {
    Token(SecretString),
    TokenFile(PathBuf),
    Key(AccessKey),
    Password(PasswordLogin, Endpoint),
}

impl AuthConfig {
    /// Whether this value has a part in it, or in whatever is beside it.
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
    /// Returns none of them.
    pub(super) const fn empty(names: &'n FieldNames, name_prefix: String) -> Self {
        Self { names, values: BTreeMap::new(), name_prefix }
    }

    /// Whether any of the values goes with what proves who asks.
    pub(super) fn has_values_for(&self, auth_config: &AuthConfig) -> bool {
        self.values.keys().any(|field| auth_config.uses(*field))
    }

    /// Returns what proves who asks; by this alone, where it is given.
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
        // The user's name alone says nothing: it is set for other reasons too.
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

    /// Returns all of these, or `None` where none is there; fails where only some are.
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
            Self::UserDomain => "user's domain",
            Self::ProjectName => "project's name",
            Self::ProjectId => "project",
            Self::Region => "region",
            Self::AuthUrl => "identity service",
            Self::CaFile => "CA file",
        }
    }

    /// Whether it says which project is meant.
    pub(super) const fn is_project(self) -> bool {
        matches!(self, Self::ProjectId | Self::ProjectName)
    }

    /// Whether it is to be kept from others.
    pub(super) const fn is_secret(self) -> bool {
        matches!(self, Self::Token | Self::SecretKey | Self::SecurityToken | Self::Password)
    }
}

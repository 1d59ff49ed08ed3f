//! The values of one convention, and what they make together. Reads no variable and no file.

use std::{collections::BTreeMap, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::{ConventionsError, Found};
use crate::{
    auth::{access_key::AccessKey, credentials::secret, identity::PasswordLogin},
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
pub enum Auth {
    /// By a token.
    Token,
    /// By a key pair, which signs.
    AccessKey,
    /// By a user's password, which the identity service takes for a token.
    Password,
}

impl Auth {
    pub(super) const NONE: &str = "neither a token, nor a key pair, nor a password";

    pub(super) const fn missing(self) -> &'static str {
        match self {
            Self::Token => "no token",
            Self::AccessKey => "no key pair",
            Self::Password => "no password",
        }
    }
}

/// The names that a convention gives to what it knows.
pub(super) type Names = [(Field, &'static str)];

/// What is there of a convention.
pub(super) struct Values<'n> {
    pub(super) names: &'n Names,
    /// Each value, and where it is from.
    pub(super) values: BTreeMap<Field, (SecretString, String)>,
    /// Where they are all from, as it stands before a name; nothing before a variable's.
    pub(super) place: String,
}

/// What proves who asks.
#[derive(Clone)]
pub(super) enum Proof {
    Token(SecretString),
    TokenFile(PathBuf),
    Key(AccessKey),
    Password(PasswordLogin, Endpoint),
}

impl Proof {
    /// Whether this value has a part in it, or in whatever is beside it.
    const fn uses(&self, field: Field) -> bool {
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
    pub(super) const fn none(names: &'n Names, place: String) -> Self {
        Self { names, values: BTreeMap::new(), place }
    }

    /// Makes of the values what they are, beside what proves who asks.
    pub(super) fn found(&self, proof: Proof) -> Result<Found, ConventionsError> {
        let project = self.get(Field::ProjectId).map(|(text, origin)| {
            text.parse().map_err(|error| ConventionsError::Project(origin.into(), error))
        });
        let used = self.values.iter().filter(|(field, _)| proof.uses(**field));
        let shown = |field: Field, value: &SecretString| {
            (!field.is_secret()).then(|| value.expose_secret().into())
        };
        let setting = |(field, (value, origin)): (&Field, &(SecretString, String))| {
            (*field, shown(*field, value), origin.clone())
        };
        let mut settings: Vec<_> = used.map(setting).collect();
        if let Proof::TokenFile(file) = &proof {
            settings.insert(0, (Field::Token, None, file.display().to_string()));
        }
        Ok(Found {
            proof,
            project: project.transpose()?,
            region: self.get(Field::Region).map(|(text, _)| text.into()),
            auth_url: self.auth_url()?,
            ca_file: self.get(Field::CaFile).map(|(text, _)| text.into()),
            settings,
            project_origin: self.name(Field::ProjectId),
        })
    }

    /// Whether any of the values goes with what proves who asks.
    pub(super) fn go_with(&self, proof: &Proof) -> bool {
        self.values.keys().any(|field| proof.uses(*field))
    }

    /// Returns what proves who asks; by this alone, where it is given.
    pub(super) fn proof(&self, only: Option<Auth>) -> Result<Option<Proof>, ConventionsError> {
        let may_be = |auth| only.is_none_or(|only| only == auth);
        let refused = |origin: &str| {
            let origin = origin.to_owned();
            |error| ConventionsError::Secret(origin, error)
        };
        if let Some((token, origin)) = self.get(Field::Token).filter(|_| may_be(Auth::Token)) {
            let token = secret(token.into()).map_err(refused(origin))?;
            return Ok(Some(Proof::Token(token)));
        }
        if may_be(Auth::AccessKey)
            && let Some([(access_key, key_origin), (secret_key, origin)]) =
                self.together([Field::AccessKey, Field::SecretKey])?
        {
            secret(access_key.into()).map_err(refused(key_origin))?;
            let key = AccessKey::new(access_key, secret_key).map_err(refused(origin))?;
            let key = match self.get(Field::SecurityToken) {
                Some((token, origin)) => key.with_security_token(token).map_err(refused(origin))?,
                None => key,
            };
            return Ok(Some(Proof::Key(key)));
        }
        // The user's name alone says nothing: it is set for other reasons too.
        if self.get(Field::Password).is_none() || !may_be(Auth::Password) {
            return Ok(None);
        }
        let fields = [Field::Password, Field::User, Field::UserDomain, Field::AuthUrl];
        let Some([password, user, domain, _]) = self.together(fields)? else { return Ok(None) };
        let Some(auth_url) = self.auth_url()? else { return Ok(None) };
        let login = PasswordLogin::new(user.0, password.0, domain.0);
        let login = match (self.get(Field::ProjectId), self.get(Field::ProjectName)) {
            (Some((id, origin)), _) => login.project_id(
                id.parse().map_err(|error| ConventionsError::Project(origin.into(), error))?,
            ),
            (None, Some((name, _))) => login.project_name(name),
            (None, None) => login,
        };
        Ok(Some(Proof::Password(login, auth_url)))
    }

    fn auth_url(&self) -> Result<Option<Endpoint>, ConventionsError> {
        let auth_url = self.get(Field::AuthUrl).map(|(text, origin)| {
            text.parse().map_err(|error| ConventionsError::AuthUrl(origin.into(), error))
        });
        auth_url.transpose()
    }

    /// Returns all of these, or `None` where none is there; fails where only some are.
    fn together<const N: usize>(
        &self,
        fields: [Field; N],
    ) -> Result<Option<[(&str, &str); N]>, ConventionsError> {
        let found = fields.map(|field| self.get(field));
        let Some((_, there)) = found.iter().flatten().next() else { return Ok(None) };
        match fields.iter().zip(found).find(|(_, found)| found.is_none()) {
            None => Ok(Some(found.map(Option::unwrap_or_default))),
            Some((missing, _)) => Err(ConventionsError::Incomplete {
                there: (*there).into(),
                missing: self.name(*missing),
            }),
        }
    }

    fn get(&self, field: Field) -> Option<(&str, &str)> {
        let (value, origin) = self.values.get(&field)?;
        Some((value.expose_secret(), origin))
    }

    pub(super) fn name(&self, field: Field) -> String {
        let name = self.names.iter().find(|(named, _)| *named == field);
        let name = name.map_or_else(|| field.what(), |(_, name)| name);
        format!("{}{name}", self.place)
    }
}

impl Field {
    pub(super) const fn what(self) -> &'static str {
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
    pub(super) const fn is_of_project(self) -> bool {
        matches!(self, Self::ProjectId | Self::ProjectName)
    }

    /// Whether it is to be kept from others.
    pub(super) const fn is_secret(self) -> bool {
        matches!(self, Self::Token | Self::SecretKey | Self::SecurityToken | Self::Password)
    }
}

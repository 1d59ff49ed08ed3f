//! The values of one source, and the credentials that they form.

use std::{collections::BTreeMap, time::Duration};

use job_model::ProjectId;
use secrecy::{ExposeSecret, SecretString};

use super::{
    auth_config::{Agency, AuthConfig, AuthMethod, IdToken, OidcAgency},
    error::{CredentialChainError, CredentialChainWarning},
    field::Field,
};
use crate::auth::{
    access_key::AccessKey,
    identity::{Domain, PasswordLogin},
    secret::parse_secret,
};

/// The names of the settings in a source. If a setting has several names, the first one is
/// preferred.
pub(super) type FieldNames = [(Field, &'static str)];

/// The values of a source.
pub(super) struct Values<'n> {
    pub(super) names: &'n FieldNames,
    /// Each value, and its origin.
    pub(super) values: BTreeMap<Field, (SecretString, String)>,
    /// The file and section, as a prefix of a name; empty for environment variables.
    pub(super) name_prefix: String,
    pub(super) warnings: Vec<CredentialChainWarning>,
    /// Faults that are errors only if the source is used.
    pub(super) faults: Vec<(Field, Fault)>,
}

/// Why a value cannot be used.
pub(super) enum Fault {
    /// Two names of the setting have different values.
    Contradiction { first: String, second: String },
    /// It changes the caller's identity, and is not supported.
    Unsupported { name: String, reason: &'static str },
    /// The variable is not valid UTF-8.
    NotUtf8(String),
}

impl Fault {
    fn error(&self) -> CredentialChainError {
        match self {
            Self::Contradiction { first, second } => {
                CredentialChainError::Contradiction { first: first.clone(), second: second.clone() }
            }
            Self::Unsupported { name, reason } => {
                CredentialChainError::Unsupported { name: name.clone(), reason: (*reason).into() }
            }
            Self::NotUtf8(name) => CredentialChainError::NotUtf8(name.clone()),
        }
    }
}

impl<'n> Values<'n> {
    /// Creates an empty set of values.
    pub(super) const fn empty(names: &'n FieldNames, name_prefix: String) -> Self {
        Self {
            names,
            values: BTreeMap::new(),
            name_prefix,
            warnings: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Returns whether any of the values is used with this authentication method.
    pub(super) fn has_values_for(&self, auth_config: &AuthConfig) -> bool {
        self.values.keys().any(|field| auth_config.uses(*field))
    }

    /// Returns the error of the first fault in a field for which `is_used` returns true.
    pub(super) fn fault(&self, is_used: impl Fn(Field) -> bool) -> Option<CredentialChainError> {
        let fault = self.faults.iter().find(|(field, _)| is_used(*field));
        fault.map(|(_, fault)| fault.error())
    }

    /// Returns the error of the first fault.
    pub(super) fn any_fault(&self) -> Option<CredentialChainError> {
        self.fault(|_| true)
    }

    /// Returns the authentication method that the values allow, with a token preferred to a key
    /// pair, and a key pair to a password. Returns `None` if there are no credentials.
    ///
    /// # Errors
    ///
    /// Returns an error if there are credentials, and a value is missing or invalid.
    pub(super) fn auth_config(
        &self,
        only: Option<AuthMethod>,
    ) -> Result<Option<AuthConfig>, CredentialChainError> {
        if only.is_some() {
            return self.allowed_auth_config(only);
        }
        match self.stated_method() {
            Ok(stated) => self.allowed_auth_config(stated),
            // Without credentials, another source is used, and the type has no effect.
            Err(_) if matches!(self.allowed_auth_config(None), Ok(None)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the authentication method that the values allow, if it is `only` or `only` is
    /// `None`.
    fn allowed_auth_config(
        &self,
        only: Option<AuthMethod>,
    ) -> Result<Option<AuthConfig>, CredentialChainError> {
        let is_allowed = |method| only.is_none_or(|only| only == method);
        if is_allowed(AuthMethod::Oidc) {
            if let Some(agency) = self.oidc_assume()? {
                return Ok(Some(AuthConfig::OidcAssume(Box::new(agency))));
            }
            let fields = [Field::IdpId, Field::IdpTokenFile];
            if let Some([(idp_id, _), (file, _)]) = self.all_or_none(fields)? {
                let id_token = IdToken::File(file.into());
                return Ok(Some(AuthConfig::OidcLogin { idp_id: idp_id.into(), id_token }));
            }
        }
        if let Some((token, origin)) =
            self.get(Field::Token).filter(|_| is_allowed(AuthMethod::Token))
        {
            return Ok(Some(AuthConfig::Token(secret(token, origin)?)));
        }
        if is_allowed(AuthMethod::AccessKey)
            && let Some(key) = self.access_key()?
        {
            return Ok(Some(AuthConfig::Key(key)));
        }
        let fields = [Field::PodUri, Field::PodTokenFile];
        if is_allowed(AuthMethod::PodIdentity)
            && let Some([(uri, _), (file, _)]) = self.all_or_none(fields)?
        {
            return Ok(Some(AuthConfig::PodIdentity { uri: uri.into(), token_file: file.into() }));
        }
        if is_allowed(AuthMethod::Password)
            && let Some(login) = self.password_login()?
        {
            return Ok(Some(AuthConfig::Password(login)));
        }
        Ok(None)
    }

    /// Returns the method that the type of the login states, if it is set.
    ///
    /// # Errors
    ///
    /// Returns an error if the type is not supported, or if a setting that it needs is missing.
    pub(super) fn stated_method(&self) -> Result<Option<AuthMethod>, CredentialChainError> {
        let unsupported = |origin: &str, reason: &str| CredentialChainError::Unsupported {
            name: origin.into(),
            reason: reason.into(),
        };
        let Some((stated, origin)) = self.get(Field::AuthType) else { return Ok(None) };
        let method = match stated.strip_prefix("v3").unwrap_or(stated) {
            "password" | "multifactor" | "totp" => AuthMethod::Password,
            "token" => AuthMethod::Token,
            "aksk" => AuthMethod::AccessKey,
            _ => {
                let supported =
                    "use v3password, v3multifactor (password and totp), v3token or aksk";
                return Err(unsupported(origin, supported));
            }
        };
        if stated.ends_with("multifactor") || stated.ends_with("totp") {
            if let Some((methods, origin)) = self.get(Field::AuthMethods) {
                let is_supported = |method: &str| {
                    ["password", "totp"].contains(&method.strip_prefix("v3").unwrap_or(method))
                };
                if !methods.split(',').map(str::trim).all(is_supported) {
                    return Err(unsupported(origin, "use v3password and v3totp"));
                }
            }
            let needed = [Field::Password, Field::Passcode];
            let missing = needed.into_iter().filter(|field| self.get(*field).is_none());
            let missing: Vec<_> = missing.map(|field| self.name(field)).collect();
            if !missing.is_empty() {
                return Err(CredentialChainError::IncompleteLogin {
                    login: format!("{origin}={stated}"),
                    needed: needed.map(|field| self.name(field)).into(),
                    missing,
                });
            }
        }
        Ok(Some(method))
    }

    fn access_key(&self) -> Result<Option<AccessKey>, CredentialChainError> {
        let fields = [Field::AccessKey, Field::SecretKey];
        let Some([(access_key, key_origin), (secret_key, origin)]) = self.all_or_none(fields)?
        else {
            return Ok(None);
        };
        let refused = |origin: &str| {
            let origin = origin.to_owned();
            |error| CredentialChainError::Secret(origin, error)
        };
        parse_secret(access_key.into()).map_err(refused(key_origin))?;
        let key = AccessKey::new(access_key, secret_key).map_err(refused(origin))?;
        match self.get(Field::SecurityToken) {
            Some((token, origin)) => {
                key.with_security_token(token).map(Some).map_err(refused(origin))
            }
            None => Ok(Some(key)),
        }
    }

    fn oidc_assume(&self) -> Result<Option<OidcAgency>, CredentialChainError> {
        let id_token = match (self.get(Field::IdToken), self.get(Field::IdTokenFile)) {
            (Some((token, origin)), _) => Some((IdToken::Text(secret(token, origin)?), origin)),
            (None, Some((file, origin))) => Some((IdToken::File(file.into()), origin)),
            (None, None) => None,
        };
        let urns = self.all_or_none([Field::ProviderUrn, Field::AgencyUrn])?;
        let incomplete = |present: &str, missing| CredentialChainError::Incomplete {
            present: present.into(),
            missing: self.name(missing),
        };
        let ([(provider_urn, _), (agency_urn, _)], id_token) = match (urns, id_token) {
            (Some(urns), Some((id_token, _))) => (urns, id_token),
            (Some([_, (_, origin)]), None) => return Err(incomplete(origin, Field::IdTokenFile)),
            (None, Some((_, origin))) => return Err(incomplete(origin, Field::ProviderUrn)),
            (None, None) => return Ok(None),
        };
        let duration = self.get(Field::Duration).map(|(seconds, origin)| {
            let seconds = seconds.trim().parse().map(Duration::from_secs);
            seconds.map_err(|_| CredentialChainError::NotSeconds(origin.into()))
        });
        let text = |field| self.get(field).map(|(text, _)| text.to_owned());
        let ids = self.get(Field::PolicyIds).map_or("", |(ids, _)| ids);
        let ids = ids.split(',').map(str::trim).filter(|id| !id.is_empty());
        Ok(Some(OidcAgency {
            provider_urn: provider_urn.into(),
            agency_urn: agency_urn.into(),
            id_token,
            session_name: text(Field::SessionName),
            duration: duration.transpose()?,
            policy: text(Field::Policy),
            policy_ids: ids.map(String::from).collect(),
        }))
    }

    fn password_login(&self) -> Result<Option<PasswordLogin>, CredentialChainError> {
        // A user name without a password is ignored, because it may be set for other reasons.
        let Some((password, origin)) = self.get(Field::Password) else { return Ok(None) };
        let incomplete = |missing| CredentialChainError::Incomplete {
            present: origin.into(),
            missing: self.name(missing),
        };
        let text = |field| self.get(field).map(|(text, _)| text.to_owned());
        let domain = text(Field::UserDomain).or_else(|| text(Field::Domain));
        let domain_id = text(Field::UserDomainId).or_else(|| text(Field::DomainId));
        let login = match (text(Field::UserId), text(Field::User)) {
            (Some(id), _) => PasswordLogin::with_user_id(id, password),
            (None, None) => return Err(incomplete(Field::User)),
            (None, Some(user)) => match (&domain, &domain_id) {
                (_, Some(id)) => PasswordLogin::with_domain_id(user, password, id),
                (Some(domain), None) => PasswordLogin::new(user, password, domain),
                (None, None) => return Err(incomplete(Field::UserDomain)),
            },
        };
        let login = match self.get(Field::Passcode) {
            Some((passcode, origin)) => login.passcode(secret(passcode, origin)?.expose_secret()),
            None => login,
        };
        let project_id = self.project_id()?;
        let login = match (project_id, text(Field::ProjectName)) {
            (Some(id), _) => login.project_id(id),
            (None, Some(name)) => match self.project_domain() {
                Some(Domain::Id(id)) => login.project_name_in_domain_id(name, id),
                Some(Domain::Name(domain)) => login.project_name_in_domain(name, domain),
                None => login.project_name(name),
            },
            (None, None) => match (text(Field::DomainId), text(Field::Domain)) {
                (Some(id), _) => login.domain_id(id),
                (None, Some(name)) => login.domain_name(name),
                (None, None) => login,
            },
        };
        Ok(Some(login))
    }
}

impl Values<'_> {
    /// Returns the account of the project, if it is set.
    pub(super) fn project_domain(&self) -> Option<Domain> {
        let text = |field| self.get(field).map(|(text, _)| text.to_owned());
        let id = text(Field::ProjectDomainId).map(Domain::Id);
        id.or_else(|| text(Field::ProjectDomain).map(Domain::Name))
    }

    /// Returns the id of the project, if it is set.
    pub(super) fn project_id(&self) -> Result<Option<ProjectId>, CredentialChainError> {
        let project = self.get(Field::ProjectId).map(|(text, origin)| {
            text.parse().map_err(|error| CredentialChainError::Project(origin.into(), error))
        });
        project.transpose()
    }

    /// Returns the agency that the credentials assume, if there is one.
    pub(super) fn agency(&self) -> Result<Option<Agency>, CredentialChainError> {
        let project = self.get(Field::DelegatedProject);
        match (self.all_or_none([Field::AgencyName, Field::AgencyDomain])?, project) {
            (Some([(name, _), (domain, _)]), _) => {
                Ok(Some(Agency { name: name.into(), domain: domain.into() }))
            }
            (None, Some((_, origin))) => Err(CredentialChainError::Incomplete {
                present: origin.into(),
                missing: self.name(Field::AgencyName),
            }),
            (None, None) => Ok(None),
        }
    }

    /// Adds the settings of another source that this one does not have. Credentials are not added,
    /// and an agency only as a whole.
    pub(super) fn add_settings(&mut self, other: Self) {
        let has_agency = self.values.keys().any(|field| field.is_agency());
        let is_added = |field: Field, own: &BTreeMap<Field, _>| {
            let is_excluded = field.is_credential() || (has_agency && field.is_agency());
            !is_excluded && !own.contains_key(&field)
        };
        let faults = other.faults.into_iter();
        self.faults.extend(faults.filter(|(field, _)| is_added(*field, &self.values)));
        for (field, value) in other.values {
            if is_added(field, &self.values) {
                self.values.insert(field, value);
            }
        }
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

/// Returns a valid secret, or an error that names its origin.
fn secret(text: &str, origin: &str) -> Result<SecretString, CredentialChainError> {
    let refused = |error| CredentialChainError::Secret(origin.into(), error);
    parse_secret(text.into()).map_err(refused)
}

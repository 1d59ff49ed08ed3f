//! Reads a token, a key pair or a password again from the file that it came from, because it may be
//! replaced there.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_core::future::BoxFuture;
use job_model::ProjectId;

use super::{
    CredentialChain, ServiceHostsError, auth_config::AuthConfig, blocking_slot::BlockingSlot,
    field::Field, resolved::ResolvedCredentials,
};
use crate::{
    auth::{
        credential::ProvidedCredential,
        identity::{Identity, PasswordLogin},
        provider::ProvideCredentials,
    },
    request::{CredentialsProviderError, Endpoint, ErrorClass},
    transport::Transport,
};

/// How often the file is read at most, to see whether it has changed.
const RECHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The timeout for reading the file. A disk that does not answer must not delay a request for long,
/// and while the old key is valid, half of this applies.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// The timeout for reading the file and a login with the password in it.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(20);

/// A credentials provider that reads the token, key pair or password of a chain's file.
///
/// The file is read for the first request, then for a request at most every 5 s, and when the
/// service refuses the key (401). A password is read for each login. If the file cannot be read or
/// parsed, the old key is still used. If the file now describes or adds another account, agency,
/// region, project or host, its keys are no longer used: the job belongs to what the file described
/// before, and a new key must not reach the old host.
pub(super) struct KeyFile {
    source: Arc<KeySource>,
    slot: BlockingSlot,
    transport: Arc<dyn Transport>,
    has_password: bool,
    /// The last login, which knows whether its passcode was used.
    last_login: Mutex<Option<Arc<Identity>>>,
}

/// The credentials in the file.
enum ReadCredentials {
    Ready(ProvidedCredential),
    Login(PasswordLogin, Endpoint),
}

struct KeySource {
    chain: CredentialChain,
    /// What the file described at the start.
    description: Description,
    /// The id of the project, if the caller set it instead of the file.
    project: Option<ProjectId>,
}

/// What must not change while the credentials of a file are used, because they would then be for
/// another account or project, or for another operator.
struct Description {
    /// The settings besides the key and other secrets.
    settings: Vec<NamedValue>,
    /// The hosts that receive the credentials, or the error if they are not known.
    hosts: Result<Vec<NamedValue>, ServiceHostsError>,
    /// The file and the section of the credentials.
    origin: String,
}

/// The name of a setting, and its value.
type NamedValue = (&'static str, String);

impl KeyFile {
    /// Creates a provider from a chain and what it has just found.
    pub(super) fn new(
        chain: CredentialChain,
        found: &ResolvedCredentials,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let is_in_file = found.settings().any(|setting| setting.name == Field::ProjectId.label());
        let project = found.project.clone().filter(|_| !is_in_file);
        Self {
            source: Arc::new(KeySource { chain, description: Description::new(found), project }),
            slot: BlockingSlot::default(),
            transport,
            has_password: matches!(found.auth_config, AuthConfig::Password(_)),
            last_login: Mutex::default(),
        }
    }

    /// Returns the identity service for a login that was just read.
    fn identity(&self, login: PasswordLogin, endpoint: Endpoint) -> Arc<Identity> {
        let mut last = self.last_login.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = Identity::new(endpoint, login, self.transport.clone());
        let identity = match &*last {
            Some(last) => identity.replacing(last),
            None => identity,
        };
        last.insert(Arc::new(identity)).clone()
    }
}

/// The name of the setting that is not secret and is replaced with the key.
const ACCESS_KEY: &str = Field::AccessKey.label();

impl Description {
    fn new(found: &ResolvedCredentials) -> Self {
        let settings = found.settings().filter(|setting| setting.name != ACCESS_KEY);
        let settings = settings.filter_map(|setting| Some((setting.name, setting.value?.into())));
        let hosts = found.hosts.as_ref().map(|hosts| {
            let all = [
                ("endpoint", hosts.endpoint()),
                (Field::AuthUrl.label(), hosts.identity()),
                (Field::TokenServiceUrl.label(), hosts.token_service()),
            ];
            let known = all.into_iter().filter_map(|(name, host)| Some((name, host?)));
            known.map(|(name, host)| (name, host.value.to_string())).collect()
        });
        let place =
            found.settings().find(|setting| setting.name == ACCESS_KEY || setting.value.is_none());
        // The origin of a setting is the file, the section and the name of the setting.
        let place =
            place.and_then(|setting| Some(setting.source.rsplit_once([' ', '.'])?.0.to_owned()));
        Self {
            settings: settings.collect(),
            hosts: hosts.map_err(Clone::clone),
            origin: place.unwrap_or_default(),
        }
    }

    /// Returns an error that names the first difference, if there is one.
    fn check_unchanged(&self, now: &Self) -> Result<(), CredentialsProviderError> {
        let changed =
            |message| Err(CredentialsProviderError::new(ErrorClass::Permanent, message).revoking());
        if let Some(message) = self.difference(&self.settings, &now.settings) {
            return changed(message);
        }
        match (&self.hosts, &now.hosts) {
            (Ok(before), Ok(after)) => self.difference(before, after).map_or(Ok(()), changed),
            (Err(before), Err(after)) if before == after => Ok(()),
            (_, Err(error)) => {
                let message = format!(
                    "the endpoint for {} can no longer be derived from the file; start again",
                    self.origin
                );
                changed(message).map_err(|changed| changed.with_source(error.clone()))
            }
            (Err(_), Ok(_)) => changed(format!(
                "the endpoint for {} was not known and now is; start again to use it",
                self.origin
            )),
        }
    }

    /// Returns a message about the first value that was changed, removed or added.
    fn difference(&self, before: &[NamedValue], after: &[NamedValue]) -> Option<String> {
        let value = |values: &[NamedValue], name| {
            let value = values.iter().find(|(known, _)| *known == name);
            value.map_or_else(|| "none".to_owned(), |(_, value)| format!("`{value}`"))
        };
        let (name, _) = before
            .iter()
            .find(|setting| !after.contains(setting))
            .or_else(|| after.iter().find(|setting| !before.contains(setting)))?;
        let (origin, was, is) = (&self.origin, value(before, *name), value(after, *name));
        Some(format!("the {name} in {origin} is now {is}, no longer {was}; start again to use it"))
    }
}

impl KeySource {
    fn read(&self) -> Result<ReadCredentials, CredentialsProviderError> {
        // Transient, because another process may be replacing the file.
        let failed =
            |message: String| CredentialsProviderError::new(ErrorClass::Transient, message);
        let found = self.chain.resolve().map_err(|error| {
            failed("cannot read the credentials again".into()).with_source(error)
        })?;
        let missing =
            || failed(format!("{} no longer contains credentials", self.description.origin));
        let found = found.ok_or_else(missing)?;
        let found = match &self.project {
            Some(project) => found.with_project(project.clone()),
            None => found,
        };
        let description = Description::new(&found);
        if description.origin != self.description.origin {
            return Err(missing());
        }
        self.description.check_unchanged(&description)?;
        let provided = match found.auth_config {
            AuthConfig::Key(key) => ProvidedCredential::access_key(key),
            AuthConfig::Token(token) => ProvidedCredential::from_token(token),
            AuthConfig::Password(login) => {
                let identity = found.identity.ok_or_else(missing)?;
                return Ok(ReadCredentials::Login(login, identity));
            }
            _ => return Err(missing()),
        };
        let provided = ProvidedCredential { recheck_after: Some(RECHECK_INTERVAL), ..provided };
        Ok(ReadCredentials::Ready(provided))
    }
}

impl ProvideCredentials for KeyFile {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        Box::pin(async {
            let source = self.source.clone();
            let read = self.slot.run(move || source.read()).await;
            let read = read.unwrap_or_else(|| {
                let message =
                    format!("still waiting for the disk of {}", self.source.description.origin);
                Err(CredentialsProviderError::new(ErrorClass::Transient, message))
            });
            match read? {
                ReadCredentials::Ready(provided) => Ok(provided),
                ReadCredentials::Login(login, identity) => {
                    self.identity(login, identity).provide().await
                }
            }
        })
    }

    fn timeout(&self) -> Duration {
        if self.has_password { LOGIN_TIMEOUT } else { READ_TIMEOUT }
    }
}

#[cfg(test)]
mod tests;

//! Reads a token, a key pair or a password again from the file that it came from, because it may be
//! replaced there.

use std::{sync::Arc, time::Duration};

use futures_core::future::BoxFuture;
use job_model::ProjectId;

use super::{
    CredentialChain, blocking_slot::BlockingSlot, resolved::ResolvedCredentials, values::AuthConfig,
};
use crate::{
    auth::{
        credential::{Credential, ProvidedCredential},
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
/// parsed, the old key is still used. If it now describes another account, region or project, the
/// old key is not used any longer, because the job belongs to what it described before.
pub(super) struct KeyFile {
    source: Arc<KeySource>,
    slot: BlockingSlot,
    transport: Arc<dyn Transport>,
    has_password: bool,
}

/// The credentials in the file.
enum ReadCredentials {
    Ready(ProvidedCredential),
    Login(PasswordLogin, Endpoint),
}

struct KeySource {
    chain: CredentialChain,
    /// The settings at the start, besides the key and other secrets: name and value.
    settings: Vec<(String, String)>,
    /// The file and the section of the key.
    origin: String,
    /// The id of the project, which the caller may have set.
    project: Option<ProjectId>,
}

impl KeyFile {
    /// Creates a provider from a chain and what it has just found.
    pub(super) fn new(
        chain: CredentialChain,
        found: &ResolvedCredentials,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let (settings, origin) = describe(found);
        Self {
            source: Arc::new(KeySource { chain, settings, origin, project: found.project.clone() }),
            slot: BlockingSlot::default(),
            transport,
            has_password: matches!(found.auth_config, AuthConfig::Password(_)),
        }
    }
}

/// The name of the setting that is not secret and is replaced with the key.
const ACCESS_KEY: &str = "access key";

/// Returns the settings that must not change, and the place of the credentials.
fn describe(found: &ResolvedCredentials) -> (Vec<(String, String)>, String) {
    let lasting = found.settings().filter(|setting| setting.name != ACCESS_KEY);
    let lasting =
        lasting.filter_map(|setting| Some((setting.name.to_owned(), setting.value?.to_owned())));
    let place =
        found.settings().find(|setting| setting.name == ACCESS_KEY || setting.value.is_none());
    // The origin of a setting is the file, the section and the name of the setting.
    let place =
        place.and_then(|setting| Some(setting.source.rsplit_once([' ', '.'])?.0.to_owned()));
    (lasting.collect(), place.unwrap_or_default())
}

impl KeySource {
    fn read(&self) -> Result<ReadCredentials, CredentialsProviderError> {
        // Transient, because another process may be replacing the file.
        let failed =
            |message: String| CredentialsProviderError::new(ErrorClass::Transient, message);
        let found = self.chain.resolve().map_err(|error| {
            failed("cannot read the credentials again".into()).with_source(error)
        })?;
        let missing = || failed(format!("{} no longer contains credentials", self.origin));
        let found = found.ok_or_else(missing)?;
        let (settings, origin) = describe(&found);
        if origin != self.origin {
            return Err(missing());
        }
        if let Some(change) = self.change(&settings) {
            return Err(CredentialsProviderError::new(ErrorClass::Permanent, change).revoking());
        }
        let found = match &self.project {
            Some(project) => found.with_project(project.clone()),
            None => found,
        };
        let provided = match found.auth_config {
            AuthConfig::Key(key) => ProvidedCredential::access_key(key),
            AuthConfig::Token(token) => ProvidedCredential::new(Credential::Token(token)),
            AuthConfig::Password(login) => {
                let identity = found.identity.ok_or_else(missing)?;
                return Ok(ReadCredentials::Login(login, identity));
            }
            _ => return Err(missing()),
        };
        let provided = ProvidedCredential { recheck_after: Some(RECHECK_INTERVAL), ..provided };
        Ok(ReadCredentials::Ready(provided))
    }

    /// Returns the first setting that has changed, as a message. A setting that the caller replaced
    /// at the start, such as the project, may change.
    fn change(&self, now: &[(String, String)]) -> Option<String> {
        self.settings.iter().find_map(|(name, before)| {
            let after = now.iter().find(|(known, _)| known == name).map(|(_, value)| value);
            let shown = after.map_or_else(|| "none".to_owned(), |value| format!("`{value}`"));
            let origin = &self.origin;
            (after != Some(before)).then(|| {
                format!("the {name} in {origin} is now {shown}, no longer `{before}`; start again to use it")
            })
        })
    }
}

impl ProvideCredentials for KeyFile {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        Box::pin(async {
            let source = self.source.clone();
            let read = self.slot.run(move || source.read()).await;
            let read = read.unwrap_or_else(|| {
                let message = format!("still waiting for the disk of {}", self.source.origin);
                Err(CredentialsProviderError::new(ErrorClass::Transient, message))
            });
            match read? {
                ReadCredentials::Ready(provided) => Ok(provided),
                ReadCredentials::Login(login, identity) => {
                    Identity::new(identity, login, self.transport.clone()).provide().await
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

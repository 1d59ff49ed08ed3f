//! Reads the configuration file of the vendor's command line KooCLI (`hcloud`), as Terraform does.
//! Errors contain no text of the file, because it may be a secret.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{
    error::CredentialChainError, field::Field, files::read, names::KOO_CLI, values::Values,
};

/// The parts of the file that are used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigFile {
    current: Option<String>,
    /// Whether the keys are encrypted: `"true"` or `"false"`.
    #[serde(default)]
    auth_encrypt: Value,
    #[serde(default)]
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    name: Option<String>,
    mode: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    security_token: Option<String>,
    region: Option<String>,
    project_id: Option<String>,
    agency_domain_id: Option<String>,
    agency_domain_name: Option<String>,
    agency_name: Option<String>,
}

/// Reads a profile; by default the current one.
pub(super) fn read_profile(
    file: &Path,
    profile: Option<&str>,
) -> Result<Values<'static>, CredentialChainError> {
    let Some(content) = read(file)? else {
        let error = std::io::ErrorKind::NotFound.into();
        return Err(CredentialChainError::File(file.into(), error));
    };
    let config: ConfigFile = serde_json::from_str(&content.text).map_err(|error| {
        let line = u64::try_from(error.line()).unwrap_or_default();
        let form = "JSON with `profiles`, as KooCLI writes it";
        CredentialChainError::Malformed { file: file.into(), line, form }
    })?;
    let set = |value: &Option<String>| value.as_ref().is_some_and(|value| !value.is_empty());
    let name = profile.or(config.current.as_deref()).unwrap_or_default();
    let is_selected = |profile: &&Profile| profile.name.as_deref() == Some(name);
    let Some(found) = config.profiles.iter().find(is_selected) else {
        let names = config.profiles.iter().filter_map(|profile| profile.name.as_deref());
        return Err(CredentialChainError::NoProfile {
            file: file.into(),
            profile: name.into(),
            found: names.collect::<Vec<_>>().join(", "),
        });
    };
    let prefix = format!("{} profile {name} ", file.display());
    let unsupported = |setting: &str, reason: &str| CredentialChainError::Unsupported {
        name: format!("{prefix}{setting}"),
        reason: reason.into(),
    };
    let is_encrypted = config.auth_encrypt == true || config.auth_encrypt == "true";
    if is_encrypted && set(&found.secret_access_key) {
        return Err(unsupported(
            "secretAccessKey",
            "it is encrypted; run: hcloud configure set --cli-auth-encrypt=false",
        ));
    }
    if set(&found.agency_domain_id) && !set(&found.agency_domain_name) {
        return Err(unsupported("agencyDomainId", "set agencyDomainName instead"));
    }
    if set(&found.mode) && found.mode.as_deref() != Some("AKSK") && !set(&found.access_key_id) {
        return Err(unsupported("mode", "only AKSK is supported"));
    }
    let mut values = Values::empty(KOO_CLI, prefix);
    for (field, _) in KOO_CLI {
        let value = match field {
            Field::AccessKey => &found.access_key_id,
            Field::SecretKey => &found.secret_access_key,
            Field::SecurityToken => &found.security_token,
            Field::AgencyName => &found.agency_name,
            Field::AgencyDomain => &found.agency_domain_name,
            Field::ProjectId => &found.project_id,
            Field::Region => &found.region,
            _ => continue,
        };
        values.add(*field, value.as_deref().filter(|value| !value.is_empty()));
    }
    values.check_permissions(file, content.access)?;
    Ok(values)
}

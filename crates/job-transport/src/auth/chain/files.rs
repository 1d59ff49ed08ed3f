//! Reads the vendor's credentials file (INI) and OpenStack's `clouds.yaml`. Errors contain no text
//! of the files, because it may be a secret.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::{Path, PathBuf},
};

use configparser::ini::{Ini, IniDefault};
use serde::{Deserialize, Deserializer, de::IgnoredAny};

use super::{
    error::{CredentialChainError, CredentialChainWarning},
    field::Field,
    names::{CLOUDS_YAML, CREDENTIALS_FILE, OTHER_LOGIN},
    regular_file::open_regular,
    values::Values,
};
use crate::auth::file_access::FileAccess;

/// The parts of `clouds.yaml` that are used.
#[derive(Deserialize)]
struct CloudsFile {
    #[serde(default)]
    clouds: BTreeMap<String, CloudEntry>,
}

#[derive(Default, Deserialize)]
struct CloudEntry {
    #[serde(default)]
    auth: CloudAuth,
    auth_type: Option<String>,
    #[serde(default, deserialize_with = "comma_separated")]
    auth_methods: Option<String>,
    region_name: Option<String>,
    cacert: Option<String>,
}

/// Reads a text or a list of texts.
fn comma_separated<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum TextOrList {
        Text(String),
        List(Vec<String>),
    }
    let value = Option::<TextOrList>::deserialize(deserializer)?;
    Ok(value.map(|value| match value {
        TextOrList::Text(text) => text,
        TextOrList::List(list) => list.join(","),
    }))
}

#[derive(Default, Deserialize)]
struct CloudAuth {
    auth_url: Option<String>,
    username: Option<String>,
    user_id: Option<String>,
    password: Option<String>,
    passcode: Option<String>,
    #[serde(default, deserialize_with = "comma_separated")]
    auth_methods: Option<String>,
    user_domain_name: Option<String>,
    user_domain_id: Option<String>,
    project_name: Option<String>,
    project_id: Option<String>,
    tenant_name: Option<String>,
    tenant_id: Option<String>,
    project_domain_name: Option<String>,
    project_domain_id: Option<String>,
    domain_name: Option<String>,
    domain_id: Option<String>,
    token: Option<String>,
    ak: Option<String>,
    sk: Option<String>,
    security_token: Option<String>,
    agency_name: Option<String>,
    agency_domain_name: Option<String>,
    delegated_project: Option<String>,
    // Settings that change the caller's identity and are not supported.
    access_token: Option<IgnoredAny>,
    agency_domain_id: Option<IgnoredAny>,
    application_credential_id: Option<IgnoredAny>,
    application_credential_name: Option<IgnoredAny>,
    application_credential_secret: Option<IgnoredAny>,
    consumer_key: Option<IgnoredAny>,
    identity_provider: Option<IgnoredAny>,
    system_scope: Option<IgnoredAny>,
    trust_id: Option<IgnoredAny>,
}

impl CloudEntry {
    fn value(&self, field: Field) -> Option<&str> {
        let auth = &self.auth;
        let value = match field {
            Field::Token => &auth.token,
            Field::AccessKey => &auth.ak,
            Field::SecretKey => &auth.sk,
            Field::SecurityToken => &auth.security_token,
            Field::User => &auth.username,
            Field::UserId => &auth.user_id,
            Field::Password => &auth.password,
            Field::Passcode => &auth.passcode,
            Field::UserDomain => &auth.user_domain_name,
            Field::UserDomainId => &auth.user_domain_id,
            Field::AuthType => &self.auth_type,
            Field::AuthMethods => match &self.auth_methods {
                None => &auth.auth_methods,
                methods => methods,
            },
            Field::AgencyName => &auth.agency_name,
            Field::AgencyDomain => &auth.agency_domain_name,
            Field::DelegatedProject => &auth.delegated_project,
            Field::ProjectName => match &auth.project_name {
                None => &auth.tenant_name,
                name => name,
            },
            Field::ProjectId => match &auth.project_id {
                None => &auth.tenant_id,
                id => id,
            },
            Field::ProjectDomain => &auth.project_domain_name,
            Field::ProjectDomainId => &auth.project_domain_id,
            Field::Domain => &auth.domain_name,
            Field::DomainId => &auth.domain_id,
            Field::Region => &self.region_name,
            Field::AuthUrl => &auth.auth_url,
            Field::CaFile => &self.cacert,
            _ => &None,
        };
        value.as_deref()
    }

    /// Returns the name of a setting that changes the caller's identity and is not supported.
    fn unsupported(&self) -> Option<&'static str> {
        let auth = &self.auth;
        let settings = [
            ("access_token", &auth.access_token),
            ("agency_domain_id", &auth.agency_domain_id),
            ("application_credential_id", &auth.application_credential_id),
            ("application_credential_name", &auth.application_credential_name),
            ("application_credential_secret", &auth.application_credential_secret),
            ("consumer_key", &auth.consumer_key),
            ("identity_provider", &auth.identity_provider),
            ("system_scope", &auth.system_scope),
            ("trust_id", &auth.trust_id),
        ];
        settings.into_iter().find(|(_, value)| value.is_some()).map(|(name, _)| name)
    }
}

/// Reads the vendor's file. Returns `None` if it does not exist or contains no credentials.
pub(super) fn read_credentials_file(
    file: &Path,
) -> Result<Option<Values<'static>>, CredentialChainError> {
    let Some(FileContent { text, access }) = read(file)? else { return Ok(None) };
    let mut settings = IniDefault::default();
    // Like the vendor's reader: no inline comments, because a secret may contain any character.
    settings.inline_comment_symbols = Some(Vec::new());
    settings.case_sensitive = true;
    let mut ini = Ini::new_from_defaults(settings);
    ini.read(text).map_err(|error| {
        let line = error.trim_start_matches("line ").split(':').next();
        let line = line.and_then(|line| line.parse().ok()).unwrap_or_default();
        CredentialChainError::Malformed {
            file: file.into(),
            line,
            form: "`[section]` or `name = value`",
        }
    })?;
    for section in ["basic", "global"] {
        let prefix = format!("{} [{section}] ", file.display());
        let mut values = Values::empty(CREDENTIALS_FILE, prefix);
        for (field, name) in CREDENTIALS_FILE {
            let value = ini.get(section, name).filter(|value| !value.is_empty());
            values.add(*field, value.as_deref());
        }
        let is_beside = |field: &Field| matches!(field, Field::ProjectId | Field::AuthUrl);
        if !values.values.keys().all(is_beside) {
            values.check_permissions(file, access)?;
            return Ok(Some(values));
        }
    }
    Ok(None)
}

/// Reads a cloud from the first file that contains it, together with the `secure.yaml` in the same
/// folder.
pub(super) fn read_clouds_yaml(
    cloud: &str,
    files: &[PathBuf],
) -> Result<Values<'static>, CredentialChainError> {
    for file in files {
        let Some(content) = read(file)? else { continue };
        let mut values = Values::empty(CLOUDS_YAML, String::new());
        let mut is_there = values.add_cloud(cloud, file, content)?;
        let secure = file.with_file_name("secure.yaml");
        if let Some(content) = read(&secure)? {
            is_there |= values.add_cloud(cloud, &secure, content)?;
        }
        if is_there {
            values.name_prefix = name_prefix(file, cloud);
            return Ok(values);
        }
    }
    let searched: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    Err(CredentialChainError::NoCloud { cloud: cloud.into(), searched: searched.join(", ") })
}

impl Values<'_> {
    /// Adds the settings of a cloud from a file. Returns whether the file contains the cloud.
    fn add_cloud(
        &mut self,
        cloud: &str,
        file: &Path,
        FileContent { text, access }: FileContent,
    ) -> Result<bool, CredentialChainError> {
        let mut clouds: CloudsFile = serde_saphyr::from_str(&text).map_err(|error| {
            // The error's own text contains the line, which may be a secret.
            let line = error.location().map_or(0, |location| location.line());
            CredentialChainError::Malformed { file: file.into(), line, form: "YAML with `clouds:`" }
        })?;
        let Some(found) = clouds.clouds.remove(cloud) else { return Ok(false) };
        if let Some(name) = found.unsupported() {
            return Err(CredentialChainError::Unsupported {
                name: format!("{}auth.{name}", name_prefix(file, cloud)),
                reason: match name {
                    "agency_domain_id" => "set auth.agency_domain_name instead",
                    "system_scope" => "jobs belong to a project; set auth.project_name instead",
                    _ => OTHER_LOGIN,
                }
                .into(),
            });
        }
        let mut added = Values::empty(CLOUDS_YAML, name_prefix(file, cloud));
        for (field, _) in CLOUDS_YAML {
            added.add(*field, found.value(*field).filter(|value| !value.is_empty()));
        }
        added.check_permissions(file, access)?;
        self.values.append(&mut added.values);
        self.warnings.append(&mut added.warnings);
        Ok(true)
    }

    pub(super) fn add(&mut self, field: Field, value: Option<&str>) {
        if let Some(value) = value {
            self.values.insert(field, (value.into(), self.name(field)));
        }
    }

    /// Returns an error if other users can change the file, or if the values contain a secret that
    /// every user can read. Adds a warning if every user can read the secret of a mounted file.
    pub(super) fn check_permissions(
        &mut self,
        file: &Path,
        access: FileAccess,
    ) -> Result<(), CredentialChainError> {
        if self.values.is_empty() {
            return Ok(());
        }
        let has_secret = self.values.keys().any(|field| field.is_secret());
        match access {
            FileAccess::OtherOwner { owner, you } => {
                Err(CredentialChainError::OtherOwner { file: file.into(), owner, you })
            }
            FileAccess::WritableByAll => Err(CredentialChainError::WorldWritable(file.into())),
            FileAccess::ReadableByAll if has_secret => {
                Err(CredentialChainError::WorldReadable(file.into()))
            }
            FileAccess::ReadableAsMounted if has_secret => {
                self.warnings.push(CredentialChainWarning::WorldReadable(file.into()));
                Ok(())
            }
            FileAccess::ReadableByAll | FileAccess::ReadableAsMounted | FileAccess::Restricted => {
                Ok(())
            }
        }
    }
}

/// Returns the prefix for the names of a cloud's settings.
fn name_prefix(file: &Path, cloud: &str) -> String {
    format!("{} clouds.{cloud}.", file.display())
}

/// Maximum size of a file with credentials.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The text of a file, and which users can read and change it.
pub(super) struct FileContent {
    pub(super) text: String,
    pub(super) access: FileAccess,
}

/// Reads a file of at most 1 MiB. Returns `None` if it does not exist.
pub(super) fn read(file: &Path) -> Result<Option<FileContent>, CredentialChainError> {
    let failed = |error| CredentialChainError::File(file.into(), error);
    let open = match open_regular(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let access = FileAccess::from_file(&open).map_err(failed)?;
    let mut text = String::new();
    open.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB")));
    }
    Ok(Some(FileContent { text, access }))
}

#[cfg(test)]
mod tests {
    use std::{env, error::Error, fs};

    use super::*;

    #[test]
    fn credential_files_above_the_size_limit_are_refused() {
        let path = env::temp_dir().join(format!("job-transport-{}-large", std::process::id()));
        let limit = usize::try_from(MAX_FILE_BYTES).unwrap();
        fs::write(&path, vec![b' '; limit]).unwrap();
        assert_eq!(read(&path).unwrap().unwrap().text.len(), limit);
        fs::write(&path, vec![b' '; limit + 1]).unwrap();
        let files = [path.clone()];
        let errors = [read_credentials_file(&path).err(), read_clouds_yaml("a", &files).err()];
        for error in errors {
            let error = error.unwrap();
            assert_eq!(error.source().unwrap().to_string(), "it is larger than 1 MiB", "{error}");
        }
        fs::remove_file(path).unwrap();
    }
}

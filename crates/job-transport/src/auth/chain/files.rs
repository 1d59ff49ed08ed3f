//! Reads the vendor's credentials file (INI) and OpenStack's `clouds.yaml`. Errors contain no text
//! of the files, because it may be a secret.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use configparser::ini::{Ini, IniDefault};

use super::{
    clouds_yaml::{Document, ErrorLine},
    error::{CredentialChainError, CredentialChainWarning},
    field::Field,
    names::{CLOUDS_YAML, CREDENTIALS_FILE, OTHER_LOGIN},
    regular_file::open_regular,
    values::{Fault, FieldNames, Values},
};
use crate::auth::file_access::FileAccess;

/// Older names of settings in `clouds.yaml`. They count if the newer ones are absent.
const OLDER_NAMES: &FieldNames = &[
    (Field::AuthMethods, "auth.auth_methods"),
    (Field::ProjectName, "auth.tenant_name"),
    (Field::ProjectId, "auth.tenant_id"),
];

/// Settings of a cloud in `clouds.yaml` that change the caller's identity and are not supported.
/// Each has the reason.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("auth.access_token", OTHER_LOGIN),
    ("auth.agency_domain_id", "set auth.agency_domain_name instead"),
    ("auth.application_credential_id", OTHER_LOGIN),
    ("auth.application_credential_name", OTHER_LOGIN),
    ("auth.application_credential_secret", OTHER_LOGIN),
    ("auth.consumer_key", OTHER_LOGIN),
    ("auth.identity_provider", OTHER_LOGIN),
    ("auth.system_scope", "jobs belong to a project; set auth.project_name instead"),
    ("auth.trust_id", OTHER_LOGIN),
];

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
        let malformed = |ErrorLine(line)| CredentialChainError::Malformed {
            file: file.into(),
            line,
            form: "YAML with `clouds:`",
        };
        let document = Document::parse(&text).map_err(malformed)?;
        if !document.contains(&["clouds", cloud]).map_err(malformed)? {
            return Ok(false);
        }
        let path = |name: &'static str| {
            [&["clouds", cloud][..], &name.split('.').collect::<Vec<_>>()].concat()
        };
        for (name, reason) in UNSUPPORTED {
            if document.has_value(&path(name)).map_err(malformed)? {
                let name = format!("{}{name}", name_prefix(file, cloud));
                // Like the type of the login, it does not matter if the token is in another file.
                self.faults.push((Field::AuthType, Fault::Unsupported { name, reason }));
            }
        }
        let mut added = Values::empty(CLOUDS_YAML, name_prefix(file, cloud));
        for (field, name) in CLOUDS_YAML.iter().chain(OLDER_NAMES) {
            let value = match field {
                Field::AuthMethods => document.comma_separated(&path(name)),
                _ => document.text(&path(name)).map(|text| text.map(String::from)),
            };
            let value = value.map_err(malformed)?;
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let name = format!("{}{name}", added.name_prefix);
                added.values.entry(*field).or_insert_with(|| (value.into(), name));
            }
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

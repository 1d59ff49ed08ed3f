//! The workspace's files by path, read once. Knows no rule.

use std::{collections::BTreeMap, fs, io, path::Path};

use crate::cargo::root;

/// The text of each file, by its path from the root, with `/` between its parts. A file that is
/// not text is there as an empty one.
pub(crate) struct Tree(BTreeMap<String, String>);

impl Tree {
    /// Reads the workspace.
    pub(crate) fn of_workspace() -> io::Result<Self> {
        let mut files = BTreeMap::new();
        read(root(), "", &mut files)?;
        Ok(Self(files))
    }

    /// Makes a tree of these files, for a test.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect())
    }

    /// Returns a file's text.
    pub(crate) fn file(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Returns each file whose path starts and ends so, with its text.
    pub(crate) fn files<'a>(
        &'a self,
        start: &'a str,
        end: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let files = self.0.iter().map(|(path, text)| (&**path, &**text));
        files.filter(move |(path, _)| path.starts_with(start) && path.ends_with(end))
    }

    /// Returns the names of the folders below `crates`.
    pub(crate) fn crates(&self) -> impl Iterator<Item = &str> {
        let manifests = self.files("crates/", "/Cargo.toml");
        manifests.filter_map(|(path, _)| path.split('/').nth(1))
    }
}

fn read(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            if name != "target" && name != ".git" {
                read(&entry.path(), &format!("{path}/"), files)?;
            }
        } else {
            files.insert(path, String::from_utf8(fs::read(entry.path())?).unwrap_or_default());
        }
    }
    Ok(())
}

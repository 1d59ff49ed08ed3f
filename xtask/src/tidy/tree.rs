//! The workspace's files by path, read once. Knows no rule.

use std::{collections::BTreeMap, fs, process::Command};

use crate::cargo::root;

/// The text of each file that git tracks, by its path from the root, with `/` between its parts.
/// What is not committed would not be there in a clone. A file that is not text is an empty one.
pub(crate) struct Tree(BTreeMap<String, String>);

impl Tree {
    /// Reads the workspace.
    pub(crate) fn of_workspace() -> Result<Self, String> {
        let git = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
        let git = git.map_err(|error| format!("git: {error}"))?;
        if !git.status.success() {
            return Err(format!("git ls-files: {}", String::from_utf8_lossy(&git.stderr)));
        }
        let read = |path: &str| match fs::read(root().join(path)) {
            Ok(bytes) => Ok((path.into(), String::from_utf8(bytes).unwrap_or_default())),
            Err(error) => Err(format!("{path}: {error}")),
        };
        let paths = String::from_utf8_lossy(&git.stdout);
        let paths = paths.split_terminator('\0');
        paths.map(read).collect::<Result<_, _>>().map(Self)
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

//! Reads the workspace's files once, and finds them by path.

use std::{collections::BTreeMap, fs, io, path::Path, process::Command};

use crate::cargo::root;

/// The text of each file that git tracks, by its path from the root, with `/` as the separator.
/// Leaves out untracked files, because a clone does not have them. A file that is not UTF-8 has an
/// empty text. The text of a symbolic link is its target, as git stores it.
pub(crate) struct Tree(BTreeMap<String, String>);

impl Tree {
    /// Reads the workspace.
    ///
    /// # Errors
    ///
    /// Returns an error if git or a tracked file cannot be read.
    pub(crate) fn from_workspace() -> Result<Self, String> {
        let git = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
        let git = git.map_err(|error| format!("git: {error}"))?;
        if !git.status.success() {
            return Err(format!("git ls-files: {}", String::from_utf8_lossy(&git.stderr)));
        }
        let read = |path: &str| match read_file_or_link(&root().join(path)) {
            Ok(bytes) => Ok((path.into(), String::from_utf8(bytes).unwrap_or_default())),
            Err(error) => Err(format!("{path}: {error}")),
        };
        let paths = String::from_utf8_lossy(&git.stdout);
        let paths = paths.split_terminator('\0');
        paths.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Creates a tree of some files for a test.
    #[cfg(test)]
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect())
    }

    /// Returns a file's text.
    pub(crate) fn file(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Returns the path and text of each file whose path has this start and this end.
    pub(crate) fn files<'a>(
        &'a self,
        prefix: &'a str,
        suffix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let files = self.0.iter().map(|(path, text)| (&**path, &**text));
        files.filter(move |(path, _)| path.starts_with(prefix) && path.ends_with(suffix))
    }

    /// Returns the names of the folders below `crates`.
    pub(crate) fn crates(&self) -> impl Iterator<Item = &str> {
        let manifests = self.files("crates/", "/Cargo.toml");
        manifests.filter_map(|(path, _)| path.split('/').nth(1))
    }
}

/// Reads a file, or the target of a symbolic link.
fn read_file_or_link(path: &Path) -> io::Result<Vec<u8>> {
    if path.is_symlink() {
        Ok(fs::read_link(path)?.into_os_string().into_encoded_bytes())
    } else {
        fs::read(path)
    }
}

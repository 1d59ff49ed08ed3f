//! The token of the server: a variable, a file, or the file that a server on this machine creates.

use std::{env, io, path::Path};

use anyhow::{Context, anyhow};
use http::HeaderValue;
use job_transport::auth::read_secret_file;

use crate::{
    exit::{Exit, OrExit},
    files,
};

/// The environment variable with the token.
pub(crate) const TOKEN_VARIABLE: &str = "CCE_JOB_SERVER_TOKEN";

/// The file with the tokens, in the state folder.
const TOKEN_FILE_NAME: &str = "server-token";

/// A token, and its source for messages.
pub(super) struct Token {
    header: HeaderValue,
    text: String,
    source: String,
}

impl Token {
    /// Finds the token. `file` is the flag or its variable. `is_local` is whether the server is on this
    /// machine.
    ///
    /// # Errors
    ///
    /// Returns a usage error if no token is found or the token is invalid. The error does not contain
    /// the token.
    pub(super) fn find(file: Option<&Path>, url: &str, is_local: bool) -> anyhow::Result<Self> {
        if let Some(file) = file {
            return Self::from_file(file).or_exit(Exit::Usage);
        }
        if let Some(token) = env::var_os(TOKEN_VARIABLE).filter(|token| !token.is_empty()) {
            return Self::new(&token.to_string_lossy(), TOKEN_VARIABLE.into()).or_exit(Exit::Usage);
        }
        let missing = || anyhow!("no token for {url}");
        let hint = format!("Set {TOKEN_VARIABLE}, or use --server-token-file.");
        let folder = files::state_folder().filter(|_| is_local);
        let Some(folder) = folder else {
            return Err(missing()).or_exit_with_hint(Exit::Usage, Some(hint));
        };
        let file = folder.join(TOKEN_FILE_NAME);
        Self::from_file(&file).or_else(|error| {
            let kind = error.downcast_ref().map(io::Error::kind);
            let is_missing =
                matches!(kind, Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory));
            let (error, hint) = if is_missing {
                let started = "cce-job-server creates this file when it starts. ";
                (error.context(missing()), Some(format!("{started}{hint}")))
            } else {
                (error, None)
            };
            Err(error).or_exit_with_hint(Exit::Usage, hint)
        })
    }

    /// Reads the first token of a file. Empty lines and comments are skipped.
    fn from_file(file: &Path) -> anyhow::Result<Self> {
        let shown = file.display();
        let (text, _) =
            read_secret_file(file).with_context(|| format!("cannot use the token file {shown}"))?;
        let mut lines = text.lines().map(str::trim);
        let token = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
        let token = token.with_context(|| format!("no token in {shown}"))?;
        Self::new(token, format!("the file {shown}"))
    }

    fn new(token: &str, source: String) -> anyhow::Result<Self> {
        let token = token.trim();
        let is_valid = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        anyhow::ensure!(is_valid, "the token in {source} contains a space or a special character");
        let mut header = HeaderValue::from_str(&format!("Bearer {token}"))?;
        header.set_sensitive(true);
        Ok(Self { header, text: token.into(), source })
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Returns the source, such as the name of a file.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Removes the token from a text, because a server may repeat what it received.
    pub(super) fn hide(&self, text: &str) -> String {
        text.replace(&self.text, "***")
    }
}

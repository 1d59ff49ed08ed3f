//! Reads a token from a file that another process updates.

use std::{
    fs::File,
    mem,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_core::future::BoxFuture;

use super::{
    credential::ProvidedCredential,
    provider::ProvideCredentials,
    secret_file::{check_access, read_text},
};
use crate::{
    request::{CredentialsProviderError, ErrorClass},
    transport::run_blocking,
};

/// A credentials provider that reads a token from a file, such as a mounted secret.
///
/// The file is read for the first request, and again when the service refuses the token (401).
/// Another process must replace the file before the token expires. A pipe is read only once; if the
/// service refuses its token, the error is permanent.
///
/// A file that another user can change is refused. A file that every user can read is refused too,
/// unless it belongs to root or is on a read-only mount, as mounted secrets of Kubernetes are: then a
/// warning is logged with the target `job_transport::file_access`. Permissions are checked on Unix,
/// with the feature `hyper` or `credential-chain`. Those of a pipe are not checked.
///
/// With the feature `tokio`, another thread reads the file, because it may be on a slow disk or be
/// a pipe without a writer. At most one thread at a time does so, for all clones of the provider.
///
/// # Examples
///
/// ```
/// use job_transport::{Credentials, auth::TokenFile};
///
/// let credentials = Credentials::from_provider(TokenFile::new("/run/secrets/token"));
/// ```
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
    state: Arc<Mutex<ReadState>>,
}

type TokenResult = Result<ProvidedCredential, CredentialsProviderError>;

/// What is known of the file's content.
#[derive(Debug)]
enum ReadState {
    /// The file can be read.
    Idle,
    /// A thread is reading the file.
    Reading,
    /// A thread has read the file, and nobody has taken the result yet.
    Done { result: Box<TokenResult>, is_stream: bool },
    /// The file is a pipe, and its token was taken.
    Consumed,
}

impl TokenFile {
    /// Creates a provider without reading the file.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { path: file.into(), state: Arc::new(Mutex::new(ReadState::Idle)) }
    }

    /// Reads the token, without surrounding whitespace. Blocks the thread until it is read.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, is larger than 1 MiB or does not contain a
    /// valid token. The error is transient, because another process may be replacing the file. If
    /// the file is a pipe, the error is permanent, because its token is lost. If other users can
    /// read or change the file, the error is permanent, because its permissions must be fixed.
    pub fn read(&self) -> Result<ProvidedCredential, CredentialsProviderError> {
        self.fill();
        self.take()
    }

    /// Reads the file, unless another thread does so or its content is already known.
    fn fill(&self) {
        {
            let mut state = self.state();
            match &*state {
                ReadState::Idle | ReadState::Done { is_stream: false, .. } => {}
                ReadState::Reading | ReadState::Consumed | ReadState::Done { .. } => return,
            }
            *state = ReadState::Reading;
        }
        let mut is_stream = false;
        let result = self.read_token(&mut is_stream);
        *self.state() = ReadState::Done { result: Box::new(result), is_stream };
    }

    /// Reads the token. Sets `is_stream` if the file has no content of its own, as a pipe.
    fn read_token(&self, is_stream: &mut bool) -> TokenResult {
        let unreadable =
            |error| self.error(ErrorClass::Transient, "cannot read").with_source(error);
        let file = File::open(&self.path).map_err(unreadable)?;
        let found = file.metadata().map_err(unreadable)?;
        *is_stream = !found.is_file() && !found.is_dir();
        check_access(&file, &found, &self.path).map_err(|refusal| {
            self.error(ErrorClass::Permanent, "cannot use").with_source(refusal)
        })?;
        // A pipe can be read only once.
        let class = if *is_stream { ErrorClass::Permanent } else { ErrorClass::Transient };
        let text =
            read_text(file).map_err(|error| self.error(class, "cannot read").with_source(error))?;
        ProvidedCredential::token(text.trim())
            .map_err(|error| self.error(class, "no valid token in").with_source(error))
    }

    /// Takes the result of the last read.
    fn take(&self) -> TokenResult {
        let mut state = self.state();
        match mem::replace(&mut *state, ReadState::Idle) {
            ReadState::Idle => Err(self.error(ErrorClass::Transient, "no thread could read")),
            ReadState::Reading => {
                *state = ReadState::Reading;
                Err(self.error(ErrorClass::Transient, "still waiting for the token in"))
            }
            ReadState::Done { result, is_stream } => {
                if is_stream {
                    *state = ReadState::Consumed;
                }
                *result
            }
            ReadState::Consumed => {
                *state = ReadState::Consumed;
                let message = "there is no second token in the pipe, which can be read only once:";
                Err(self.error(ErrorClass::Unauthorized, message))
            }
        }
    }

    fn error(&self, class: ErrorClass, what: &str) -> CredentialsProviderError {
        CredentialsProviderError::new(class, format!("{what} {}", self.path.display()))
    }

    fn state(&self) -> MutexGuard<'_, ReadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProvideCredentials for TokenFile {
    fn provide(&self) -> BoxFuture<'_, TokenResult> {
        Box::pin(async {
            let file = self.clone();
            // Fails only if the runtime ends. Then nobody needs the result.
            let _ = run_blocking(move || file.fill()).await;
            self.take()
        })
    }
}

#[cfg(test)]
mod tests;

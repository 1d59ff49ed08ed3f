//! Reads a key pair again from the file that it came from, because temporary keys are replaced
//! there.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_core::future::BoxFuture;

use super::{CredentialChain, values::AuthConfig};
use crate::{
    auth::{blocking::run_blocking, credential::ProvidedCredential, provider::ProvideCredentials},
    request::{CredentialsProviderError, ErrorClass},
};

/// A credentials provider that reads the key pair of a chain's file.
///
/// The file is read for the first request, and again when the service refuses the key (401). With
/// the feature `tokio`, another thread reads it, because it may be on a slow disk. At most one
/// thread at a time does so.
#[derive(Clone)]
pub(super) struct KeyFile {
    chain: CredentialChain,
    is_reading: Arc<AtomicBool>,
}

impl KeyFile {
    /// Creates a provider without reading the file.
    pub(super) fn new(chain: CredentialChain) -> Self {
        Self { chain, is_reading: Arc::default() }
    }

    fn read(&self) -> Result<ProvidedCredential, CredentialsProviderError> {
        let resolved = self.chain.resolve();
        let resolved = resolved
            .map_err(|error| failed("cannot read the access key again").with_source(error))?;
        match resolved.map(|resolved| resolved.auth_config) {
            Some(AuthConfig::Key(key)) => Ok(ProvidedCredential::access_key(key)),
            _ => Err(failed("the file no longer contains an access key")),
        }
    }

    async fn read_on_another_thread(&self) -> Result<ProvidedCredential, CredentialsProviderError> {
        if self.is_reading.swap(true, Ordering::AcqRel) {
            return Err(failed("still waiting for the file with the access key"));
        }
        let file = self.clone();
        let read = run_blocking(move || {
            let read = file.read();
            file.is_reading.store(false, Ordering::Release);
            read
        });
        read.await.unwrap_or_else(|| Err(failed("no thread could read the access key")))
    }
}

/// The error is transient, because another process may be replacing the file.
fn failed(message: &'static str) -> CredentialsProviderError {
    CredentialsProviderError::new(ErrorClass::Transient, message)
}

impl ProvideCredentials for KeyFile {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        Box::pin(self.read_on_another_thread())
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{env, fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

    use super::*;
    use crate::display_chain;

    /// A file with a key pair. It is removed on drop.
    struct TestFile(PathBuf);

    impl TestFile {
        fn new(name: &str) -> (Self, CredentialChain) {
            let path = env::temp_dir().join(format!("job-transport-{}-{name}", std::process::id()));
            let file = Self(path);
            file.write();
            let path = file.0.to_str().unwrap();
            let chain = CredentialChain::new([("HUAWEICLOUD_SDK_CREDENTIALS_FILE", path)]);
            (file, chain)
        }

        fn write(&self) {
            fs::write(&self.0, "[basic]\nak = AK\nsk = canary\n").unwrap();
            fs::set_permissions(&self.0, fs::Permissions::from_mode(0o600)).unwrap();
        }

        /// Replaces the file by a pipe without a writer.
        fn replace_by_pipe(&self) {
            fs::remove_file(&self.0).unwrap();
            assert!(Command::new("mkfifo").arg(&self.0).status().unwrap().success());
        }
    }

    impl Drop for TestFile {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[tokio::test]
    async fn a_key_file_that_is_a_pipe_blocks_nothing() {
        let (file, chain) = TestFile::new("key-pipe");
        let provider = KeyFile::new(chain.clone());
        assert!(provider.provide().await.is_ok());
        file.replace_by_pipe();
        let shown = display_chain(&chain.resolve().unwrap_err()).to_string();
        assert!(shown.contains("it is a pipe or a device, not a regular file; copy"), "{shown}");
        let error = provider.provide().await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient);
        fs::remove_file(&file.0).unwrap();
        file.write();
        assert!(provider.provide().await.is_ok());
    }

    #[cfg(feature = "tokio")]
    #[tokio::test]
    async fn one_thread_at_a_time_reads_a_key_file() {
        let (_file, chain) = TestFile::new("slow-key");
        let provider = KeyFile::new(chain);
        provider.is_reading.store(true, Ordering::Release);
        let error = provider.clone().provide().await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient);
        assert_eq!(error.to_string(), "still waiting for the file with the access key");
        provider.is_reading.store(false, Ordering::Release);
        // A read whose future was dropped still ends.
        drop(futures_util::poll!(provider.provide()));
        while let Err(error) = provider.provide().await {
            assert_eq!(error.class(), ErrorClass::Transient);
            tokio::task::yield_now().await;
        }
    }
}

//! Reads a client certificate and its key from files, and reads them again if they have changed.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustls::{
    ClientConfig,
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::{CertifiedKey, SingleCertAndKey},
};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest, Sha256};

use super::tls::TlsError;
use crate::{auth::FileAccess, transport::display_chain};

/// Maximum size of a file with a certificate or a key. A chain has a few KiB.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// How long a new connection waits until the files are read.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// A client certificate and its key in files, which may be the same file.
#[derive(Clone)]
pub(super) struct ClientCertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    /// The digest of the contents that are used.
    digest: [u8; 32],
}

/// The contents of the files.
struct FileContents {
    certificate: Vec<u8>,
    key: SecretSlice<u8>,
    key_access: FileAccess,
}

impl ClientCertificateFiles {
    /// Reads the files, and sets the certificate of a configuration.
    pub(super) fn load(
        certificate: PathBuf,
        key: PathBuf,
        config: &mut ClientConfig,
    ) -> Result<Self, TlsError> {
        let contents = FileContents::read(&certificate, &key)?;
        *config = contents.present_by(config)?;
        contents.key_access.warn_if_readable(&key);
        Ok(Self { certificate, key, digest: contents.digest() })
    }

    /// Reads the files again, and returns them with a new configuration if they have changed.
    fn load_changes(
        &self,
        config: &ClientConfig,
    ) -> Result<Option<(Self, ClientConfig)>, TlsError> {
        let contents = FileContents::read(&self.certificate, &self.key)?;
        let digest = contents.digest();
        if digest == self.digest {
            return Ok(None);
        }
        let config = contents.present_by(config)?;
        contents.key_access.warn_if_readable(&self.key);
        Ok(Some((Self { digest, ..self.clone() }, config)))
    }
}

impl FileContents {
    fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = |file: &Path, is_key| {
            let failed = |error| TlsError::ClientCertificateFile(file.into(), error);
            read_file(file, is_key).map_err(failed)
        };
        let (key, key_access) = read(key, true)?;
        let (certificate, _) = read(certificate, false)?;
        Ok(Self { certificate, key: key.into(), key_access })
    }

    /// Returns a configuration that presents this certificate.
    fn present_by(&self, config: &ClientConfig) -> Result<ClientConfig, TlsError> {
        let key = self.key.expose_secret();
        let pair = certified_key(&self.certificate, key, config.crypto_provider())?;
        // rustls resumes a session only with the resolver that began it. So a new resolver also
        // ends the sessions that were authenticated with the previous certificate.
        let mut config = config.clone();
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(pair));
        Ok(config)
    }

    /// Returns a digest, so that the key is not kept in memory only to compare it.
    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.certificate.len().to_be_bytes());
        digest.update(&self.certificate);
        digest.update(self.key.expose_secret());
        digest.finalize().into()
    }
}

/// Reads a file, and returns who can access it. A file with a key must not be accessible to every
/// user.
fn read_file(path: &Path, is_key: bool) -> io::Result<(Vec<u8>, FileAccess)> {
    let file = File::open(path)?;
    let access = FileAccess::from_file(&file)?;
    if let Some(refusal) = access.refusal().filter(|_| is_key) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, refusal));
    }
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok((content, access))
}

/// Parses a certificate chain and its key, and checks that they match.
pub(super) fn certified_key(
    chain: &[u8],
    key: &[u8],
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let failed = |error: rustls::Error| TlsError::ClientCertificate(Some(error.into()));
    let unreadable = |error: pem::Error| TlsError::ClientCertificate(Some(error.into()));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let (chain, key) = (chain, PrivateKeyDer::from_pem_slice(key));
    let (chain, key) = (chain.map_err(unreadable)?, key.map_err(unreadable)?);
    if chain.is_empty() {
        return Err(TlsError::ClientCertificate(None));
    }
    CertifiedKey::from_der(chain, key, provider).map_err(failed)
}

/// The TLS configuration of new connections.
#[derive(Clone)]
pub(super) enum CurrentConfig {
    /// It does not change.
    Fixed(Arc<ClientConfig>),
    /// The client certificate may change.
    Reloaded(Arc<ReloadedConfig>),
}

/// A configuration whose client certificate is in files.
pub(super) struct ReloadedConfig {
    /// Held while a thread reads the files, so that a slow disk blocks one thread at most.
    read_lock: Arc<tokio::sync::Mutex<()>>,
    loaded: Mutex<(ClientCertificateFiles, Arc<ClientConfig>)>,
}

impl CurrentConfig {
    pub(super) fn new(config: ClientConfig, files: Option<ClientCertificateFiles>) -> Self {
        let config = Arc::new(config);
        let Some(files) = files else { return Self::Fixed(config) };
        let loaded = Mutex::new((files, config));
        Self::Reloaded(Arc::new(ReloadedConfig { read_lock: Arc::default(), loaded }))
    }

    /// Returns the configuration for a new connection. Another thread reads the files; if that
    /// takes longer than a second, or fails, the previous certificate is used.
    pub(super) async fn get(&self) -> Arc<ClientConfig> {
        let reloaded = match self {
            Self::Fixed(config) => return config.clone(),
            Self::Reloaded(reloaded) => reloaded,
        };
        let reading = async {
            let lock = reloaded.read_lock.clone().lock_owned().await;
            let reloaded = reloaded.clone();
            let read = tokio::task::spawn_blocking(move || {
                reloaded.reload();
                drop(lock);
            });
            // The task fails only if the runtime ends. Then nobody needs its result.
            let _ = read.await;
        };
        if tokio::time::timeout(READ_TIMEOUT, reading).await.is_err() {
            tracing::warn!("the client certificate's files are slow; the previous one is used");
        }
        reloaded.loaded().1.clone()
    }
}

impl ReloadedConfig {
    /// Reads the files, and replaces the certificate if they have changed. If they cannot be used,
    /// for example because only one of them is replaced yet, the previous certificate stays.
    fn reload(&self) {
        let (files, config) = self.loaded().clone();
        match files.load_changes(&config) {
            Ok(None) => {}
            Ok(Some((files, config))) => *self.loaded() = (files, Arc::new(config)),
            Err(error) => tracing::warn!(
                error = %display_chain(&error),
                "cannot load the client certificate again; the previous one is used"
            ),
        }
    }

    fn loaded(&self) -> MutexGuard<'_, (ClientCertificateFiles, Arc<ClientConfig>)> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

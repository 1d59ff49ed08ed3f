//! The certificate of the server, which is read again when its files change.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::Context as _;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::Stream;
use crate::files::{self, Stamp};

/// The TLS settings of new connections.
#[derive(Debug)]
pub(crate) struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    stamps: Stamps,
}

type Stamps = [Option<Stamp>; 2];

impl Tls {
    /// Reads a certificate chain and its private key.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, if every user can read the key, or if the key does
    /// not belong to the certificate.
    pub(crate) fn open(certificate: PathBuf, key: PathBuf) -> anyhow::Result<Self> {
        let stamps = stamps(&certificate, &key);
        let config = read(&certificate, &key)?;
        Ok(Self { certificate, key, current: RwLock::new(Current { config, stamps }) })
    }

    /// Performs the handshake with the current certificate.
    pub(super) async fn accept<S: Stream>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let config = self.current.read().unwrap_or_else(PoisonError::into_inner).config.clone();
        TlsAcceptor::from(config).accept(stream).await
    }

    /// Reads the files again if they have changed. Blocks the thread.
    ///
    /// If they cannot be used, the certificate before stays in use.
    pub(crate) fn refresh(&self) {
        let stamps = stamps(&self.certificate, &self.key);
        if self.current.read().unwrap_or_else(PoisonError::into_inner).stamps == stamps {
            return;
        }
        let config = read(&self.certificate, &self.key);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.stamps = stamps;
        match config {
            Ok(config) => {
                tracing::info!("the certificate has changed");
                current.config = config;
            }
            Err(error) => tracing::warn!("the certificate before stays in use: {error:#}"),
        }
    }
}

fn stamps(certificate: &Path, key: &Path) -> Stamps {
    [Stamp::read(certificate).ok(), Stamp::read(key).ok()]
}

fn read(certificate: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let context = |file: &Path| format!("cannot use {}", file.display());
    let (pem, _) = files::read(certificate).with_context(|| context(certificate))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .with_context(|| context(certificate))?;
    let (pem, _) = files::read_secret(key).with_context(|| context(key))?;
    // The error of a key does not contain the key.
    let key_der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).with_context(|| context(key))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .with_context(|| format!("{} and {}", certificate.display(), key.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

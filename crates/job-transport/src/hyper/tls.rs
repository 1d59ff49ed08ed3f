//! Whom to trust, and the cryptography to do it with. Opens no connection.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    client::WantsClientCert,
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_platform_verifier::BuilderVerifierExt;

/// The cryptography under TLS. Never taken from a process-wide default: a library must not depend
/// on what another part of the program installed.
#[derive(Clone, Debug)]
pub struct TlsProvider(Arc<CryptoProvider>);

impl TlsProvider {
    /// Returns AWS-LC's cryptography.
    #[cfg(feature = "aws-lc-rs")]
    #[must_use]
    pub fn aws_lc_rs() -> Self {
        Self(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
    }

    /// Returns ring's cryptography.
    #[cfg(feature = "ring")]
    #[must_use]
    pub fn ring() -> Self {
        Self(Arc::new(rustls::crypto::ring::default_provider()))
    }
}

/// How TLS is done with the service: TLS 1.2 or 1.3, and certificates signed by whom.
#[derive(Clone)]
pub struct TlsConfig(pub(crate) ClientConfig);

/// Shows nothing: a client's key may be in it.
impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig").finish_non_exhaustive()
    }
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The provider lacks what TLS 1.2 or 1.3 needs.
    #[error("the TLS provider cannot be used")]
    Provider(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operating system's roots cannot be loaded.
    #[error("the operating system's certificate authorities cannot be loaded")]
    Platform(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The text holds no certificate, or one that cannot be read.
    #[error("the CA file is not a list of certificates in PEM form")]
    Pem(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// One of the given certificate authorities cannot be read, or there is none.
    #[error("the certificate authorities are no list of certificates in DER form")]
    Roots(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The client's certificate or its key cannot be read, or the two do not belong together.
    #[error("the client certificate and its key are not a pair in PEM form")]
    ClientCertificate(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
}

impl TlsConfig {
    /// Trusts whom the operating system trusts.
    ///
    /// # Errors
    ///
    /// Where the system's certificate authorities cannot be loaded; a container may lack the
    /// package `ca-certificates`.
    pub fn platform(provider: TlsProvider) -> Result<Self, TlsError> {
        let builder = builder(provider)?.with_platform_verifier();
        Ok(Self::without_client_auth(builder.map_err(|error| TlsError::Platform(error.into()))?))
    }

    /// Trusts the certificate authorities of this PEM text, and no other.
    ///
    /// # Errors
    ///
    /// Where the text holds no certificate, or one that cannot be read.
    pub fn ca_pem(provider: TlsProvider, pem: &[u8]) -> Result<Self, TlsError> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let certificates = certificates.map_err(|error| TlsError::Pem(Some(error.into())))?;
        Self::with_trusted_roots(provider, certificates, TlsError::Pem)
    }

    /// Trusts these certificate authorities, each in DER form, and no other.
    ///
    /// # Errors
    ///
    /// Where there is none, or one that cannot be read.
    pub fn roots<R: Into<Vec<u8>>>(
        provider: TlsProvider,
        roots: impl IntoIterator<Item = R>,
    ) -> Result<Self, TlsError> {
        let roots = roots.into_iter().map(|root| CertificateDer::from(root.into()));
        Self::with_trusted_roots(provider, roots, TlsError::Roots)
    }

    /// Shows the service this certificate, with the chain that leads to its authority, where it
    /// asks for one. Both texts are PEM.
    ///
    /// # Errors
    ///
    /// Where one of the two cannot be read, or they do not belong together.
    pub fn client_certificate(mut self, chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let failed = |error: rustls::Error| TlsError::ClientCertificate(Some(error.into()));
        let unreadable = |error: pem::Error| TlsError::ClientCertificate(Some(error.into()));
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let (chain, key) = (chain, PrivateKeyDer::from_pem_slice(key));
        let (chain, key) = (chain.map_err(unreadable)?, key.map_err(unreadable)?);
        if chain.is_empty() {
            return Err(TlsError::ClientCertificate(None));
        }
        let pair = CertifiedKey::from_der(chain, key, self.0.crypto_provider()).map_err(failed)?;
        self.0.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(pair));
        Ok(self)
    }

    fn with_trusted_roots(
        provider: TlsProvider,
        certificates: impl IntoIterator<Item = CertificateDer<'static>>,
        failed: fn(Option<Box<dyn std::error::Error + Send + Sync>>) -> TlsError,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|error| failed(Some(error.into())))?;
        }
        if roots.is_empty() {
            return Err(failed(None));
        }
        Ok(Self::without_client_auth(builder(provider)?.with_root_certificates(roots)))
    }

    fn without_client_auth(builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> Self {
        Self(builder.with_no_client_auth())
    }
}

fn builder(provider: TlsProvider) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider.0);
    builder.with_safe_default_protocol_versions().map_err(|error| TlsError::Provider(error.into()))
}

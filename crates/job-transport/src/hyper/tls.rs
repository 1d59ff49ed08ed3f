//! TLS settings: trusted certificate authorities, client certificate, cryptography provider.

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

use super::pinned::PinningVerifier;

/// The cryptography provider of TLS.
///
/// The process-wide default of rustls is not used, because another part of the program may install
/// or replace it.
#[derive(Clone, Debug)]
pub struct TlsProvider(Arc<CryptoProvider>);

impl TlsProvider {
    /// Returns the provider based on AWS-LC.
    #[cfg(feature = "aws-lc-rs")]
    #[must_use]
    pub fn aws_lc_rs() -> Self {
        Self(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
    }

    /// Returns the provider based on ring.
    #[cfg(feature = "ring")]
    #[must_use]
    pub fn ring() -> Self {
        Self(Arc::new(rustls::crypto::ring::default_provider()))
    }
}

/// TLS settings: the trusted certificate authorities and the client certificate.
///
/// TLS 1.2 and 1.3 are supported.
#[derive(Clone)]
pub struct TlsConfig(pub(crate) ClientConfig);

/// Omits the settings, because they may contain a private key.
impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig").finish_non_exhaustive()
    }
}

/// The error of TLS settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The provider does not support TLS 1.2 or 1.3.
    #[error("the TLS provider does not support TLS 1.2 or 1.3")]
    Provider(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system's certificate authorities cannot be loaded.
    #[error("cannot load the system's certificate authorities")]
    Platform(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The PEM text contains no certificate, or an invalid one.
    #[error("the CA file does not contain valid certificates in PEM format")]
    Pem(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The list of certificate authorities is empty, or one of them is invalid.
    #[error("the list of certificate authorities is empty or contains an invalid one")]
    Roots(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The client certificate or its key is invalid, or the key does not match the certificate.
    #[error("the client certificate or its key is not valid PEM, or they do not match")]
    ClientCertificate(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
}

impl TlsConfig {
    /// Trusts the certificate authorities of the operating system.
    ///
    /// # Errors
    ///
    /// Returns an error if they cannot be loaded, for example because a container image does not
    /// have the package `ca-certificates`.
    pub fn platform(provider: TlsProvider) -> Result<Self, TlsError> {
        let builder = builder(provider)?.with_platform_verifier();
        Ok(Self::without_client_auth(builder.map_err(|error| TlsError::Platform(error.into()))?))
    }

    /// Trusts only the certificate authorities in this PEM text.
    ///
    /// A server certificate in the text is trusted as well, although it is not an authority, for
    /// example a self-signed one. It must be the first one that the server presents, equal the one
    /// in the text byte for byte, and be valid for the server's name, the current date and server
    /// use.
    ///
    /// # Errors
    ///
    /// Returns an error if the text contains no certificate, or an invalid one.
    pub fn ca_pem(provider: TlsProvider, pem: &[u8]) -> Result<Self, TlsError> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let certificates = certificates.map_err(|error| TlsError::Pem(Some(error.into())))?;
        Self::with_trusted_roots(provider, certificates, TlsError::Pem)
    }

    /// Trusts only these certificate authorities and server certificates, each in DER format; see
    /// [`ca_pem`](Self::ca_pem).
    ///
    /// # Errors
    ///
    /// Returns an error if `roots` is empty, or a certificate is invalid.
    pub fn roots<R: Into<Vec<u8>>>(
        provider: TlsProvider,
        roots: impl IntoIterator<Item = R>,
    ) -> Result<Self, TlsError> {
        let roots = roots.into_iter().map(|root| CertificateDer::from(root.into()));
        Self::with_trusted_roots(provider, roots, TlsError::Roots)
    }

    /// Sets the client certificate to present if the server requests one.
    ///
    /// `chain` is the certificate, followed by its intermediate certificates, and `key` is its
    /// private key. Both are PEM texts.
    ///
    /// # Errors
    ///
    /// Returns an error if one of the two is invalid, or the key does not match the certificate.
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
        let certificates: Vec<_> = certificates.into_iter().collect();
        for certificate in certificates.iter().cloned() {
            roots.add(certificate).map_err(|error| failed(Some(error.into())))?;
        }
        if roots.is_empty() {
            return Err(failed(None));
        }
        let verifier = PinningVerifier::new(roots, &certificates, provider.0.clone());
        let verifier = verifier.map_err(|error| failed(Some(error.into())))?;
        let builder = builder(provider)?.dangerous();
        Ok(Self::without_client_auth(builder.with_custom_certificate_verifier(Arc::new(verifier))))
    }

    fn without_client_auth(builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> Self {
        Self(builder.with_no_client_auth())
    }
}

fn builder(provider: TlsProvider) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider.0);
    builder.with_safe_default_protocol_versions().map_err(|error| TlsError::Provider(error.into()))
}

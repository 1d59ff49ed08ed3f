//! Whom to trust, and the cryptography to do it with. Opens no connection.

use std::sync::Arc;

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    client::WantsClientCert,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject},
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
#[derive(Clone, Debug)]
pub struct Tls(pub(crate) ClientConfig);

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
}

impl Tls {
    /// Trusts whom the operating system trusts.
    ///
    /// # Errors
    ///
    /// Where the system's certificate authorities cannot be loaded; a container may lack the
    /// package `ca-certificates`.
    pub fn platform(provider: TlsProvider) -> Result<Self, TlsError> {
        let builder = builder(provider)?.with_platform_verifier();
        Ok(Self::anonymous(builder.map_err(|error| TlsError::Platform(error.into()))?))
    }

    /// Trusts the certificate authorities of this PEM text, and no other.
    ///
    /// # Errors
    ///
    /// Where the text holds no certificate, or one that cannot be read.
    pub fn ca_pem(provider: TlsProvider, pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| TlsError::Pem(Some(error.into())))?;
            roots.add(certificate).map_err(|error| TlsError::Pem(Some(error.into())))?;
        }
        if roots.is_empty() {
            return Err(TlsError::Pem(None));
        }
        Ok(Self::anonymous(builder(provider)?.with_root_certificates(roots)))
    }

    fn anonymous(builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> Self {
        Self(builder.with_no_client_auth())
    }
}

fn builder(provider: TlsProvider) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider.0);
    builder.with_safe_default_protocol_versions().map_err(|error| TlsError::Provider(error.into()))
}

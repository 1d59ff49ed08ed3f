//! TLS settings: trusted certificate authorities, client certificate, cryptography provider.

use std::{fmt, io, path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    client::{WantsClientCert, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject},
    sign::SingleCertAndKey,
};
use rustls_platform_verifier::{BuilderVerifierExt, Verifier};

use super::{
    client_certificate::{ClientCertificateFiles, certified_key},
    pinned::PinningVerifier,
};

/// The cryptography provider of TLS.
///
/// The process-wide default of rustls is not used, because another part of the program may install
/// or replace it.
///
/// The features `aws-lc-rs` and `ring` each add one. [`from_rustls`](Self::from_rustls) takes any
/// other, for example one that is approved for FIPS 140-3:
///
/// ```
/// # #[cfg(feature = "aws-lc-rs")] {
/// use std::sync::Arc;
///
/// use job_transport::hyper::{TlsProvider, rustls::crypto::aws_lc_rs};
///
/// // Only TLS 1.3 with AES-256. A program with rustls's feature `fips` passes its FIPS provider.
/// let mut provider = aws_lc_rs::default_provider();
/// provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384];
/// let provider = TlsProvider::from_rustls(Arc::new(provider));
/// # }
/// ```
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

    /// Uses a provider of rustls, which determines the cipher suites and key exchange groups.
    #[must_use]
    pub const fn from_rustls(provider: Arc<CryptoProvider>) -> Self {
        Self(provider)
    }
}

/// TLS settings: the trusted certificate authorities and the client certificate.
///
/// TLS 1.2 and 1.3 are supported, as far as the provider supports them. Certificates are always
/// verified: there is no setting that turns this off.
#[derive(Clone)]
pub struct TlsConfig {
    pub(super) config: ClientConfig,
    pub(super) client_certificate: Option<ClientCertificateFiles>,
}

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
    /// The file of the client certificate or of its key cannot be read, or other users can read
    /// the key.
    #[error("cannot use the file {} of the client certificate", .0.display())]
    ClientCertificateFile(PathBuf, #[source] io::Error),
}

type Cause = Option<Box<dyn std::error::Error + Send + Sync>>;

impl TlsConfig {
    /// Uses a configuration of rustls as it is, with its verifier and its client certificate.
    ///
    /// For settings that the other constructors do not have, for example a verifier of your own. If
    /// the configuration has no ALPN protocols, HTTP/2 and HTTP/1.1 are offered.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "aws-lc-rs")]
    /// # fn example(roots: rustls::RootCertStore) -> Result<(), rustls::Error> {
    /// use std::sync::Arc;
    ///
    /// use job_transport::hyper::{
    ///     HyperTransport, TlsConfig,
    ///     rustls::{ClientConfig, crypto::aws_lc_rs, version::TLS13},
    /// };
    ///
    /// let provider = Arc::new(aws_lc_rs::default_provider());
    /// let config = ClientConfig::builder_with_provider(provider)
    ///     .with_protocol_versions(&[&TLS13])?
    ///     .with_root_certificates(roots)
    ///     .with_no_client_auth();
    /// let transport = HyperTransport::new(TlsConfig::from_rustls(config));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn from_rustls(config: ClientConfig) -> Self {
        Self { config, client_certificate: None }
    }

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

    /// Trusts the certificate authorities of the operating system, and those in this PEM text.
    ///
    /// A server certificate in the text is trusted as well; see [`ca_pem`](Self::ca_pem). On Linux
    /// and other Unix systems, it is not an error if only the text contains authorities.
    ///
    /// # Errors
    ///
    /// Returns an error if the text contains no certificate or an invalid one, or if the system's
    /// verifier cannot be set up.
    #[cfg(not(target_os = "android"))]
    pub fn platform_with_extra_ca_pem(provider: TlsProvider, pem: &[u8]) -> Result<Self, TlsError> {
        let extra = parse_pem(pem)?;
        let trusted = extra.iter().cloned();
        let verifier = Verifier::new_with_extra_roots(trusted, provider.0.clone())
            .map_err(|error| TlsError::Platform(error.into()))?;
        Self::with_verifier(provider, PinningVerifier::new(Arc::new(verifier), &extra))
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
        Self::with_trusted_roots(provider, parse_pem(pem)?, TlsError::Pem)
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
        let pair = certified_key(chain, key, self.config.crypto_provider())?;
        self.config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(pair));
        self.client_certificate = None;
        Ok(self)
    }

    /// Sets the files of the client certificate, which are read again for each new connection.
    ///
    /// So a certificate that another program renews is used without a restart. `chain` contains
    /// the certificate, followed by its intermediate certificates, and `key` its private key, both
    /// in PEM format. Both may be the same file.
    ///
    /// The files are read now, which blocks the thread. For each new connection another thread
    /// reads them. If that takes longer than one second or fails, for example because only one of
    /// the files is replaced yet, the previous certificate is used, and a warning is logged. Open
    /// connections keep their certificate.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, is larger than 1 MiB or invalid, if the key does
    /// not match the certificate, or if other users can read or change the key's file. A key that
    /// every user can read is accepted if its file belongs to root or is on a read-only mount, as
    /// the mounted secrets of Kubernetes are. Then a warning is logged with the target
    /// `job_transport::file_access`.
    pub fn client_certificate_files(
        mut self,
        chain: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        let files = ClientCertificateFiles::load(chain.into(), key.into(), &mut self.config)?;
        self.client_certificate = Some(files);
        Ok(self)
    }

    fn with_trusted_roots(
        provider: TlsProvider,
        certificates: impl IntoIterator<Item = CertificateDer<'static>>,
        failed: fn(Cause) -> TlsError,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let certificates: Vec<_> = certificates.into_iter().collect();
        for certificate in certificates.iter().cloned() {
            roots.add(certificate).map_err(|error| failed(Some(error.into())))?;
        }
        if roots.is_empty() {
            return Err(failed(None));
        }
        let by_authority =
            WebPkiServerVerifier::builder_with_provider(roots.into(), provider.0.clone());
        let by_authority = by_authority.build().map_err(|error| failed(Some(error.into())))?;
        Self::with_verifier(provider, PinningVerifier::new(by_authority, &certificates))
    }

    fn with_verifier(
        provider: TlsProvider,
        verifier: impl ServerCertVerifier + 'static,
    ) -> Result<Self, TlsError> {
        let builder = builder(provider)?.dangerous();
        Ok(Self::without_client_auth(builder.with_custom_certificate_verifier(Arc::new(verifier))))
    }

    fn without_client_auth(builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> Self {
        Self::from_rustls(builder.with_no_client_auth())
    }
}

/// Reads the certificates of a PEM text, of which there must be one at least.
fn parse_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| TlsError::Pem(Some(error.into())))?;
    if certificates.is_empty() { Err(TlsError::Pem(None)) } else { Ok(certificates) }
}

fn builder(provider: TlsProvider) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider.0);
    builder.with_safe_default_protocol_versions().map_err(|error| TlsError::Provider(error.into()))
}

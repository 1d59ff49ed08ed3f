//! Generates a certificate authority and a certificate for one server. Writes no files.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivatePkcs8KeyDer};

/// The configuration of the TLS server, and the certificate authority that its clients must trust.
pub(crate) struct ServerCertificate {
    pub(crate) server_config: Arc<ServerConfig>,
    pub(crate) ca_pem: String,
}

/// Generates a certificate for `localhost`, `127.0.0.1`, `cce.example` and
/// `*.eu-de.cloud.example`. The authority's key is dropped afterwards.
pub(crate) fn generate_certificate()
-> Result<ServerCertificate, Box<dyn std::error::Error + Send + Sync>> {
    let mut ca = CertificateParams::default();
    // The authority needs its own name, because OpenSSL treats a certificate as self-signed if its
    // issuer has the same name.
    ca.distinguished_name.push(DnType::CommonName, "simulated authority");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_key = KeyPair::generate()?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);

    let key = KeyPair::generate()?;
    let names =
        ["localhost", "127.0.0.1", "cce.example", "*.eu-de.cloud.example"].map(String::from);
    let mut certificate = CertificateParams::new(names)?;
    certificate.distinguished_name.push(DnType::CommonName, "simulated service");
    certificate.use_authority_key_identifier_extension = true;
    certificate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = certificate.signed_by(&key, &issuer)?;

    let mut server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )?;
    server.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
    Ok(ServerCertificate { server_config: Arc::new(server), ca_pem })
}

//! Verifies a server's certificate by its authority, or by comparing it with a given one.

mod validity;

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use validity::Validity;

/// Accepts a certificate of a trusted authority, and one that equals a given one byte for byte.
///
/// The usual verification refuses a server certificate that claims to be an authority,
/// even if it was given as trusted. `openssl req -x509` makes such certificates.
#[derive(Debug)]
pub(super) struct PinningVerifier {
    by_authority: Arc<dyn ServerCertVerifier>,
    given: Vec<(CertificateDer<'static>, Validity)>,
}

impl PinningVerifier {
    /// Creates a verifier. `by_authority` must trust the given certificates as authorities. One
    /// whose validity cannot be read is trusted only as an authority.
    pub(super) fn new(
        by_authority: Arc<dyn ServerCertVerifier>,
        given: &[CertificateDer<'static>],
    ) -> Self {
        let read = |given: &CertificateDer<'static>| Some((given.clone(), Validity::read(given)?));
        Self { by_authority, given: given.iter().filter_map(read).collect() }
    }

    /// Checks the dates, the usage and the name of a certificate that was given.
    fn verify_given(
        certificate: &CertificateDer<'_>,
        validity: &Validity,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now < validity.not_before {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > validity.not_after {
            return Err(CertificateError::Expired.into());
        }
        if !validity.is_for_servers {
            return Err(CertificateError::InvalidPurpose.into());
        }
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for PinningVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.given.iter().find(|(given, _)| given == end_entity) {
            Some((_, validity)) => Self::verify_given(end_entity, validity, server_name, now),
            None => self.by_authority.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
        }
    }

    // The server proves that it has the private key by signing the handshake.

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_authority.supported_verify_schemes()
    }
}

//! Asks a server on this machine whether it is ready, for the probes of Kubernetes.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{self, CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{arguments::ReadyArguments, files, token};

/// How long the server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum size of the reply.
const MAX_REPLY: usize = 16 << 10;

/// Asks `/ready`.
///
/// # Errors
///
/// Returns an error with the reason if the server is not ready.
pub(crate) async fn run(arguments: ReadyArguments) -> anyhow::Result<()> {
    let file = arguments.state.tokens()?;
    let context = || format!("cannot use the token file {}", file.display());
    let (text, _) = files::read_secret(&file).with_context(context)?;
    let token = token::parse(&text).next();
    let token = token.context("it contains no token").with_context(context)?;
    let asked = async {
        let stream = TcpStream::connect((arguments.address, arguments.port)).await?;
        match &arguments.tls_cert {
            None => ask(stream, token).await,
            Some(file) => {
                let connector = TlsConnector::from(Arc::new(trust_only(file)?));
                let name = ServerName::try_from("localhost")?;
                ask(connector.connect(name, stream).await?, token).await
            }
        }
    };
    timeout(TIMEOUT, asked).await.context("the server has not answered in time")?
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    token: &str,
) -> anyhow::Result<()> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get("/ready")
        .header(header::HOST, "localhost")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let body = Limited::new(response.into_body(), MAX_REPLY).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    bail!("not ready ({status}): {}", problem["detail"].as_str().unwrap_or("no reason was given"));
}

/// Returns TLS settings that trust only the certificate in a file. Its name does not matter, because
/// the connection is to this machine.
fn trust_only(file: &Path) -> anyhow::Result<ClientConfig> {
    let (pem, _) = files::read(file).with_context(|| format!("cannot use {}", file.display()))?;
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
        .with_context(|| format!("cannot use {}", file.display()))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = SameCertificate { certificate, provider: provider.clone() };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// Accepts one certificate.
#[derive(Debug)]
struct SameCertificate {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for SameCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::UnknownIssuer.into())
        }
    }

    // The server proves that it has the private key by signing the handshake.

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

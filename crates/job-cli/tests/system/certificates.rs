//! Tests the flags for TLS with a server that has a private CA and requires a client certificate.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivatePkcs8KeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::support::{Folder, command, run};

/// A certificate authority, and its certificate in PEM format.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn sign(&self) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".into()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// Starts a server that requires a client certificate, and always answers with the same job.
/// Returns its port.
async fn server_requiring_client_certificate(authority: &Authority) -> u16 {
    let mut roots = RootCertStore::empty();
    roots.add(PemObject::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let (certificate, key) = authority.sign();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(acceptor.clone(), stream));
        }
    });
    port
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.unwrap_or(0) > 0 {}
    let body = r#"{"kind": "Job", "status": {"phase": "Success"}}"#;
    let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(reply.as_bytes()).await;
    let _ = stream.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_flags_select_authorities_and_the_client_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let port = server_requiring_client_certificate(&authority).await;
    let folder = Folder::new();
    let (certificate, key) = authority.sign();
    folder.write("ca.pem", &authority.pem);
    folder.write("other-ca.pem", &other.pem);
    folder.write("client.pem", certificate.pem());
    folder.write("client.key", key.serialize_pem());
    folder.write("both.pem", certificate.pem() + &key.serialize_pem());
    for name in ["client.key", "both.pem"] {
        use std::os::unix::fs::PermissionsExt;
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(folder.file(name), private).unwrap();
    }
    let client = "--client-cert client.pem --client-key client.key";
    let untrusted = "cannot trust the certificate of `localhost:PORT`";
    let wrong_ca = "Check that other-ca.pem (from --ca-file) has the CA of the server.";
    // The flags, the variable OS_CACERT, the exit code, and what stderr contains.
    let rows: [(String, &str, i32, &str); 10] = [
        (format!("--ca-file ca.pem {client}"), "", 0, ""),
        (format!("--extra-ca-file ca.pem {client}"), "", 0, ""),
        (format!("--extra-ca-file ca.pem {client}"), "other-ca.pem", 0, ""),
        (format!("--extra-ca-file other-ca.pem {client}"), "ca.pem", 0, ""),
        ("--ca-file ca.pem --client-cert both.pem".into(), "", 0, ""),
        (format!("--extra-ca-file other-ca.pem {client}"), "", 6, untrusted),
        (format!("--ca-file other-ca.pem {client}"), "", 6, wrong_ca),
        ("--ca-file ca.pem".into(), "", 6, "a client certificate is required by `localhost:PORT`"),
        (
            "--ca-file ca.pem --client-cert client.pem --client-key ca.pem".into(),
            "",
            2,
            "--client-cert",
        ),
        ("--ca-file ca.pem --extra-ca-file other-ca.pem".into(), "", 2, "cannot be used with"),
    ];
    for (flags, cacert, code, expected) in rows {
        let mut command = command();
        command
            .current_dir(folder.file(""))
            .env("OS_TOKEN", "canary")
            .env("OS_PROJECT_ID", "p")
            .env("OS_CACERT", cacert)
            .args(["get", "--endpoint", &format!("https://localhost:{port}"), "job-1"])
            .args(shell_words::split(&flags).unwrap());
        let ran = run(command).await;
        assert_eq!(ran.code, Some(code), "{flags}: {ran:?}");
        let stderr = ran.stderr.replace(&format!("localhost:{port}"), "localhost:PORT");
        assert!(stderr.contains(expected), "{flags}: {stderr}");
    }
}

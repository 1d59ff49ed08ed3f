//! Tests that client certificates are presented, and loaded again when their files change.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use job_transport::{
    hyper::{HyperTransport, TlsConfig, TlsError},
    transport::{Transport, TransportErrorKind, display_chain},
};
use rustls::{
    RootCertStore, ServerConfig, crypto::aws_lc_rs, pki_types::pem::PemObject,
    server::WebPkiClientVerifier,
};

use crate::support::*;

/// The client certificates that a server received, one for each connection.
type Presented = Arc<Mutex<Vec<Vec<u8>>>>;

/// Starts a server that requires a client certificate of this authority.
async fn server_requiring_client_certificate(authority: &Authority) -> (TestServer, Presented) {
    let leaf = authority.leaf();
    let mut roots = RootCertStore::empty();
    roots.add(PemObject::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(leaf.chain(), leaf.key.serialize_der().try_into().unwrap())
        .unwrap();
    let presented = Presented::default();
    let received = presented.clone();
    let server = TestServer::over_tls(config, move |stream| {
        let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        received.lock().unwrap().push(certificate);
        send_reply(stream)
    })
    .await;
    (server, presented)
}

fn der(certified: &Certified) -> Vec<u8> {
    certified.certificate.der().to_vec()
}

/// A folder with the files of a client certificate. It is removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("client-certificates-{}-{number}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// Writes a file that only its owner can read.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        set_mode(&path, 0o600);
        path
    }

    fn write_certificate(&self, certified: &Certified) -> PathBuf {
        self.write("client.pem", &certified.certificate.pem())
    }

    fn write_key(&self, certified: &Certified) -> PathBuf {
        self.write("client.key", &certified.key.serialize_pem())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(unix)]
fn set_mode(path: &PathBuf, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn set_mode(_: &PathBuf, _: u32) {}

#[tokio::test]
async fn a_client_certificate_is_presented_on_request() {
    let authority = Authority::new();
    let (server, _) = server_requiring_client_certificate(&authority).await;
    for provider in providers() {
        let tls = || TlsConfig::ca_pem(provider.clone(), authority.pem.as_bytes()).unwrap();
        let client = authority.leaf();
        let (chain, key) = (client.certificate.pem(), client.key.serialize_pem());
        let with = tls().client_certificate(chain.as_bytes(), key.as_bytes()).unwrap();
        let reply = HyperTransport::new(with).send(get(&server.https())).await;
        assert_eq!(reply.unwrap().body(), "{}");
        let (kind, ..) = send_failure(HyperTransport::new(tls()).send(get(&server.https())).await);
        assert_eq!(kind, TransportErrorKind::ClientCertificateRequired);
    }
}

#[tokio::test]
async fn a_client_certificate_is_loaded_again_when_its_files_change() {
    let authority = Authority::new();
    let (server, presented) = server_requiring_client_certificate(&authority).await;
    let certificates: Vec<_> = (0..4).map(|_| authority.leaf()).collect();
    for provider in providers() {
        presented.lock().unwrap().clear();
        let folder = Folder::new();
        let certificate = folder.write_certificate(&certificates[0]);
        let key = folder.write_key(&certificates[0]);
        let tls = TlsConfig::ca_pem(provider, authority.pem.as_bytes()).unwrap();
        let tls = tls.client_certificate_files(&certificate, &key).unwrap();
        let transport = HyperTransport::new(tls);
        let clone = transport.clone().max_body(1024);
        // The server closes each connection, so each request opens one, and its session could be
        // resumed.
        let request = async |transport: &HyperTransport| {
            let reply = transport.send(get(&server.https())).await;
            assert_eq!(reply.unwrap().body(), "{}");
        };
        request(&transport).await;
        request(&transport).await;
        folder.write_certificate(&certificates[1]);
        folder.write_key(&certificates[1]);
        request(&transport).await;
        request(&clone).await;
        // Only one of the two files is replaced.
        folder.write_certificate(&certificates[2]);
        request(&transport).await;
        folder.write_key(&certificates[2]);
        request(&transport).await;
        // Files that cannot be used, and then another certificate.
        folder.write("client.key", "canary");
        request(&transport).await;
        fs::remove_file(&certificate).unwrap();
        request(&transport).await;
        folder.write_certificate(&certificates[3]);
        folder.write_key(&certificates[3]);
        request(&transport).await;
        let expected = [0, 0, 1, 1, 1, 2, 2, 2, 3].map(|index| der(&certificates[index]));
        let presented = presented.lock().unwrap();
        let index =
            |der: &Vec<u8>| certificates.iter().position(|certified| self::der(certified) == *der);
        assert!(
            *presented == expected,
            "presented: {:?}",
            presented.iter().map(index).collect::<Vec<_>>()
        );
    }
}

/// Reading a pipe without a writer blocks the thread that reads it.
#[cfg(unix)]
#[tokio::test]
async fn a_file_that_cannot_be_read_delays_a_connection_by_a_second() {
    use std::time::{Duration, Instant};

    let authority = Authority::new();
    let (server, presented) = server_requiring_client_certificate(&authority).await;
    let client = authority.leaf();
    let folder = Folder::new();
    let certificate = folder.write_certificate(&client);
    let key = folder.write_key(&client);
    let tls = TlsConfig::ca_pem(provider(), authority.pem.as_bytes()).unwrap();
    let transport = HyperTransport::new(tls.client_certificate_files(&certificate, &key).unwrap());
    fs::remove_file(&key).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&key).status().unwrap().success());
    set_mode(&key, 0o600);
    for _ in 0..2 {
        #[expect(clippy::disallowed_methods, reason = "another thread waits in real time")]
        let start = Instant::now();
        assert!(transport.send(get(&server.https())).await.is_ok());
        let waited = start.elapsed();
        assert!(waited >= Duration::from_secs(1) && waited < Duration::from_secs(10), "{waited:?}");
    }
    assert_eq!(*presented.lock().unwrap(), [der(&client), der(&client)]);
    // The thread that reads the pipe ends, so that the runtime can.
    fs::write(&key, "").unwrap();
}

#[tokio::test]
async fn one_file_may_contain_the_certificate_and_its_key() {
    let authority = Authority::new();
    let (server, presented) = server_requiring_client_certificate(&authority).await;
    let client = authority.leaf();
    let folder = Folder::new();
    let both = client.certificate.pem() + &client.key.serialize_pem();
    let file = folder.write("both.pem", &both);
    let tls = TlsConfig::ca_pem(provider(), authority.pem.as_bytes()).unwrap();
    let tls = tls.client_certificate_files(&file, &file).unwrap();
    assert!(HyperTransport::new(tls).send(get(&server.https())).await.is_ok());
    assert_eq!(*presented.lock().unwrap(), [der(&client)]);
}

#[test]
fn unusable_client_certificate_files_are_errors() {
    let authority = Authority::new();
    let (client, other) = (authority.leaf(), authority.leaf());
    let folder = Folder::new();
    let certificate = folder.write_certificate(&client);
    let key = folder.write_key(&client);
    let other_key = folder.write("other.key", &other.key.serialize_pem());
    let text = folder.write("text", "canary");
    let large = folder.write("large", &" ".repeat((1 << 20) + 1));
    let changeable = folder.write("changeable.key", &client.key.serialize_pem());
    set_mode(&changeable, 0o602);
    let none = folder.0.join("none");
    let mismatch = "the client certificate or its key is not valid PEM, or they do not match";
    let mut rows = vec![
        (&certificate, &other_key, mismatch.to_owned()),
        (&certificate, &text, mismatch.to_owned()),
        (&text, &key, mismatch.to_owned()),
        (&certificate, &none, "none".into()),
        (&none, &key, "none".into()),
        (&large, &key, "it is larger than 1 MiB".into()),
    ];
    if cfg!(unix) {
        let refusal = "every user can change it; remove this permission (chmod o-w)";
        rows.push((&certificate, &changeable, refusal.into()));
    }
    for (certificate, key, expected) in rows {
        let tls = TlsConfig::ca_pem(provider(), authority.pem.as_bytes()).unwrap();
        let error: TlsError = tls.client_certificate_files(certificate, key).unwrap_err();
        let shown = display_chain(&error);
        assert!(shown.contains(&expected) && !shown.contains("canary"), "{shown}");
    }
    // Everyone may read the certificate itself.
    set_mode(&certificate, 0o644);
    let tls = TlsConfig::ca_pem(provider(), authority.pem.as_bytes()).unwrap();
    assert!(tls.client_certificate_files(&certificate, &key).is_ok());
}

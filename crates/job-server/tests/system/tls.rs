//! TLS: the certificate, its replacement, and the probe `cce-job-server ready`.

use std::{
    net::TcpStream,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::aws_lc_rs,
    pki_types::CertificateDer,
};

use crate::{
    http::{self, READ_TIMEOUT, Reply},
    server::{Server, Setup, eventually, write_private},
};

/// Creates a certificate for localhost, and writes it and its key. Returns the certificate.
fn create_certificate(setup: &Setup) -> CertificateDer<'static> {
    let names = ["localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    write_private(&setup.path("key.pem"), &signing_key.serialize_pem());
    write_private(&setup.path("cert.pem"), &cert.pem());
    cert.der().clone()
}

fn setup() -> (Setup, CertificateDer<'static>) {
    let setup = Setup::simulated(1);
    let certificate = create_certificate(&setup);
    let path = |name: &str| setup.path(name).display().to_string();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let setup = setup.argument("--tls-cert").argument(cert).argument("--tls-key").argument(key);
    (setup, certificate)
}

/// Sends a request, and trusts only a certificate.
fn send(server: &Server, certificate: &CertificateDer<'static>) -> Result<Reply, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut connection =
        ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
    while connection.is_handshaking() {
        if let Err(error) = connection.complete_io(&mut stream) {
            let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
            return Err(tls.unwrap_or_else(|| panic!("{error}")).clone());
        }
    }
    let authorization = format!("Bearer {}", server.token);
    let headers = [("host", "localhost"), ("authorization", &*authorization)];
    let stream = StreamOwned::new(connection, stream);
    Ok(http::send(stream, "GET", "/api/v1/summary", &headers, ""))
}

#[test]
fn requests_are_encrypted_with_the_current_certificate() {
    let (setup, first) = setup();
    let server = setup.start();
    assert_eq!(send(&server, &first).unwrap().status, 200);

    let second = create_certificate(&setup);
    eventually(|| send(&server, &second), Result::is_ok).unwrap();
    assert!(send(&server, &first).is_err());

    // A key without its certificate changes nothing.
    write_private(&setup.path("cert.pem"), "no certificate");
    let log = || {
        assert_eq!(send(&server, &second).unwrap().status, 200);
        server.log()
    };
    eventually(log, |log| log.contains("certificate before stays in use"));

    // Plain HTTP gets no reply.
    use std::io::{Read as _, Write as _};
    let mut plain = TcpStream::connect(server.address).unwrap();
    plain.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
    plain.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut reply = Vec::new();
    let _ = plain.read_to_end(&mut reply);
    assert!(!reply.starts_with(b"HTTP"));
}

#[test]
fn addresses_beyond_this_machine_are_served_with_tls() {
    let (setup, certificate) = setup();
    let mut command = setup.command();
    command.args(["--listen", "0.0.0.0:0"]);
    let server = setup.start_with(command);
    assert_eq!(send(&server, &certificate).unwrap().status, 200);
}

#[test]
fn this_machine_may_send_plain_text_beside_a_trusted_proxy() {
    // A unit test checks the addresses of other machines.
    let setup = Setup::simulated(1).argument("--trusted-proxy").argument("192.0.2.0/24");
    let mut command = setup.command();
    command.args(["--listen", "0.0.0.0:0"]);
    let server = setup.start_with(command);
    assert_eq!(server.send("GET", "/api/v1/summary", "").status, 200);
}

#[test]
fn a_key_that_every_user_can_change_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let (setup, _) = setup();
    let key = setup.path("key.pem");
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o646)).unwrap();
    let error = setup.fail("127.0.0.1:0");
    assert!(error.contains("key.pem") && error.contains("every user can change it"), "{error}");
}

fn ready_command(setup: &Setup, port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cce-job-server"));
    command.args(["ready", "--port", &port.to_string(), "--state-dir"]).arg(setup.folder.path());
    command
}

fn ready(setup: &Setup, port: u16, certificate: Option<&Path>) -> Output {
    let mut command = ready_command(setup, port);
    if let Some(file) = certificate {
        command.arg("--tls-cert").arg(file);
    }
    command.output().unwrap()
}

#[test]
fn the_probe_reports_whether_the_server_is_ready() {
    let (setup, _) = setup();
    let server = setup.start();
    let (port, file) = (server.address.port(), setup.path("cert.pem"));
    let output = ready(&setup, port, Some(&file));
    assert!(output.status.success(), "{output:?}");
    // It trusts no other certificate, and sends the token nowhere else.
    let other = Setup::simulated(1);
    create_certificate(&other);
    assert!(!ready(&setup, port, Some(&other.path("cert.pem"))).status.success());
    write_private(&setup.token_file(), "some-other-token-with-more-than-32-characters");
    drop(server);
    assert!(!ready(&setup, port, Some(&file)).status.success());

    let plain = Setup::simulated(1);
    let server = plain.start();
    let port = server.address.port();
    assert!(ready(&plain, port, None).status.success());
    #[cfg(target_os = "linux")]
    {
        let elsewhere = Setup::simulated(1);
        let mut command = elsewhere.command();
        command.args(["--listen", "127.0.0.2:0"]);
        let server = elsewhere.start_with(command);
        let port = server.address.port();
        for (address, is_ready) in [("127.0.0.2", true), ("127.0.0.1", false)] {
            let mut command = ready_command(&elsewhere, port);
            let output = command.args(["--address", address]).output().unwrap();
            assert_eq!(output.status.success(), is_ready, "{output:?}");
        }
    }
    let output = ready(&setup, port, None);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("401"), "{error}");
}

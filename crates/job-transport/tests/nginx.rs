//! A real nginx, with the limits that it has by default: a busy fleet meets its GOAWAY every
//! thousand requests and loses nothing.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Version};
use job_transport::{HyperTransport, Tls, TlsProvider, Transport};
use rcgen::{CertificateParams, KeyPair};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

const REQUESTS: usize = 5_000;

/// A running nginx; killed when it is dropped.
struct Nginx {
    child: Child,
    folder: PathBuf,
    port: u16,
    ca_pem: String,
}

impl Nginx {
    /// Starts it on a free port of this machine; `None` where it is not installed.
    async fn start() -> Option<Self> {
        let found = Command::new("nginx").arg("-v").stderr(Stdio::null()).status();
        if found.is_err() {
            return None;
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = folder.join(format!("nginx-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".into()]).unwrap();
        let ca_pem = certificate.self_signed(&key).unwrap().pem();
        fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        fs::write(folder.join("certificate.pem"), &ca_pem).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        fs::write(folder.join("nginx.conf"), configuration(port)).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-e").arg("stderr").arg("-p").arg(&folder).arg("-c").arg("nginx.conf");
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut nginx = Self { child, folder, port, ca_pem };
        let listening = timeout(Duration::from_secs(30), async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                assert!(nginx.child.try_wait().unwrap().is_none(), "nginx has ended");
                tokio::task::yield_now().await;
            }
        });
        listening.await.unwrap();
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Whatever is not said here is nginx's default: 1,000 requests a connection, 128 streams at a time.
/// The reply tells the connection, and the request's number on it.
fn configuration(port: u16) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path temporary;\n"))
        .concat();
    format!(
        "daemon off; master_process off; pid nginx.pid;
        events {{}}
        http {{
            access_log off; {temporary}
            server {{
                listen 127.0.0.1:{port} ssl http2;
                ssl_certificate certificate.pem; ssl_certificate_key key.pem;
                location / {{ return 200 '$connection $connection_requests'; }}
            }}
        }}"
    )
}

fn provider() -> TlsProvider {
    #[cfg(feature = "aws-lc-rs")]
    let provider = TlsProvider::aws_lc_rs();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = TlsProvider::ring();
    provider
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_requests_at_once_all_get_their_reply() {
    let Some(nginx) = Nginx::start().await else {
        // Past the test harness, which keeps the output of a test that passes to itself.
        let _ = writeln!(io::stderr(), "SKIPPED nginx: it is not installed");
        return;
    };
    let tls = Tls::ca_pem(provider(), nginx.ca_pem.as_bytes()).unwrap();
    let transport = HyperTransport::new(tls);
    let uri = format!("https://localhost:{}/", nginx.port);
    let get = || Request::get(&uri).body(Bytes::new()).unwrap();
    let replies = join_all((0..REQUESTS).map(|_| transport.send(get()))).await;

    let mut connections = BTreeMap::<String, u32>::new();
    for reply in replies {
        let reply = reply.unwrap();
        assert_eq!((reply.status().as_u16(), reply.version()), (200, Version::HTTP_2));
        let body = String::from_utf8(reply.body().to_vec()).unwrap();
        let (connection, number) = body.split_once(' ').unwrap();
        let most = connections.entry(connection.into()).or_default();
        *most = number.parse::<u32>().unwrap().max(*most);
    }
    // The limit was met, or this would show nothing.
    assert!(connections.len() >= 5, "{connections:?}");
    assert!(connections.values().any(|most| *most == 1_000), "{connections:?}");
}

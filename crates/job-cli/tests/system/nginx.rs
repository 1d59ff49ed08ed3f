//! Tests with a real nginx. With its default limits, it closes a connection (GOAWAY) after a
//! thousand requests, and no request may be lost. As a reverse proxy in front of the service, it is
//! restarted, limits the request rate, and speaks HTTP/1.1.

use std::{
    collections::BTreeMap,
    process::{Child, Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Version};
use job_sim::{Plan, SimServer};
use job_transport::{
    hyper::{HyperTransport, TlsConfig, TlsProvider},
    transport::Transport,
};
use rcgen::{CertificateParams, KeyPair};
use tokio::{net::TcpListener, time::timeout};

use crate::support::{
    Folder, free_port, is_installed, run, sleep, start_service, wait_command, wait_until_listening,
};

const REQUEST_COUNT: usize = 5_000;

/// A running nginx, which is killed on drop.
pub(crate) struct Nginx {
    child: Child,
    folder: Folder,
    port: u16,
    ca_pem: String,
}

impl Nginx {
    /// Starts nginx on a free port of this machine. `http` is `http2`, or empty for HTTP/1.1.
    /// Returns `None` if nginx is not installed.
    async fn start(
        http: &str,
        limits: &str,
        location: &str,
        upstream: Option<&SimServer>,
    ) -> Option<Self> {
        if !is_installed("nginx", "-v") {
            return None;
        }
        let folder = Folder::new();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".into()]).unwrap();
        let ca_pem = certificate.self_signed(&key).unwrap().pem();
        folder.write("key.pem", key.serialize_pem());
        folder.write("certificate.pem", &ca_pem);
        folder.write("upstream.pem", upstream.map(SimServer::ca_pem).unwrap_or_default());
        let port = free_port().await;
        folder.write("nginx.conf", nginx_config(port, http, limits, location));
        let mut child = spawn(&folder);
        wait_until_listening(&mut child, port).await;
        Some(Self { child, folder, port, ca_pem })
    }

    /// Starts nginx as a reverse proxy in front of the service.
    async fn in_front_of(server: &SimServer, http: &str, limits: &str, more: &str) -> Option<Self> {
        let upstream = server.endpoint();
        let location = format!(
            "proxy_pass {upstream}; proxy_ssl_verify on; proxy_ssl_name localhost;
             proxy_ssl_trusted_certificate upstream.pem; proxy_set_header Host $http_host; {more}"
        );
        Self::start(http, limits, &location, Some(server)).await
    }

    fn endpoint(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    async fn restart(&mut self) {
        self.child = spawn(&self.folder);
        wait_until_listening(&mut self.child, self.port).await;
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(folder: &Folder) -> Child {
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-p"]).arg(folder.file("")).args(["-c", "nginx.conf"]);
    command.stderr(Stdio::null()).spawn().unwrap()
}

/// Returns the configuration. Other settings have nginx's defaults, such as 1,000 requests per
/// connection and 128 concurrent streams.
fn nginx_config(port: u16, http: &str, limits: &str, location: &str) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path temporary;\n"))
        .concat();
    format!(
        "daemon off; master_process off; pid nginx.pid;
        events {{ worker_connections 2048; }}
        http {{
            access_log off; {temporary} {limits}
            server {{
                listen 127.0.0.1:{port} ssl {http};
                ssl_certificate certificate.pem; ssl_certificate_key key.pem;
                location / {{ {location} }}
            }}
        }}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_concurrent_requests_survive_goaway() {
    // Each reply contains the number of the connection, and the number of the request on it.
    let location = "return 200 '$connection $connection_requests';";
    let Some(nginx) = Nginx::start("http2", "", location, None).await else { return };
    let tls = TlsConfig::ca_pem(TlsProvider::aws_lc_rs(), nginx.ca_pem.as_bytes()).unwrap();
    let transport = HyperTransport::new(tls);
    let uri = nginx.endpoint();
    let get = || Request::get(&uri).body(Bytes::new()).unwrap();
    let replies = join_all((0..REQUEST_COUNT).map(|_| transport.send(get()))).await;

    let mut connections = BTreeMap::<String, u32>::new();
    for reply in replies {
        let reply = reply.unwrap();
        assert_eq!((reply.status().as_u16(), reply.version()), (200, Version::HTTP_2));
        let body = String::from_utf8(reply.body().to_vec()).unwrap();
        let (connection, number) = body.split_once(' ').unwrap();
        let most = connections.entry(connection.into()).or_default();
        *most = number.parse::<u32>().unwrap().max(*most);
    }
    // Otherwise the limit was never reached, and the test proves nothing.
    assert!(connections.len() >= 5, "{connections:?}");
    assert!(connections.values().any(|most| *most == 1_000), "{connections:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_restart_does_not_end_a_wait() {
    let (sim, server) = start_service(12).await;
    let drained = "keepalive_requests 2;";
    let Some(mut nginx) = Nginx::in_front_of(&server, "http2", drained, "").await else { return };
    let folder = Folder::new();
    let mut command = wait_command(&sim, &nginx.endpoint(), nginx.ca_pem.as_bytes(), &folder);
    command.arg(sim.job().as_str());
    let ran = tokio::spawn(run(command));
    while sim.requests() == 0 {
        sleep(Duration::from_millis(20)).await;
    }
    nginx.stop();
    // Wait until an attempt has failed because nginx is down.
    let instead = TcpListener::bind(("127.0.0.1", nginx.port)).await.unwrap();
    drop(timeout(Duration::from_secs(60), instead.accept()).await.unwrap().unwrap());
    drop(instead);
    nginx.restart().await;
    ran.await.unwrap().assert_succeeded(1, "attempt failed: ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_waits_succeed_behind_a_rate_limiting_proxy() {
    let (sim, server) = start_service(1).await;
    let limits = "limit_req_zone $server_port zone=all:1m rate=5r/s; limit_req_status 429;";
    let location = "limit_req zone=all burst=2 nodelay;";
    let Some(nginx) = Nginx::in_front_of(&server, "http2", limits, location).await else { return };
    let folder = Folder::new();
    let mut command = wait_command(&sim, &nginx.endpoint(), nginx.ca_pem.as_bytes(), &folder);
    command.arg(sim.job().as_str());
    command.args((0..19).map(|_| sim.add(Plan::create_cluster().faster(5)).to_string()));
    run(command).await.assert_succeeded(20, "429 Too Many Requests");
}

/// Over HTTP/1.1, each attempt in flight needs a descriptor. The limit of descriptors is below the
/// number of waits, and the proxy is so slow that the maximum number of attempts is in flight.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_http1_waits_succeed_with_24_descriptors() {
    let (sim, server) = start_service(1).await;
    let limits = "limit_req_zone $server_port zone=all:1m rate=40r/s;";
    let location = "limit_req zone=all burst=1000;";
    let Some(nginx) = Nginx::in_front_of(&server, "", limits, location).await else { return };
    let folder = Folder::new();
    let mut command = wait_command(&sim, &nginx.endpoint(), nginx.ca_pem.as_bytes(), &folder);
    command.arg(sim.job().as_str());
    command.args((0..199).map(|_| sim.add(Plan::create_cluster().faster(5)).to_string()));
    let command = crate::limits::with_descriptor_limit(24, &command);
    run(command).await.assert_succeeded(200, "attempt failed: ");
}

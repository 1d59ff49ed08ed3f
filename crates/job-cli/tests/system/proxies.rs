//! Tests with proxies between the command and the service: one that records the tunnels it opens,
//! and mitmproxy, which injects faults.

use std::{
    collections::BTreeSet,
    fs,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use job_sim::{Plan, Sim};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::support::{
    CommandResult, Folder, command, free_port, is_installed, run, sleep, start_service,
    wait_command, wait_until_listening,
};

/// A proxy that connects every tunnel to the same port of this machine. So
/// the service can have a name that does not exist.
pub(crate) struct RecordingProxy {
    pub(crate) port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl RecordingProxy {
    /// Starts a proxy that answers with `status`, and then opens a tunnel.
    pub(crate) async fn start(service_port: u16, status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let recorded = heads.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve_tunnel(client, service_port, status, recorded.clone()));
            }
        });
        Self { port, heads }
    }

    /// Returns the first lines of the requests so far, without repetitions.
    fn tunnels(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        let first_lines = heads.iter().filter_map(|head| head.lines().next());
        let mut tunnels: Vec<_> = first_lines.map(String::from).collect();
        tunnels.dedup();
        tunnels
    }
}

async fn serve_tunnel(
    client: TcpStream,
    service_port: u16,
    status: &'static str,
    heads: Arc<Mutex<Vec<String>>>,
) {
    let mut client = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head).await.unwrap_or(0) == 0 {
            break;
        }
    }
    heads.lock().unwrap().push(head);
    if client.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await.is_err() {
        return;
    }
    if status.starts_with("200")
        && let Ok(mut service) = TcpStream::connect(("127.0.0.1", service_port)).await
    {
        let _ = copy_bidirectional(&mut client, &mut service).await;
    }
}

/// Runs a command line that logs in at `cce.example:8443` and asks `cce.example` for the job.
async fn run_with_login(
    line: &str,
    sim: &Sim,
    ca_pem: &[u8],
    variables: &[(&str, &str)],
) -> CommandResult {
    let folder = Folder::new();
    let account = sim.account();
    let mut command = command();
    command
        .env("OS_USERNAME", account.user)
        .env("OS_PASSWORD", account.password)
        .env("OS_USER_DOMAIN_NAME", account.domain)
        .env("OS_AUTH_URL", "https://cce.example:8443/v3")
        .env("OS_PROJECT_ID", account.project)
        .env("OS_CACERT", folder.write("trusted.pem", ca_pem))
        .envs(variables.iter().copied())
        .args(shell_words::split(line).unwrap())
        .args(["--endpoint", "https://cce.example"]);
    let ran = run(command).await;
    assert!(!format!("{ran:?}").contains("s3cret"), "{ran:?}");
    ran
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_goes_through_the_proxy_of_the_environment() {
    let (sim, server) = start_service(1).await;
    let port = server.endpoint().rsplit_once(':').unwrap().1.parse().unwrap();
    let wait = format!("wait {}", sim.job());
    let expected = ["CONNECT cce.example:8443 HTTP/1.1", "CONNECT cce.example:443 HTTP/1.1"];
    for (line, variable) in [
        (&*wait, "HTTPS_PROXY"),
        (&format!("get {}", sim.job()), "https_proxy"),
        (&format!("get --proxy env {}", sim.job()), "ALL_PROXY"),
        ("config --check", "HTTPS_PROXY"),
    ] {
        let proxy = RecordingProxy::start(port, "200 OK").await;
        let url = format!("http://user:s3cret@127.0.0.1:{}", proxy.port);
        let before = sim.logins();
        let ran = run_with_login(line, &sim, server.ca_pem(), &[(variable, &url)]).await;
        assert_eq!(ran.code, Some(0), "{line}: {ran:?}");
        assert_eq!(proxy.tunnels(), expected, "{line}");
        assert_eq!(sim.logins() - before, 1, "{line}");
        let head = proxy.heads.lock().unwrap()[0].to_lowercase();
        assert!(head.contains("proxy-authorization: basic dxnlcjpzm2nyzxq="), "{head}");
    }
}

/// A way to log in: its name, its variables, and the services that it uses beside the job API.
struct Login {
    name: &'static str,
    variables: Vec<(&'static str, String)>,
    services: &'static [&'static str],
}

/// Returns the ways to log in at the cloud `cloud.example`, whose hosts are derived.
fn logins(sim: &Sim, folder: &Folder) -> Vec<Login> {
    let account = sim.account();
    let id_token = folder.write_private("id-token", &account.id_token).display().to_string();
    let cloud = ("HW_CLOUD", "cloud.example".to_owned());
    let region = ("HW_REGION_NAME", "eu-de".to_owned());
    let key = [
        ("HW_ACCESS_KEY", account.access_key),
        ("HW_SECRET_KEY", account.secret_key),
        region,
        cloud.clone(),
    ];
    let password = [
        ("OS_USERNAME", account.user),
        ("OS_PASSWORD", account.password),
        ("OS_USER_DOMAIN_NAME", account.domain),
        ("OS_AUTH_URL", "https://iam.eu-de.cloud.example/v3".into()),
    ];
    let agency = [
        ("OS_AGENCY_NAME", account.agency.clone()),
        ("OS_AGENCY_DOMAIN_NAME", account.agency_domain.clone()),
        ("OS_DELEGATED_PROJECT", account.project_name.clone()),
    ];
    let agency_of_key = [
        ("HW_ASSUME_ROLE_AGENCY_NAME", account.agency),
        ("HW_ASSUME_ROLE_DOMAIN_NAME", account.agency_domain),
    ];
    let login =
        |name, variables: &[_], services| Login { name, variables: variables.to_vec(), services };
    vec![
        login("a key and a project's name", &key, &["iam"]),
        login("a key and an agency", &[&key[..], &agency_of_key].concat(), &["iam"]),
        login("a password", &password, &["iam"]),
        login("a password and an agency", &[&password[..], &agency].concat(), &["iam"]),
        login(
            "OIDC with an identity provider",
            &[
                ("HUAWEICLOUD_SDK_IDP_ID", account.identity_provider),
                ("HUAWEICLOUD_SDK_ID_TOKEN_FILE", id_token.clone()),
                cloud.clone(),
            ],
            &["iam"],
        ),
        login(
            "OIDC with an agency",
            &[
                ("HUAWEICLOUD_OIDC_PROVIDER_URN", account.provider_urn),
                ("HUAWEICLOUD_OIDC_AGENCY_URN", account.agency_urn),
                ("HUAWEICLOUD_OIDC_TOKEN_FILE", id_token),
                cloud,
            ],
            &["iam", "sts"],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_login_reaches_only_the_derived_hosts_of_its_cloud() {
    let (sim, server) = start_service(1).await;
    let port = server.endpoint().rsplit_once(':').unwrap().1.parse().unwrap();
    let folder = Folder::new();
    let ca_file = folder.write("trusted.pem", server.ca_pem());
    for Login { name, variables, services } in logins(&sim, &folder) {
        let proxy = RecordingProxy::start(port, "200 OK").await;
        let mut command = command();
        command
            .envs(variables)
            .env("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port))
            .args(["get", "--region", "eu-de", "--ca-file"])
            .arg(&ca_file)
            .arg(sim.job().as_str());
        let ran = run(command).await;
        assert_eq!(ran.code, Some(0), "{name}: {ran:?}");
        let services = ["cce"].into_iter().chain(services.iter().copied());
        let expected: BTreeSet<_> = services
            .map(|service| format!("CONNECT {service}.eu-de.cloud.example:443 HTTP/1.1"))
            .collect();
        assert_eq!(BTreeSet::from_iter(proxy.tunnels()), expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exceptions_and_loopback_are_reached_without_the_proxy() {
    let (sim, server) = start_service(1).await;
    let port = server.endpoint().rsplit_once(':').unwrap().1.parse().unwrap();
    let proxy = RecordingProxy::start(port, "200 OK").await;
    let url = format!("http://127.0.0.1:{}", proxy.port);
    let get = format!("get {}", sim.job());
    let rows: [(&str, &[(&str, &str)]); 5] = [
        (&get, &[("HTTPS_PROXY", &url), ("NO_PROXY", "example")]),
        (&get, &[("https_proxy", &url), ("no_proxy", "cce.example:8443,cce.example:443")]),
        (&get, &[("ALL_PROXY", &url)]),
        (&get, &[("HTTP_PROXY", &url)]),
        (&format!("get --proxy none {}", sim.job()), &[("HTTPS_PROXY", &url)]),
    ];
    for (line, variables) in rows {
        let ran = run_with_login(line, &sim, server.ca_pem(), variables).await;
        assert_eq!(ran.code, Some(6), "{variables:?}: {ran:?}");
        let expected = "cannot resolve `cce.example:8443`";
        let expected = [expected, "cannot resolve `cce.example`"];
        assert!(expected.iter().any(|text| ran.stderr.contains(text)), "{variables:?}: {ran:?}");
    }
    let folder = Folder::new();
    let mut command = wait_command(&sim, &server.endpoint(), server.ca_pem(), &folder);
    command.arg(sim.job().as_str()).env("HTTPS_PROXY", &url);
    let ran = run(command).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(proxy.tunnels(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_proxy_name_the_proxy_and_the_host() {
    let (sim, server) = start_service(1).await;
    let get = format!("get {}", sim.job());
    for (status, expected) in [
        (
            "407 Proxy Authentication Required",
            "cannot log in to the proxy `PROXY` to reach `cce.example:8443`",
        ),
        (
            "503 Service Unavailable",
            "cannot connect through the proxy `PROXY` to `cce.example:8443`",
        ),
    ] {
        let proxy = RecordingProxy::start(0, status).await;
        let url = format!("http://127.0.0.1:{}", proxy.port);
        let ran = run_with_login(&get, &sim, server.ca_pem(), &[("HTTPS_PROXY", &url)]).await;
        assert_eq!(ran.code, Some(6), "{ran:?}");
        let stderr = ran.stderr.replace(&format!("127.0.0.1:{}", proxy.port), "PROXY");
        assert!(stderr.contains(expected), "{stderr}");
        assert!(stderr.contains("Check the proxy (from HTTPS_PROXY)."), "{stderr}");
    }
}

/// Injects a fault into half of all requests, at random with a fixed seed.
const CHAOS_SCRIPT: &str = r#"
import random
from mitmproxy import http

chance = random.Random(7)

def response(flow):
    fate = chance.randrange(10)
    if fate == 0:
        flow.kill()
    elif fate == 1:
        flow.response = http.Response.make(502, b"<html>Bad Gateway</html>")
    elif fate == 2:
        flow.response.content = flow.response.content[: len(flow.response.content) // 2]
    elif fate == 3:
        flow.response = http.Response.make(200, b"<html>Log in</html>", {"content-type": "text/html"})
    elif fate == 4:
        flow.response = http.Response.make(429, b"", {"retry-after": "1"})
"#;

/// A running mitmproxy, which is killed on drop.
struct Mitmproxy(Child);

impl Drop for Mitmproxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_waits_succeed_behind_a_faulty_proxy() {
    if !is_installed("mitmdump", "--version") {
        return;
    }
    let (sim, server) = start_service(3).await;
    let folder = Folder::new();
    let port = free_port().await;
    let mut command = Command::new("mitmdump");
    command
        .args(["--quiet", "--listen-host", "127.0.0.1", "--listen-port", &port.to_string()])
        .args(["--mode", &format!("reverse:{}", server.endpoint())])
        .arg("--set")
        .arg(format!("confdir={}", folder.file("").display()))
        .arg("--set")
        .arg(format!(
            "ssl_verify_upstream_trusted_ca={}",
            folder.write("upstream.pem", server.ca_pem()).display()
        ))
        .arg("--scripts")
        .arg(folder.write("chaos.py", CHAOS_SCRIPT))
        .stdout(Stdio::null());
    let mut proxy = Mitmproxy(command.spawn().unwrap());
    wait_until_listening(&mut proxy.0, port).await;
    let authority = folder.file("mitmproxy-ca-cert.pem");
    let made = timeout(Duration::from_secs(60), async {
        while !fs::metadata(&authority).is_ok_and(|file| file.len() > 0) {
            sleep(Duration::from_millis(50)).await;
        }
    });
    made.await.unwrap();

    let endpoint = format!("https://localhost:{port}");
    let mut command = wait_command(&sim, &endpoint, &fs::read(authority).unwrap(), &folder);
    command.arg(sim.job().as_str());
    command.args((0..11).map(|_| sim.add(Plan::create_cluster().faster(2)).to_string()));
    run(command).await.assert_succeeded(12, "attempt failed");
}

//! Tests with mitmproxy in front of the service, which injects faults.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use job_sim::Plan;
use tokio::time::timeout;

use crate::support::{
    Folder, free_port, is_installed, run, sleep, start_service, wait_command, wait_until_listening,
};

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

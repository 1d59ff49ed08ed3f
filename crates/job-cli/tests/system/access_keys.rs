//! Tests that the processes of a user share what is known of an access key. They reach the service
//! through a proxy, because nothing is recorded for a service on this machine.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use job_sim::{Plan, Sim, SimServer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::timeout,
};

use crate::support::{
    CommandResult, Folder, command, run, start_service, wait_command, wait_for_exit,
};

/// A name in the certificate of the simulated service.
const ENDPOINT: &str = "https://cce.example";

/// The key is not proven for a process while another one waits for its first reply. After this time
/// the process would have sent its request.
const SHORT_TIME: Duration = Duration::from_secs(1);

/// An HTTP proxy that connects every host to the simulated service.
struct TestProxy {
    address: SocketAddr,
    state: Arc<ProxyState>,
}

#[derive(Default)]
struct ProxyState {
    tunnels: AtomicU32,
    hold_next: AtomicBool,
    /// Notified when a tunnel is held back.
    held: Notify,
    /// Opens the tunnel that is held back.
    release: Notify,
}

impl TestProxy {
    async fn start(server: &SimServer) -> Self {
        let service: SocketAddr = server.endpoint()["https://".len()..].parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(ProxyState::default());
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(open_tunnel(stream, service, shared.clone()));
            }
        });
        Self { address, state }
    }

    fn tunnels(&self) -> u32 {
        self.state.tunnels.load(Ordering::Relaxed)
    }

    /// Holds the next tunnel back until it is released.
    fn hold_next(&self) {
        self.state.hold_next.store(true, Ordering::Relaxed);
    }
}

async fn open_tunnel(mut stream: TcpStream, service: SocketAddr, state: Arc<ProxyState>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    assert!(head.starts_with(b"CONNECT cce.example:443 "), "{head:?}");
    state.tunnels.fetch_add(1, Ordering::Relaxed);
    if state.hold_next.swap(false, Ordering::Relaxed) {
        state.held.notify_one();
        state.release.notified().await;
    }
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
    // Fails after the end of a test.
    let Ok(mut service) = TcpStream::connect(service).await else { return };
    let _ = copy_bidirectional(&mut stream, &mut service).await;
}

/// A simulated service behind a proxy, and a state folder.
struct Setup {
    sim: Arc<Sim>,
    server: SimServer,
    proxy: TestProxy,
    folder: Folder,
    ca_file: PathBuf,
}

impl Setup {
    async fn new() -> Self {
        let (sim, server) = start_service(0).await;
        let proxy = TestProxy::start(&server).await;
        let folder = Folder::new();
        let ca_file = folder.write("ca.pem", server.ca_pem());
        Self { sim, server, proxy, folder, ca_file }
    }

    /// Returns a command with the access key of the service and this secret key.
    fn command(&self, line: &str, secret_key: &str) -> Command {
        let mut command = command();
        let account = self.sim.account();
        command
            .env("XDG_STATE_HOME", self.folder.file("state"))
            .env("HUAWEICLOUD_SDK_AK", account.access_key)
            .env("HUAWEICLOUD_SDK_SK", secret_key)
            .env("HUAWEICLOUD_SDK_PROJECT_ID", account.project)
            .args(line.split(' '))
            .args(["--endpoint", ENDPOINT, "--proxy", &format!("http://{}", self.proxy.address)])
            .arg("--ca-file")
            .arg(&self.ca_file);
        command
    }

    fn wrong(&self, line: &str) -> Command {
        self.command(line, "canary-wrong")
    }

    fn right(&self, line: &str) -> Command {
        self.command(line, &self.sim.account().secret_key)
    }

    fn line(&self, command: &str) -> String {
        format!("{command} {}", self.sim.job())
    }
}

fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Asserts that a command ended because the key is blocked, and printed until when.
fn assert_blocked(ran: &CommandResult) {
    assert_eq!(ran.code, Some(4), "{ran:?}");
    let until = ran.stderr.split_once("no request is signed with this key until 2");
    assert!(until.is_some_and(|(_, until)| until.contains('Z')), "{ran:?}");
    assert!(!ran.stderr.contains("canary"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_processes_with_a_wrong_key_send_one_signature() {
    let setup = Setup::new().await;
    let lines = ["get", "wait -q"].map(|command| setup.line(command));
    let running: Vec<_> =
        (0..10).map(|number| wait_for_exit(spawn(setup.wrong(&lines[number % 2])))).collect();
    for one in running {
        assert_blocked(&one.await);
    }
    assert_eq!(setup.sim.requests(), 1);
    // A later process reads the record, and sends nothing.
    assert_blocked(&run(setup.wrong(&lines[0])).await);
    assert_eq!(setup.sim.requests(), 1);
    // With another secret key it is another key.
    assert_eq!(run(setup.right(&lines[0])).await.code, Some(0));
    assert_eq!(setup.sim.requests(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_processes_with_a_right_key_all_succeed() {
    let setup = Setup::new().await;
    let running: Vec<_> =
        (0..10).map(|_| wait_for_exit(spawn(setup.right(&setup.line("wait"))))).collect();
    for one in running {
        one.await.assert_succeeded(1, "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unproven_key_is_used_by_one_process_at_a_time() {
    let setup = Setup::new().await;
    setup.proxy.hold_next();
    let mut first = spawn(setup.right(&setup.line("get")));
    setup.proxy.state.held.notified().await;
    let mut second = Box::pin(wait_for_exit(spawn(setup.right(&setup.line("get")))));
    assert!(timeout(SHORT_TIME, &mut second).await.is_err());
    assert_eq!(setup.proxy.tunnels(), 1, "the second process has sent nothing");
    // The lock of a process that is killed is released.
    first.kill().unwrap();
    first.wait().unwrap();
    let second = second.await;
    assert_eq!(second.code, Some(0), "{second:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proven_key_is_used_by_all_processes_at_once() {
    let setup = Setup::new().await;
    assert_eq!(run(setup.right(&setup.line("get"))).await.code, Some(0));
    setup.proxy.hold_next();
    let held = spawn(setup.right(&setup.line("get")));
    setup.proxy.state.held.notified().await;
    for _ in 0..3 {
        let ran = run(setup.right(&setup.line("get"))).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    setup.proxy.state.release.notify_one();
    let held = wait_for_exit(held).await;
    assert_eq!(held.code, Some(0), "{held:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_folder_that_cannot_be_written_gives_one_warning() {
    let setup = Setup::new().await;
    let more = [(); 2].map(|()| setup.sim.add(Plan::create_cluster().faster(60)).to_string());
    let mut wait = setup.right(&setup.line("wait -q"));
    wait.args(more).env("XDG_STATE_HOME", "/dev/null/none");
    let ran = run(wait).await;
    ran.assert_succeeded(3, "Set XDG_STATE_HOME to a folder that is writable.");
    let warning = "each process may send a wrong access key once";
    assert_eq!(ran.stderr.matches(warning).count(), 1, "{ran:?}");
    let mut wrong = setup.wrong(&setup.line("get"));
    wrong.env("XDG_STATE_HOME", "/dev/null/none");
    let ran = run(wrong).await;
    assert_blocked(&ran);
    assert_eq!(ran.stderr.matches(warning).count(), 1, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_recorded_for_this_machine_for_tokens_and_for_settings() {
    let setup = Setup::new().await;
    let state = setup.folder.file("state");
    let config = run(setup.right("config")).await;
    assert_eq!(config.code, Some(0), "{config:?}");
    // Two processes with a wrong key for a service on this machine send two signatures.
    for expected in 1..=2 {
        let mut get = command();
        get.env("XDG_STATE_HOME", &state)
            .env("HUAWEICLOUD_SDK_AK", setup.sim.account().access_key)
            .env("HUAWEICLOUD_SDK_SK", "canary-wrong")
            .env("HUAWEICLOUD_SDK_PROJECT_ID", setup.sim.account().project)
            .args(["get", setup.sim.job().as_str(), "--endpoint", &setup.server.endpoint()])
            .arg("--ca-file")
            .arg(&setup.ca_file);
        assert_blocked(&run(get).await);
        assert_eq!(setup.sim.requests(), expected);
    }
    let mut wait = wait_command(&setup.sim, ENDPOINT, setup.server.ca_pem(), &setup.folder);
    wait.args(["-q", "--history", "none", setup.sim.job().as_str(), "--proxy"])
        .arg(format!("http://{}", setup.proxy.address))
        .env("XDG_STATE_HOME", &state);
    run(wait).await.assert_succeeded(1, "");
    assert!(!has_records(&state));
    assert_eq!(run(setup.right(&setup.line("get"))).await.code, Some(0));
    assert!(has_records(&state));
}

fn has_records(state: &Path) -> bool {
    fs::exists(state.join("cce-job/keys")).unwrap()
}

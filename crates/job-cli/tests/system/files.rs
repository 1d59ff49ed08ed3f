//! Tests of the files that the command writes: only regular files are replaced, and two processes
//! never write one checkpoint.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink},
        net::UnixListener,
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use job_poller::schedule::History;
use job_sim::{Plan, Sim, SimServer};
use serde_json::Value;
use tokio::{task::spawn_blocking, time::timeout};

use crate::{
    proxies::RecordingProxy,
    session::Transcript,
    support::{
        CommandResult, Folder, command, report_skipped, sleep, start_service, wait_command,
        wait_for_exit,
    },
};

/// A command that takes longer hangs.
const MAX_COMMAND_TIME: Duration = Duration::from_secs(30);

/// A user without rights, `nobody` on most systems.
const OTHER_USER: u32 = 65_534;

/// Starts a command.
fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Runs a command to its end. Kills it if it hangs.
async fn run_in_time(command: &mut Command) -> CommandResult {
    let child = spawn(command);
    let id = child.id().to_string();
    match timeout(MAX_COMMAND_TIME, wait_for_exit(child)).await {
        Ok(ran) => ran,
        Err(_) => {
            Command::new("kill").args(["-9", &id]).status().unwrap();
            panic!("{command:?} hangs");
        }
    }
}

fn run_tool(program: &str, arguments: &[&str], path: &Path) -> bool {
    Command::new(program).arg(path).args(arguments).status().is_ok_and(|status| status.success())
}

/// Returns something of each kind that is not a regular file, with its description. A device is
/// only made if the test may do so.
fn other_files(folder: &Folder) -> Vec<(PathBuf, &'static str)> {
    let [pipe, socket, within, device] =
        ["pipe.html", "socket.html", "folder.html", "device.html"].map(|name| folder.file(name));
    assert!(run_tool("mkfifo", &[], &pipe));
    // The socket file stays if the listener is dropped.
    UnixListener::bind(&socket).unwrap();
    fs::create_dir(&within).unwrap();
    let link = folder.file("link.html");
    symlink(&pipe, &link).unwrap();
    let mut all = vec![
        (pipe, "it is a named pipe, not a regular file"),
        (socket, "it is a socket, not a regular file"),
        (within, "it is a folder, not a regular file"),
        (link, "it is a named pipe, not a regular file"),
    ];
    if run_tool("mknod", &["c", "1", "3"], &device) {
        all.push((device, "it is a character device, not a regular file"));
    } else {
        report_skipped("a character device", "mknod is not permitted");
    }
    all
}

/// A service that the command reaches under another name than that of this machine, through a proxy.
/// Only then it saves how long the jobs took.
struct NamedService {
    sim: Arc<Sim>,
    server: SimServer,
    proxy: RecordingProxy,
}

impl NamedService {
    /// Starts a service whose first job takes this long.
    async fn start(seconds: u32) -> Self {
        let (sim, server) = start_service(seconds).await;
        let port = server.endpoint().rsplit_once(':').unwrap().1.parse().unwrap();
        let proxy = RecordingProxy::start(port, "200 OK").await;
        Self { sim, server, proxy }
    }

    fn wait_command(&self, folder: &Folder) -> Command {
        let endpoint = "https://cce.example";
        let mut wait = wait_command(&self.sim, endpoint, self.server.ca_pem(), folder);
        wait.env("HTTPS_PROXY", format!("http://127.0.0.1:{}", self.proxy.port));
        wait
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_regular_files_are_replaced_or_removed() {
    let (sim, server) = start_service(0).await;
    let folder = Folder::new();
    for (path, kind) in other_files(&folder) {
        let before = fs::symlink_metadata(&path).unwrap().file_type();
        for flag in ["--history", "--checkpoint", "--report"] {
            let mut wait = wait_command(&sim, &server.endpoint(), server.ca_pem(), &folder);
            let ran = run_in_time(wait.arg(flag).arg(&path).arg(sim.job().as_str())).await;
            assert_eq!(ran.code, Some(2), "{flag} {}: {ran:?}", path.display());
            assert!(ran.stderr.contains(kind), "{flag} {}: {ran:?}", path.display());
        }
        let ca_file = run_in_time(command().args(["sim", "--ca-file"]).arg(&path)).await;
        assert_eq!(ca_file.code, Some(2), "{ca_file:?}");
        let reply = crate::support::fixture("jobs/reference-example.json");
        let report = run_in_time(command().arg("report").arg(reply).arg("-o").arg(&path)).await;
        assert_eq!(report.code, Some(2), "{report:?}");
        for ran in [ca_file, report] {
            assert!(ran.stderr.contains(kind), "{}: {ran:?}", path.display());
        }
        let after = fs::symlink_metadata(&path).unwrap().file_type();
        assert_eq!(before, after, "{}", path.display());
        assert!(!after.is_file() && (after.is_symlink() || after.is_dir() || is_special(&path)));
    }
    assert_eq!(sim.requests(), 0, "each mistake is found before the first request");
}

fn is_special(path: &Path) -> bool {
    let kind = fs::metadata(path).unwrap().file_type();
    kind.is_fifo() || kind.is_socket() || kind.is_char_device()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_and_modes_of_files_are_kept() {
    let service = NamedService::start(1).await;
    let folder = Folder::new();
    for (flag, name, text) in [("--history", "history.json", ""), ("--report", "job.html", "old")] {
        let file = folder.write(&format!("real/{name}"), text);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let link = folder.file(name);
        symlink(&file, &link).unwrap();
        let mut wait = service.wait_command(&folder);
        let ran = run_in_time(wait.arg(flag).arg(&link).arg(service.sim.job().as_str())).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(link.is_symlink() && fs::read_to_string(&file).unwrap().len() > 10, "{flag}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640, "{flag}");
        assert_eq!(fs::read_dir(folder.file("real")).unwrap().count(), 1, "no other file is left");
        fs::remove_file(file).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_another_user_keep_their_owner() {
    let service = NamedService::start(1).await;
    let folder = Folder::new();
    if chown(folder.write("probe", ""), Some(OTHER_USER), None).is_err() {
        return report_skipped("files of another user", "only root can create them");
    }
    // The user may write these files and their folder, but cannot give a new file to root.
    fs::set_permissions(folder.file(""), fs::Permissions::from_mode(0o777)).unwrap();
    let run = async |flag: &str, name: &str, text: &str| {
        let file = folder.write(name, text);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        let job = service.sim.add(Plan::create_cluster().faster(5));
        let mut wait = service.wait_command(&folder);
        wait.args(["-q", job.as_str(), flag]).arg(&file);
        let before = fs::metadata(&file).unwrap().ino();
        let ran = run_in_time(wait.uid(OTHER_USER).gid(OTHER_USER)).await;
        let after = fs::metadata(&file).unwrap();
        assert_eq!((after.ino(), after.uid(), after.mode() & 0o777), (before, 0, 0o666), "{ran:?}");
        (ran, fs::read_to_string(file).unwrap())
    };
    for (flag, name, text) in [("--history", "history.json", ""), ("--report", "job.html", "old")] {
        let (ran, written) = run(flag, name, text).await;
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{ran:?}");
        assert!(written.len() > 10 && !written.ends_with("old"), "{flag}: {written}");
    }
    let (ran, written) = run("--checkpoint", "wait.json", "").await;
    assert_eq!((ran.code, &*written), (Some(2), ""), "{ran:?}");
    assert!(ran.stderr.contains("its owner (user 0, group 0) cannot be kept"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_history_is_skipped_with_one_warning() {
    let service = NamedService::start(1).await;
    let folder = Folder::new();
    let history = folder.file("history.json");
    let lock = File::create(folder.file("history.json.lock")).unwrap();
    lock.lock().unwrap();
    let wait = async || {
        let job = service.sim.add(Plan::create_cluster().faster(5));
        let mut wait = service.wait_command(&folder);
        run_in_time(wait.args(["-q", job.as_str(), "--history"]).arg(&history)).await
    };
    let ran = wait().await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let warning = "is in use by another process, so this job's duration is not saved";
    assert_eq!(ran.stderr.matches(warning).count(), 1, "{ran:?}");
    assert!(!history.exists());
    drop(lock);
    let ran = wait().await;
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{ran:?}");
    assert!(history.exists() && !folder.file("history.json.lock").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_share_a_history_lose_no_duration() {
    let service = NamedService::start(1).await;
    let folder = Folder::new();
    let history = folder.file("history.json");
    let mut wait = service.wait_command(&folder);
    wait.arg("--history").arg(&history).arg(service.sim.job().as_str());
    let running: Vec<_> = (0..4).map(|_| wait_for_exit(spawn(&mut wait))).collect();
    for one in running {
        one.await.assert_succeeded(1, "");
    }
    let histories: Value = serde_json::from_slice(&fs::read(&history).unwrap()).unwrap();
    assert_eq!(histories["hosts"][0]["host"], "cce.example");
    let history = histories["hosts"][0]["history"].clone();
    let history: History = serde_json::from_value(history).unwrap();
    // An older observation weighs a little less than a new one.
    assert!(history.jobs("CreateCluster") > 3.7, "{}", history.jobs("CreateCluster"));
}

/// Neither the file in the state folder nor a named one is written for a service on this machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn durations_of_a_service_on_this_machine_are_not_saved() {
    let service = NamedService::start(1).await;
    for (is_local, arguments, file) in [
        (true, &["--history", "history.json"][..], "history.json"),
        (true, &[], "state/cce-job/history.json"),
        (false, &[], "state/cce-job/history.json"),
        (false, &["--history", "history.json"], "history.json"),
    ] {
        let folder = Folder::new();
        let mut wait = if is_local {
            wait_command(&service.sim, &service.server.endpoint(), service.server.ca_pem(), &folder)
        } else {
            service.wait_command(&folder)
        };
        let job = service.sim.add(Plan::create_cluster().faster(5));
        wait.current_dir(folder.file("")).env("XDG_STATE_HOME", folder.file("state"));
        let ran = run_in_time(wait.args(["-q", job.as_str()]).args(arguments)).await;
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{ran:?}");
        assert_eq!(folder.file(file).exists(), !is_local, "{is_local} {file}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_in_use_by_another_process_is_refused() {
    let (sim, server) = start_service(600).await;
    let folder = Folder::new();
    let checkpoint = folder.file("wait.json");
    let wait = || {
        let mut wait = wait_command(&sim, &server.endpoint(), server.ca_pem(), &folder);
        wait.arg("--checkpoint").arg(&checkpoint).arg(sim.job().as_str());
        wait
    };
    let mut first = spawn(&mut wait());
    while !checkpoint.exists() {
        assert!(first.try_wait().unwrap().is_none(), "the command has ended");
        sleep(Duration::from_millis(10)).await;
    }
    let before = sim.requests();
    let ran = run_in_time(&mut wait()).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("wait.json is in use by another process"), "{ran:?}");
    assert!(sim.requests() <= before + 2, "only the first process sends requests");
    // A killed process leaves the lock file, and the checkpoint can be used again.
    first.kill().unwrap();
    first.wait().unwrap();
    let ran = run_in_time(wait().args(["--timeout", "0"])).await;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(checkpoint.exists() && !folder.file("wait.json.lock").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_of_another_service_or_project_is_refused() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    let (other, other_server) = start_service(600).await;
    let line = "wait --timeout 0 -q --checkpoint wait.json";
    session.run(&format!("{line} --endpoint SERVICE JOB")).await;
    let requests = session.sim.requests();
    session.run(&format!("{line} --endpoint SERVICE --project other JOB")).await;
    session.run(&format!("{line} --endpoint {} JOB", other_server.endpoint())).await;
    assert_eq!((session.sim.requests(), other.requests()), (requests, 0));
    session.text = session.text.replace(&other_server.endpoint(), "OTHER");
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_from_a_pipe_is_read_once() {
    let (sim, server) = start_service(0).await;
    let folder = Folder::new();
    let pipe = folder.file("token");
    assert!(run_tool("mkfifo", &[], &pipe));
    let wait = |token: &str| {
        let (token, path) = (token.to_owned(), pipe.clone());
        // Opening a pipe waits for its reader.
        let writer = spawn_blocking(move || {
            File::options().write(true).open(path).unwrap().write_all(token.as_bytes()).unwrap();
        });
        let mut wait = wait_command(&sim, &server.endpoint(), server.ca_pem(), &folder);
        wait.env_remove("OS_TOKEN").arg("--token-file").arg(&pipe).arg(sim.job().as_str());
        (writer, wait)
    };
    let (writer, mut good) = wait(&sim_token(&sim));
    run_in_time(&mut good).await.assert_succeeded(1, "");
    writer.await.unwrap();
    let (writer, mut bad) = wait("expired");
    let ran = run_in_time(&mut bad).await;
    writer.await.unwrap();
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("can be read only once"), "{ran:?}");
}

fn sim_token(sim: &Sim) -> String {
    sim.account().token.to_owned() + "\n"
}

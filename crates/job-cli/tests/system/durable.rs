//! Tests of `cce-job durable` without an engine. `cargo xtask durable` tests it with one.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::{Command, Stdio},
    thread,
};

use crate::support::{Folder, command, run, wait_for_exit};

/// Starts a server that answers one registration with this status, and with an error message like
/// an engine's. Returns its URL.
fn mock_engine(status: &'static str, message: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let read = stream.read(&mut request).unwrap();
        assert!(request[..read].starts_with(b"POST /deployments "));
        let body = format!("{{\"message\": \"{message}\", \"restate_code\": \"META0004\"}}");
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .unwrap();
    });
    address
}

fn durable_command(arguments: &[&str]) -> Command {
    let mut durable = command();
    durable.args(["durable", "--listen", "127.0.0.1:0"]).args(arguments);
    durable
}

#[tokio::test]
async fn help_of_durable() {
    let ran = run(durable_command(&["--help"])).await;
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    insta::assert_snapshot!(ran.stdout);
}

#[tokio::test]
async fn durable_prints_simulated_wait_keys_and_stops_on_sigterm() {
    let mut child = durable_command(&["--sim", "-q"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        let key = lines.next().unwrap().unwrap();
        let (project, job) = key.split_once(':').unwrap();
        assert!(project.len() == 32 && job.starts_with("354331b2"), "{key}");
    }
    let stopped = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(stopped.success());
    let ran = wait_for_exit(child).await;
    assert_eq!((ran.code, &*ran.stderr), (Some(143), ""));
}

#[tokio::test]
async fn invalid_durable_arguments_are_rejected() {
    let folder = Folder::new();
    let short = folder.write("key", "c2hvcnQ=\n").display().to_string();
    let refuses = mock_engine("409 Conflict", "deployment is already registered");
    let rows = [
        (vec!["--sim", "--register", &*refuses], "409", "deployment is already registered"),
        (vec!["--sim", "--webhook-key-file", &*short], "short", "a webhook key of 5 bytes"),
        (
            vec!["--sim", "--webhook-key-file", "/nowhere"],
            "none",
            "cannot read the webhook keys in /nowhere: No such file",
        ),
        (vec!["--sim", "--identity-key", "x"], "identity", "begins with publickeyv1_"),
        (vec![], "nobody", "no endpoint"),
        (vec!["--region", "eu-de"], "no credentials", "no credentials found; set OS_TOKEN"),
        (vec!["--force"], "nowhere to register", "--register <URL>"),
        (vec!["--requests-per-second", "0"], "nothing", "between 0.001 and 1000000"),
    ];
    for (arguments, name, expected) in rows {
        let ran = run(durable_command(&arguments)).await;
        assert_eq!(ran.code, Some(2), "{name}: {ran:?}");
        assert!(ran.stderr.contains(expected), "{name}: {ran:?}");
    }
}

//! A thousand clients that stream events, half of which never read.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
};

use crate::{http::EventStream, server::Setup};

/// The number of clients of each kind.
const CLIENTS: usize = 500;

/// Enough waits to fill the buffers of a client that does not read.
const WAITS: usize = 1500;

/// The memory that a client may cost. A release build needs less.
const MAX_BYTES_PER_CLIENT: u64 = 64 << 10;

/// The memory that events may cost, however many clients there are.
const MAX_BYTES_OF_EVENTS: u64 = 96 << 20;

/// Opens a stream that is never read, with a small buffer.
fn open_without_reading(address: SocketAddr, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 4096).unwrap();
    let text = format!(
        "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

/// Reads events until each of the waits was seen. Returns the waits that were not.
fn read_all(mut stream: EventStream, expected: &BTreeSet<String>) -> BTreeSet<String> {
    let mut missing = expected.clone();
    while !missing.is_empty() {
        let Some((name, data)) = stream.next() else { break };
        assert_ne!(name, "reset", "this client is fast enough");
        if name == "wait" {
            missing.remove(data["key"].as_str().unwrap());
        }
    }
    missing
}

#[test]
fn clients_that_never_read_cost_little_and_are_dropped() {
    raise_file_limit();
    let setup = Setup::simulated(1).argument("--write-timeout").argument("3");
    let server = setup.start();
    let project = server.get("/api/v1/projects")["projects"][0]["id"].as_str().unwrap().to_owned();
    let before = server.memory();
    let idle: Vec<TcpStream> =
        (0..CLIENTS).map(|_| open_without_reading(server.address, &server.token)).collect();
    let reading: Vec<EventStream> = (0..CLIENTS)
        .map(|_| EventStream::open(server.address, "/api/v1/events", &server.token))
        .collect();
    while server.metric("cce_job_server_streams") < 2.0 * CLIENTS as f64 {}
    let connected = server.memory();
    let per_client = connected.saturating_sub(before) / (2 * CLIENTS as u64);

    let keys: BTreeSet<String> =
        (0..WAITS).map(|number| format!("{project}:job-{number}")).collect();
    let readers: Vec<_> = reading
        .into_iter()
        .map(|stream| {
            let keys = keys.clone();
            let builder = thread::Builder::new().stack_size(128 << 10);
            builder.spawn(move || read_all(stream, &keys)).unwrap()
        })
        .collect();
    for number in 0..WAITS {
        let path = format!("/api/v1/waits/simulated/job-{number}");
        assert_eq!(server.send("PUT", &path, r#"{"enqueue": ["q"]}"#).status, 200);
    }
    for reader in readers {
        assert_eq!(reader.join().unwrap(), BTreeSet::new(), "each client gets each change");
    }
    let mut peak = server.memory();
    // The readers have closed their connections, and the others are dropped.
    let mut number = 0;
    while server.metric("cce_job_server_streams") > 0.0 {
        let path = format!("/api/v1/waits/simulated/late-{number}");
        assert_eq!(server.send("PUT", &path, "").status, 200);
        peak = peak.max(server.memory());
        number += 1;
    }
    let _ = writeln!(
        io::stderr(),
        "memory: {} KiB per client; {} KiB before, {} KiB with {} clients, {} KiB at the peak",
        per_client >> 10,
        before >> 10,
        connected >> 10,
        2 * CLIENTS,
        peak >> 10
    );
    assert!(per_client < MAX_BYTES_PER_CLIENT, "{per_client} bytes");
    assert!(peak - before < MAX_BYTES_OF_EVENTS, "{} bytes", peak - before);
    drop(idle);
}

fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

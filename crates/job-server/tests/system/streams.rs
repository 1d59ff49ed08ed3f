//! A thousand clients that stream events, half of which never read.

use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
};

use crate::{
    http::EventStream,
    server::{Setup, eventually},
};

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

/// Reads events until each of the waits was seen. Returns the number of waits that were not.
fn read_all(mut stream: EventStream) -> usize {
    let (mut is_seen, mut missing) = ([false; WAITS], WAITS);
    while missing > 0 {
        let Some((name, data)) = stream.next_text() else { break };
        assert_ne!(name, "reset", "this client is fast enough");
        // 500 clients would parse a gigabyte of JSON.
        let number = data.split_once(":job-").and_then(|(_, rest)| rest.split('"').next());
        if let Some(number) = number {
            let is_seen = &mut is_seen[number.parse::<usize>().unwrap()];
            missing -= usize::from(!*is_seen);
            *is_seen = true;
        }
    }
    missing
}

#[test]
fn clients_that_never_read_cost_little_and_are_dropped() {
    raise_file_limit();
    let setup = Setup::simulated(1).argument("--write-timeout").argument("10");
    let server = setup.start();
    let before = server.memory();
    let idle: Vec<TcpStream> =
        (0..CLIENTS).map(|_| open_without_reading(server.address, &server.token)).collect();
    let reading: Vec<EventStream> = (0..CLIENTS)
        .map(|_| EventStream::open(server.address, "/api/v1/events", &server.token))
        .collect();
    let streams = || server.metric("cce_job_server_streams");
    eventually(streams, |count| *count >= 2.0 * CLIENTS as f64);
    let connected = server.memory();
    let per_client = connected.saturating_sub(before) / (2 * CLIENTS as u64);

    let readers: Vec<_> = reading
        .into_iter()
        .map(|stream| {
            let builder = thread::Builder::new().stack_size(128 << 10);
            builder.spawn(move || read_all(stream)).unwrap()
        })
        .collect();
    for number in 0..WAITS {
        let path = format!("/api/v1/waits/simulated/job-{number}");
        assert_eq!(server.send("PUT", &path, r#"{"enqueue": ["billing"]}"#).status, 200);
    }
    for reader in readers {
        assert_eq!(reader.join().unwrap(), 0, "each client gets each change");
    }
    let mut peak = server.memory();
    // The readers have closed their connections, and the others are dropped.
    let mut number = 0;
    let add_wait = || {
        let path = format!("/api/v1/waits/simulated/late-{number}");
        assert_eq!(server.send("PUT", &path, "").status, 200);
        peak = peak.max(server.memory());
        number += 1;
        streams()
    };
    eventually(add_wait, |count| *count == 0.0);
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

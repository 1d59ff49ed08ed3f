//! A small HTTP client, which sends exactly what a test states.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long a read may take before a test fails.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// Sends a request on a connection of its own, and returns the reply.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
    send(stream, method, path, headers, body)
}

/// Sends a request on a connection, and returns the reply.
pub(crate) fn send(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("content-length: {}\r\n\r\n", body.len());
    // A server that refuses the request may not read all of it.
    let _ = stream.write_all((text + body).as_bytes());
    let _ = stream.flush();
    let mut reader = BufReader::new(stream);
    let (status, headers) = read_head(&mut reader);
    let mut bytes = Vec::new();
    // The connection of a server that did not read all of the request can be reset at the end.
    let _ = reader.read_to_end(&mut bytes);
    Reply { status, headers, body: String::from_utf8(bytes).unwrap() }
}

fn read_head(reader: &mut impl BufRead) -> (u16, BTreeMap<String, String>) {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    (status, headers)
}

/// A stream of server-sent events.
#[derive(Debug)]
pub(crate) struct EventStream(BufReader<TcpStream>);

impl EventStream {
    /// Opens a stream. Panics if it is refused.
    pub(crate) fn open(address: SocketAddr, path: &str, token: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
        let text = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(text.as_bytes()).unwrap();
        let mut reader = BufReader::with_capacity(2048, stream);
        let (status, headers) = read_head(&mut reader);
        assert_eq!((status, &*headers["content-type"]), (200, "text/event-stream"));
        Self(reader)
    }

    /// Returns the name and the data of the next event, or `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<(String, serde_json::Value)> {
        let (name, data) = self.next_text()?;
        Some((name, serde_json::from_str(&data).unwrap()))
    }

    /// Returns the name and the text of the next event, which is cheaper.
    pub(crate) fn next_text(&mut self) -> Option<(String, String)> {
        let (mut name, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            // Sizes of chunks and comments are lines between the events, because the server sends
            // whole events in a chunk.
            if self.0.read_line(&mut line).ok()? == 0 || line == "0\r\n" {
                return None;
            }
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.trim_end().to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((name, data.to_owned()));
            }
        }
    }
}

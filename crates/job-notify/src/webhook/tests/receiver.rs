//! A receiver of notifications on loopback, which answers or fails as a test requests.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What a receiver does after it has read a request.
#[derive(Clone, Copy)]
pub(super) enum Behavior {
    Reply(&'static str),
    /// Sends this head, and then a body without an end.
    Endless(&'static str),
    Hang,
    Close,
}

/// A request as a receiver got it.
pub(super) struct Received {
    pub(super) request_line: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// A receiver on loopback.
#[derive(Clone)]
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    pub(super) async fn start(behavior: Behavior) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self { address: listener.local_addr().unwrap(), received: Arc::default() };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let receiver = serving.clone();
                // A client may close the connection at any time.
                tokio::spawn(async move { receiver.serve(stream, behavior).await });
            }
        });
        receiver
    }

    async fn serve(self, mut stream: TcpStream, behavior: Behavior) -> io::Result<()> {
        let received = read_request(&mut stream).await?;
        self.received().push(received);
        match behavior {
            Behavior::Reply(reply) => stream.write_all(reply.as_bytes()).await,
            Behavior::Endless(head) => {
                stream.write_all(head.as_bytes()).await?;
                loop {
                    stream.write_all(b"400\r\n").await?;
                    stream.write_all(&[b'x'; 0x400]).await?;
                    stream.write_all(b"\r\n").await?;
                }
            }
            // Completes when the client gives up.
            Behavior::Hang => stream.read(&mut [0]).await.map(drop),
            Behavior::Close => Ok(()),
        }
    }

    pub(super) fn received(&self) -> MutexGuard<'_, Vec<Received>> {
        self.received.lock().unwrap()
    }

    /// Returns a URL of the receiver, with this host instead of its address.
    pub(super) fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/hook?token=secret", self.address.port())
    }
}

/// Reads a request with a `Content-Length`, or one without a body. The first bytes of a TLS
/// handshake are a request without headers.
async fn read_request(stream: &mut TcpStream) -> io::Result<Received> {
    let mut bytes = Vec::new();
    let end = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if bytes[0] == 0x16 {
            let (request_line, headers) = ("TLS".into(), HeaderMap::new());
            return Ok(Received { request_line, headers, body: Vec::new() });
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let request_line = lines.next().unwrap_or_default().to_owned();
    let headers: HeaderMap = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
        })
        .collect();
    let len = headers.get("content-length").map_or(0, |len| len.to_str().unwrap().parse().unwrap());
    let mut body = bytes.split_off(end + 4);
    while body.len() < len {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Received { request_line, headers, body })
}

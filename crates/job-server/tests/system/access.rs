//! Which requests are served: tokens, hosts, methods, sizes, and the address to listen on.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::{
    http::{EventStream, READ_TIMEOUT, request},
    server::{Setup, eventually, write_private},
};

const SECOND_TOKEN: &str = "another-token-with-more-than-32-characters";

#[test]
fn only_requests_with_a_valid_token_are_served() {
    let setup = Setup::simulated(1);
    let server = setup.start();
    let token = server.token.clone();
    let path = "/api/v1/summary";
    let rows = [
        ("", 401),
        ("Bearer ", 401),
        ("Bearer wrong", 401),
        (&format!("Bearer {}", &token[1..]), 401),
        (&format!("Bearer {token}x"), 401),
        (&format!("Basic {token}"), 401),
        (&token, 401),
        (&format!("Bearer {token}"), 200),
        (&format!("bearer {token}"), 200),
    ];
    for (authorization, status) in rows {
        let headers = [("host", "localhost"), ("authorization", authorization)];
        let headers = if authorization.is_empty() { &headers[..1] } else { &headers };
        let reply = request(server.address, "GET", path, headers, "");
        assert_eq!(reply.status, status, "{authorization}");
        if status == 401 {
            assert_eq!(reply.headers["content-type"], "application/problem+json");
            assert!(reply.headers["www-authenticate"].starts_with("Bearer"));
            assert!(!reply.body.contains(&token));
        }
    }
    // A token in a URL would be in logs and in the history of browsers.
    let in_query = format!("{path}?token={token}&access_token={token}");
    let host = [("host", "localhost")];
    assert_eq!(request(server.address, "GET", &in_query, &host, "").status, 401);

    for open in ["/health", "/", "/app.js", "/app.css", "/icon.svg"] {
        assert_eq!(request(server.address, "GET", open, &host, "").status, 200, "{open}");
    }
    for closed in
        ["/metrics", "/ready", "/openapi.json", "/api/v1/events", "/none", "//", "/app.js/"]
    {
        assert_eq!(request(server.address, "GET", closed, &host, "").status, 401, "{closed}");
    }
    let log = server.log();
    assert!(log.contains("refused a token") && !log.contains(&token), "{log}");
}

#[test]
fn a_rotated_token_ends_its_requests_and_streams() {
    let setup = Setup::simulated(1);
    let server = setup.start();
    let old = server.token.clone();
    let mut stream = EventStream::open(server.address, "/api/v1/events", &old);
    assert_eq!(stream.next().unwrap().0, "summary");

    // Both tokens are valid until the clients have the new one.
    write_private(&setup.token_file(), &format!("{old}\n{SECOND_TOKEN}\n"));
    let status = |token: &str| {
        let authorization = format!("Bearer {token}");
        let headers = [("host", "localhost"), ("authorization", &*authorization)];
        request(server.address, "GET", "/api/v1/summary", &headers, "").status
    };
    eventually(|| status(SECOND_TOKEN), |status| *status == 200);
    assert_eq!(status(&old), 200);
    let mut new_stream = EventStream::open(server.address, "/api/v1/events", SECOND_TOKEN);
    assert_eq!(new_stream.next().unwrap().0, "summary");
    assert!(stream.next().is_some());

    write_private(&setup.token_file(), SECOND_TOKEN);
    eventually(|| stream.next(), Option::is_none);
    assert_eq!(status(&old), 401);
    assert!(new_stream.next().is_some());
}

#[test]
fn a_token_file_that_every_user_can_change_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let setup = Setup::simulated(1);
    let server = setup.start();
    let mode = |name: &str| fs::metadata(setup.path(name)).unwrap().permissions().mode() & 0o777;
    for name in ["server-token", "simulated.db", "simulated.db-wal", "simulated.lock"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    let set_mode = |mode| {
        fs::set_permissions(setup.token_file(), fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(0o646);
    server.wait_for_status("/api/v1/summary", 401);
    set_mode(0o600);
    server.wait_for_status("/api/v1/summary", 200);
    server.kill();
    set_mode(0o646);
    let error = setup.fail("127.0.0.1:0");
    assert!(
        error.contains("server-token") && error.contains("every user can change it"),
        "{error}"
    );
}

#[test]
fn requests_for_other_hosts_are_refused() {
    let setup = Setup::simulated(1).argument("--allowed-host").argument("jobs.example.com");
    let server = setup.start();
    let authorization = format!("Bearer {}", server.token);
    let port = server.address.port();
    let rows = [
        ("localhost".to_owned(), 200),
        (format!("localhost:{port}"), 200),
        (format!("127.0.0.1:{port}"), 200),
        ("[::1]".to_owned(), 200),
        ("jobs.example.com".to_owned(), 200),
        // A name of an attacker that resolves to 127.0.0.1.
        (format!("rebound.attacker.example:{port}"), 421),
        ("localhost.attacker.example".to_owned(), 421),
        ("192.0.2.1".to_owned(), 421),
    ];
    for (host, status) in rows {
        for path in ["/api/v1/summary", "/", "/app.js", "/metrics"] {
            let headers = [("host", &*host), ("authorization", &*authorization)];
            let reply = request(server.address, "GET", path, &headers, "");
            assert_eq!(reply.status, status, "{host}{path}");
            let cross_origin = reply.headers.keys().find(|name| name.starts_with("access-control"));
            assert_eq!(cross_origin, None);
        }
    }
    let headers = [("authorization", &*authorization)];
    let path = "/api/v1/summary";
    assert_ne!(request(server.address, "GET", path, &headers, "").status, 200, "no host");
    // Each header counts, and so does the URL of the request.
    for hosts in [["localhost", "attacker.example"], ["attacker.example", "localhost"]] {
        let [first, second] = hosts.map(|host| ("host", host));
        let headers = [first, second, ("authorization", &*authorization)];
        assert_eq!(request(server.address, "GET", path, &headers, "").status, 421, "{hosts:?}");
    }
    let headers = [("host", "localhost"), ("authorization", &*authorization)];
    let reply =
        request(server.address, "GET", &format!("http://attacker.example{path}"), &headers, "");
    assert_eq!(reply.status, 421);
    // The probe of a pod has its address as the host.
    assert_eq!(
        request(server.address, "GET", "/health", &[("host", "10.0.0.7:8484")], "").status,
        200
    );
}

#[test]
fn browsers_of_other_origins_get_no_permission() {
    let server = Setup::simulated(1).start();
    let preflight = [
        ("host", "localhost"),
        ("origin", "https://attacker.example"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "authorization"),
    ];
    let reply = request(server.address, "OPTIONS", "/api/v1/waits/simulated/j", &preflight, "");
    assert_eq!(reply.status, 401);
    assert!(reply.headers.keys().all(|name| !name.starts_with("access-control")));
    let reply = server.send("OPTIONS", "/api/v1/waits/simulated/j", "");
    assert_eq!((reply.status, &*reply.headers["allow"]), (405, "GET,HEAD,PUT,DELETE"));
    assert_eq!(reply.headers["content-type"], "application/problem+json");
    let reply = server.send("HEAD", "/api/v1/summary", "");
    assert_eq!((reply.status, &*reply.body), (200, ""));
    let reply = server.send("HEAD", "/api/v1/events", "");
    assert_eq!((reply.status, &*reply.body), (200, ""));
    assert_eq!(server.send("POST", "/api/v1/summary", "").status, 405);
    assert_eq!(server.send("GET", "/api/v1/summary/", "").status, 404);
}

#[test]
fn large_requests_are_refused() {
    let server = Setup::simulated(1).start();
    let path = "/api/v1/waits/simulated/j";
    let body = format!("{{\"notify\": [\"{}\"]}}", "x".repeat(64 << 10));
    let reply = server.send("PUT", path, &body);
    assert_eq!(reply.status, 413, "{}", reply.body);
    assert!(reply.body.contains("/problems/too-large"));
    assert!(reply.body.contains("a body has at most 64 KiB"), "{}", reply.body);

    // The length is not announced.
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        server.token
    );
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    eventually(|| stream.write_all(chunk.as_bytes()).is_err(), |is_closed| *is_closed);
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    let reply = String::from_utf8_lossy(&reply);
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 413"), "{reply}");

    let long = "x".repeat(100 << 10);
    let headers = [("host", "localhost"), ("cookie", &*long)];
    assert_eq!(request(server.address, "GET", "/health", &headers, "").status, 431);
    let many: Vec<(&str, &str)> = vec![("host", "localhost"); 65];
    assert_eq!(request(server.address, "GET", "/health", &many, "").status, 431);
    let text = server.send("PUT", path, "").body;
    assert!(text.contains("\"state\":\"waiting\""), "{text}");
    let headers = [
        ("host", "localhost"),
        ("authorization", &*format!("Bearer {}", server.token)),
        ("content-type", "text/plain"),
    ];
    assert_eq!(request(server.address, "PUT", path, &headers, "{}").status, 415);
}

#[test]
fn tokens_are_not_sent_in_plain_text_over_a_network() {
    let setup = Setup::simulated(1);
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let error = setup.fail(listen);
        assert!(error.contains("--tls-cert") && error.contains("--trusted-proxy"), "{error}");
    }
    // Nothing was created before the mistake was found.
    assert!(!setup.token_file().exists());
}

#[test]
fn one_server_uses_the_database() {
    let setup = Setup::simulated(1);
    let _server = setup.start();
    let error = setup.fail("127.0.0.1:0");
    assert!(error.contains("another server uses it"), "{error}");
}

#[test]
fn an_invalid_configuration_is_explained() {
    let rows = [
        ("projects = 1", "invalid type"),
        (
            "[[projects]]\nname = \"p\"\nid = \"p\"\nendpoint = \"https://cce.example.com\"\n\
             credentials = { token_env = \"NO_SUCH_TOKEN\" }",
            "the project p: the environment variable NO_SUCH_TOKEN is not set",
        ),
    ];
    for (text, expected) in rows {
        let setup = Setup::new(&[]);
        let config = setup.path("server.toml");
        fs::write(&config, text).unwrap();
        let setup = setup.argument("--config").argument(config.display().to_string());
        let error = setup.fail("127.0.0.1:0");
        assert!(error.contains("server.toml") && error.contains(expected), "{error}");
    }
}

//! Tests which proxy URLs are accepted, and which hosts use the proxy.

use super::*;

#[test]
fn proxy_urls_parse_or_are_rejected() {
    let rows = [
        ("http://proxy.example:3128", Ok("http://proxy.example:3128/")),
        ("http://user:secret@proxy.example", Ok("http://proxy.example/")),
        ("proxy.example:3128", Ok("http://proxy.example:3128/")),
        ("https://proxy.example", Err(ProxyError::NotHttp)),
        ("socks5://proxy.example", Err(ProxyError::NotHttp)),
        ("ftp://proxy.example", Err(ProxyError::NotUrl)),
        ("", Err(ProxyError::NotUrl)),
        ("two words", Err(ProxyError::NotUrl)),
    ];
    for (text, expected) in rows {
        let proxy = Proxy::new(text, "");
        let shown = expected.map(|uri| format!("Proxy({uri})"));
        assert_eq!(proxy.map(|proxy| format!("{proxy:?}")), shown, "{text:?}");
    }
}

#[test]
fn excluded_and_plain_http_hosts_bypass_the_proxy() {
    let proxy = Proxy::new("http://proxy.example", ".internal.example, 10.0.0.0/8").unwrap();
    let rows = [
        ("https://cce.example", true),
        ("https://cce.internal.example", false),
        ("https://10.1.2.3:8443", false),
        ("https://11.1.2.3", true),
        ("http://localhost:8080", false),
        ("http://cce.example", false),
    ];
    for (host, expected) in rows {
        assert_eq!(proxy.for_host(&host.parse().unwrap()).is_some(), expected, "{host}");
    }
    assert!(
        Proxy::new("http://proxy.example", "*")
            .unwrap()
            .for_host(&Uri::from_static("https://h"))
            .is_none()
    );
}

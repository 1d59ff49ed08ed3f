//! Tests which proxy URLs are accepted, and which hosts use the proxy.

use super::*;

#[test]
fn proxy_urls_parse_or_are_rejected() {
    let rows = [
        ("http://proxy.example:3128", Ok("http://proxy.example:3128/")),
        ("http://user:secret@proxy.example", Ok("http://proxy.example/")),
        ("proxy.example:3128", Ok("http://proxy.example:3128/")),
        (" http://proxy.example ", Ok("http://proxy.example/")),
        ("https://proxy.example", Err(ProxyError::NotHttp)),
        ("socks5://proxy.example", Err(ProxyError::NotHttp)),
        ("ftp://proxy.example", Err(ProxyError::NotUrl)),
        ("http://", Err(ProxyError::NotUrl)),
        ("", Err(ProxyError::NotUrl)),
        ("two words", Err(ProxyError::NotUrl)),
    ];
    for (text, expected) in rows {
        // An exception does not make a proxy invalid, even if it contains every host.
        for except in ["", "*", "service.invalid"] {
            let proxy = Proxy::new(text, except);
            let shown = expected.map(|uri| format!("Proxy({uri})"));
            assert_eq!(proxy.map(|proxy| format!("{proxy:?}")), shown, "{text:?} {except:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn variables_that_are_not_utf8_are_errors() {
    use std::os::unix::ffi::OsStringExt;

    type Variables = [(&'static str, &'static [u8])];
    let rows: [(&Variables, _); 6] = [
        (&[], Ok(None)),
        (
            &[("HTTPS_PROXY", b""), ("all_proxy", b"http://p.example")],
            Ok(Some("http://p.example/")),
        ),
        (&[("HTTPS_PROXY", b"http://p\xff.example")], Err(ProxyError::NotUtf8("HTTPS_PROXY"))),
        (
            &[("https_proxy", b"http://p.example"), ("NO_PROXY", b"\xff")],
            Err(ProxyError::NotUtf8("NO_PROXY")),
        ),
        // Variables that are not used.
        (
            &[("HTTPS_PROXY", b"http://p.example"), ("https_proxy", b"\xff")],
            Ok(Some("http://p.example/")),
        ),
        (&[("NO_PROXY", b"\xff")], Ok(None)),
    ];
    for (variables, expected) in rows {
        let found = Proxy::from_variables(|name| {
            let (_, value) = variables.iter().find(|(variable, _)| *variable == name)?;
            Some(OsString::from_vec(value.to_vec()))
        });
        let found = found.map(|proxy| proxy.map(|proxy| proxy.to_string()));
        assert_eq!(
            found,
            expected.map(|proxy: Option<&str>| proxy.map(String::from)),
            "{variables:?}"
        );
    }
}

#[test]
fn exceptions_loopback_and_plain_http_bypass_the_proxy() {
    // The exceptions, URLs that use the proxy, and URLs that do not.
    let rows: [(&str, &[&str], &[&str]); 14] = [
        (
            "",
            &["https://cce.example", "https://169.253.1.1", "https://localhost.example"],
            &[
                "https://localhost",
                "https://LOCALHOST:8443",
                "https://127.0.0.1",
                "https://127.9.9.9:8443",
                "https://[::1]:8443",
                "https://169.254.169.254",
                "http://169.254.170.23/v1/credentials",
                "http://cce.example",
                "http://localhost:8080",
            ],
        ),
        ("*", &[], &["https://cce.example", "https://10.1.2.3", "https://[2001:db8::1]"]),
        (
            "internal.example",
            &["https://cce.example", "https://notinternal.example", "https://internal.example.com"],
            &["https://internal.example", "https://cce.INTERNAL.example:8443"],
        ),
        (
            ".internal.example",
            &["https://cce.example", "https://notinternal.example"],
            &["https://internal.example", "https://cce.internal.example"],
        ),
        (
            "*.internal.example",
            &["https://cce.example", "https://notinternal.example"],
            &["https://internal.example", "https://cce.internal.example"],
        ),
        ("internal.example.", &["https://cce.example"], &["https://cce.internal.example"]),
        (
            "internal.example",
            &["https://cce.example."],
            &["https://cce.internal.example.", "https://internal.example.:8443"],
        ),
        (
            "10.0.0.0/8, 192.0.2.7",
            &["https://11.1.2.3", "https://192.0.2.8", "https://cce.example"],
            &["https://10.1.2.3:8443", "https://192.0.2.7"],
        ),
        (
            "2001:db8::/32,fd00::1,[fd00::2]",
            &["https://[2001:db9::1]", "https://[fd00::3]"],
            &["https://[2001:db8::1]", "https://[fd00::1]:8443", "https://[fd00::2]"],
        ),
        (
            "cce.example:8443",
            &["https://cce.example", "https://cce.example:9443"],
            &["https://cce.example:8443", "https://a.cce.example:8443"],
        ),
        ("cce.example:443", &["https://cce.example:8443"], &["https://cce.example"]),
        (
            "[fd00::1]:8443 10.0.0.1:8443",
            &["https://[fd00::1]", "https://10.0.0.1"],
            &["https://[fd00::1]:8443", "https://10.0.0.1:8443"],
        ),
        ("*:8443", &["https://cce.example"], &["https://cce.example:8443"]),
        (
            " , a.example\t b.example,,cce.example:x,cce.example:99999, ::: ",
            &["https://cce.example", "https://c.example"],
            &["https://a.example", "https://b.example"],
        ),
    ];
    for (except, proxied, direct) in rows {
        let proxy = Proxy::new("http://proxy.example", except).unwrap();
        let uses_proxy = |uri: &&&str| proxy.is_used_for(&uri.parse().unwrap());
        let wrong: Vec<_> = proxied.iter().filter(|uri| !uses_proxy(uri)).collect();
        assert!(wrong.is_empty(), "{except:?}: direct, but must use the proxy: {wrong:?}");
        let wrong: Vec<_> = direct.iter().filter(uses_proxy).collect();
        assert!(wrong.is_empty(), "{except:?}: proxied, but must be direct: {wrong:?}");
    }
}

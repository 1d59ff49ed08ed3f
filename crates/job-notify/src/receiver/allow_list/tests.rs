//! Tests entries of allow-lists with receivers that they allow and do not allow.

use super::*;

fn list(entries: &str) -> AllowList {
    AllowList::new(entries.split(", ")).unwrap()
}

#[test]
fn entries_match_scheme_host_port_and_path() {
    let rows = [
        // The entries, receivers that are allowed, and receivers that are not.
        (
            "https://example.com",
            "https://example.com https://EXAMPLE.com./a?b=c https://example.com:443/a/../b",
            "http://example.com https://example.com:8443 https://a.example.com https://example.org \
             https://example.com.evil.org https://evil-example.com https://93.184.216.34",
        ),
        (
            "https://*.example.com",
            "https://a.example.com https://a.b.example.com/x",
            "https://example.com https://evilexample.com https://.example.com https://a.example.org",
        ),
        ("https://example.com:8443", "https://example.com:8443/a", "https://example.com/a"),
        (
            "https://example.com:*",
            "https://example.com:8443/a https://example.com/a",
            "http://example.com:8443/a",
        ),
        (
            "http://example.com",
            "http://example.com:80/",
            "https://example.com http://example.com:81",
        ),
        (
            "https://*",
            "https://example.com https://93.184.216.34/ https://[2600::1]/",
            "http://a.b",
        ),
        (
            "https://example.com/hooks/",
            "https://example.com/hooks https://example.com/hooks/ https://example.com/hooks?a=b \
             https://example.com/hooks/a%20b/c",
            "https://example.com https://example.com/hooksy https://example.com/Hooks \
             https://example.com/hooks/../admin https://example.com/hooks/%2e%2E/admin \
             https://example.com/hooks/.%2e/admin https://example.com/hooks/..%2fadmin \
             https://example.com/hooks/%5c..%5cadmin https://example.com/hooks/%252e%252e/admin \
             https://example.com/hooks/..;/admin https://example.com//hooks \
             https://example.com/%68ooks",
        ),
        (
            "https://10.1.2.3, https://[fd00::1]:8443/x",
            "https://10.1.2.3/a https://[fd00::1]:8443/x/y https://[fd00:0:0::1]:8443/x \
             https://[::ffff:10.1.2.3]",
            "https://10.1.2.4 https://[fd00::2]:8443/x https://[fd00::1]/x",
        ),
        (
            "http://localhost:*, http://127.0.0.1:8080",
            "http://localhost:1234/a http://LOCALHOST/ http://127.0.0.1:8080",
            "http://127.0.0.1:8081 http://[::1]:8080 http://a.localhost http://2130706433:8080",
        ),
        // Addresses that no entry names, or that are never allowed.
        (
            "https://*, http://*:*",
            "https://93.184.216.34 http://8.8.8.8:53",
            "https://10.0.0.1 http://127.0.0.1 http://[::1]:80 http://[::ffff:127.0.0.1] \
             http://169.254.169.254/latest http://[fe80::1] http://0.0.0.0 http://[::] \
             http://[64:ff9b::7f00:1] http://[2002:7f00:1::] http://100.64.0.1 http://224.0.0.1 \
             http://[fd00:ec2::254]",
        ),
        (
            "http://* 127.0.0.0/8 10.0.0.0/8 fd00::/8",
            "http://127.0.0.1 http://10.0.0.1 http://[fd00::1] http://[::ffff:10.0.0.1]",
            "http://192.168.0.1 http://[::1] http://169.254.169.254 http://[fd00:ec2::254]",
        ),
        // The networks of an entry apply to this entry.
        ("http://*, https://* 10.0.0.0/8", "https://10.0.0.1", "http://10.0.0.1"),
        // A proxy is not a receiver.
        ("https://a.b, proxy http://10.0.0.9:3128", "https://a.b", "http://10.0.0.9:3128/x"),
        ("proxy http://10.0.0.9:3128", "", "http://10.0.0.9:3128/x"),
    ];
    for (entries, allowed, other) in rows {
        let list = list(entries);
        for url in allowed.split_whitespace() {
            assert_eq!(list.check(url), Ok(()), "{entries}: {url}");
        }
        for url in other.split_whitespace() {
            let error = list.check(url).expect_err(&format!("{entries}: {url}"));
            assert!(error.is_permanent(), "{entries}: {url}");
        }
    }
}

#[test]
fn addresses_are_allowed_per_host() {
    let list = list(
        "https://a.example, https://b.example 10.0.0.0/8, https://b.example/x 192.168.0.1, \
         http://localhost:*, proxy http://proxy.example:3128",
    );
    let rows = [
        ("https://a.example", "8.8.8.8 2600::1 64:ff9b::808:808", true),
        ("https://a.example", "10.0.0.1 127.0.0.1 ::1 169.254.169.254 fd00::1 0.0.0.0", false),
        ("https://b.example", "8.8.8.8 10.255.0.1 ::ffff:10.0.0.1 192.168.0.1", true),
        ("https://b.example", "192.168.0.2 127.0.0.1 169.254.0.1 fe80::1", false),
        ("https://b.example:8443", "8.8.8.8 10.0.0.1", false),
        ("http://localhost:99", "127.0.0.1 127.9.9.9 ::1 ::ffff:127.0.0.1 8.8.8.8", true),
        ("http://localhost:99", "10.0.0.1 169.254.169.254 0.0.0.0 ::", false),
        ("http://proxy.example:3128", "8.8.8.8 10.0.0.1 127.0.0.1 fd00::1", true),
        ("http://proxy.example:3128", "169.254.169.254 fd00:ec2::254 0.0.0.0", false),
        ("http://proxy.example:3129", "8.8.8.8", false),
    ];
    for (url, addresses, expected) in rows {
        let origin = ReceiverUrl::new(url).unwrap().origin;
        for address in addresses.split(' ') {
            let checked = list.check_address(&origin, address.parse().unwrap());
            assert_eq!(checked.is_ok(), expected, "{url} {address}");
        }
        assert_eq!(list.contains_origin(&origin), !url.contains("8443") && !url.contains("3129"));
    }
}

#[test]
fn lines_and_comments_are_parsed() {
    let text =
        "\n# ours\n  https://a.example/x  10.0.0.0/8\tfd00::/8  \n\nproxy http://p.example:1\n";
    let list: AllowList = text.parse().unwrap();
    let entries = ["https://a.example/x 10.0.0.0/8 fd00::/8", "proxy http://p.example:1"];
    assert_eq!(Ok(list), AllowList::new(entries));
    assert_eq!("".parse(), Ok(AllowList::default()));
}

#[test]
fn invalid_entries_are_errors_that_name_them() {
    let rows = [
        ("", "it is empty"),
        ("example.com", "expected https:// or http://"),
        ("ftp://example.com", "expected https:// or http://"),
        ("https://", "expected a host"),
        ("https://*.", "expected a host"),
        ("https://*example.com", "expected a host"),
        ("https://a.*.example.com", "expected a host"),
        ("https://*.10.0.0.1", "expected a host"),
        ("https://exa mple.com", "expected a network"),
        ("https://exämple.com", "expected a host"),
        ("https://a..b", "expected a host"),
        ("https://user@example.com", "must not contain a query"),
        ("https://example.com/a?b", "must not contain a query"),
        ("https://example.com/a#b", "must not contain a query"),
        ("https://example.com/a/../b", "plain prefix"),
        ("https://example.com/*", "plain prefix"),
        ("https://example.com:0", "expected a port"),
        ("https://example.com:", "expected a port"),
        ("https://example.com:65536", "expected a port"),
        ("https://example.com:+1", "expected a port"),
        ("https://[::1", "expected a port"),
        ("https://example.com 10.0.0.0/99", "expected a network"),
        ("https://example.com 169.254.0.0/16", "never allowed"),
        ("proxy", "expected the URL of the proxy"),
        ("proxy proxy.example", "expected https:// or http://"),
        ("proxy http://a.b:1 10.0.0.0/8", "expected only the URL"),
    ];
    for (entry, expected) in rows {
        let error = AllowList::new([entry]).expect_err(entry).to_string();
        assert!(error.starts_with(&format!("`{entry}` is not an entry")), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn errors_name_the_receiver_without_secrets() {
    let list = list("https://a.example/x");
    let rows = [
        (
            "https://b.example/y?token=secret",
            "b.example/y is not in this service's allow-list of receivers",
        ),
        (
            "https://10.0.0.1/y?secret",
            "10.0.0.1/y is not in this service's allow-list of receivers",
        ),
        (
            "https://user:secret@a.example/x",
            "the URL of the receiver contains a user name or password; remove it, because \
             notifications are signed",
        ),
        ("secret", "the receiver is not a URL such as https://example.com/hook"),
    ];
    for (url, expected) in rows {
        assert_eq!(list.check(url).unwrap_err().to_string(), expected);
    }
    let any = AllowList::new(["https://*"]).unwrap();
    let rows = [
        (
            "https://10.0.0.1/y",
            "10.0.0.1/y is not allowed: the allow-list does not name the private address 10.0.0.1",
        ),
        (
            "https://169.254.169.254/y",
            "169.254.169.254/y is not allowed: the address 169.254.169.254 is never allowed (link-local)",
        ),
    ];
    for (url, expected) in rows {
        assert_eq!(any.check(url).unwrap_err().to_string(), expected);
    }
    assert_eq!(
        AllowList::default().check("https://a.example/x").unwrap_err().to_string(),
        "a.example/x is not allowed, because this service's allow-list of receivers is empty"
    );
}

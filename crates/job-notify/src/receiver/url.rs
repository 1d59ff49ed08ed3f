//! The URL of a receiver, and its name in messages, without secrets.

use std::{borrow::Cow, fmt, net::IpAddr};

use http::{Uri, uri::Scheme};
use percent_encoding::percent_decode_str;

/// The URL of a receiver. `Display` writes its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReceiverUrl {
    pub(crate) uri: Uri,
    pub(crate) origin: Origin,
}

/// The scheme, the host and the port of a URL, which determine the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) is_https: bool,
    pub(crate) host: Host,
    pub(crate) port: u16,
}

/// A name in lower case, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Name(String),
    Address(IpAddr),
}

/// The maximum length of a URL, in bytes.
const MAX_URL_LEN: usize = 2048;

/// A segment of a path with this length or more may be a secret, for example the token at the end
/// of a chat service's webhook URL. A message shows `..` instead.
const MIN_SECRET_LEN: usize = 20;

const NOT_A_URL: &str = "the receiver is not a URL such as https://example.com/hook";

impl ReceiverUrl {
    /// Parses a URL with the scheme `http` or `https`.
    ///
    /// # Errors
    ///
    /// Returns an error that does not contain the text.
    pub(crate) fn new(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_URL_LEN {
            return Err("the URL of the receiver is longer than 2048 bytes");
        }
        let uri: Uri = text.parse().map_err(|_| NOT_A_URL)?;
        let authority = uri.authority().ok_or(NOT_A_URL)?;
        if authority.as_str().contains('@') {
            return Err(
                "the URL of the receiver contains a user name or password; remove it, because \
                 notifications are signed",
            );
        }
        let origin = Origin::new(&uri).ok_or(NOT_A_URL)?;
        Ok(Self { uri, origin })
    }
}

impl Origin {
    /// Returns the origin of a URI, or `None` if it is not an http or https URI with a host.
    pub(crate) fn new(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme()?;
        let is_https = *scheme == Scheme::HTTPS;
        if !is_https && *scheme != Scheme::HTTP {
            return None;
        }
        let authority = uri.authority()?;
        let has_port = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(port) => port,
            // A port that is empty or too large.
            None if has_port && !authority.as_str().contains('@') => return None,
            None => default_port(is_https),
        };
        Some(Self { is_https, host: Host::new(authority.host())?, port })
    }
}

impl Host {
    /// Returns the host of a URL, or `None` if the text is empty.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        if let Ok(address) = address.unwrap_or(text).parse() {
            return Some(Self::Address(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        (!name.is_empty()).then(|| Self::Name(name.to_ascii_lowercase()))
    }
}

/// Returns the port of a URL that states none.
pub(super) const fn default_port(is_https: bool) -> u16 {
    if is_https { 443 } else { 80 }
}

/// Returns whether every server reads a path in the same way: after decoding, no segment is `.` or
/// `..` or contains a slash, a backslash, a percent sign, a semicolon or a zero byte.
pub(super) fn is_unambiguous(path: &str) -> bool {
    path.split('/').all(|segment| {
        let decoded = percent_decode_str(segment).collect::<Vec<u8>>();
        // A server may decode twice.
        !matches!(&*decoded, b"." | b"..")
            && !decoded.iter().any(|byte| matches!(byte, b'/' | b'\\' | b'%' | b';' | 0))
    })
}

/// Returns how messages name the receiver with this URL: host and path.
///
/// The name contains no query, no user and no password. A segment of the path with 20 characters or
/// more is replaced by `..`, because it may be a secret token. Returns `None` if the address is not
/// a URL.
///
/// # Examples
///
/// ```
/// use job_notify::receiver_name;
///
/// let name = receiver_name("https://example.com:8443/hook?token=secret");
/// assert_eq!(name.as_deref(), Some("example.com:8443/hook"));
/// let name = receiver_name("https://hooks.example.com/T0123/A94qvHcLQGz2mKYtR81x");
/// assert_eq!(name.as_deref(), Some("hooks.example.com/T0123/.."));
/// ```
#[must_use]
pub fn receiver_name(address: &str) -> Option<String> {
    ReceiverUrl::new(address).ok().map(|url| url.to_string())
}

impl fmt::Display for ReceiverUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.uri.authority().map_or("", |authority| authority.as_str());
        let visible = self.uri.path().split('/').map(|segment| {
            if segment.len() >= MIN_SECRET_LEN { Cow::Borrowed("..") } else { segment.into() }
        });
        let path = visible.collect::<Vec<_>>().join("/");
        write!(f, "{host}{}", path.strip_suffix('/').unwrap_or(&path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_contain_host_and_path_but_no_secrets() {
        let rows = [
            ("https://example.com", Some("example.com")),
            ("https://example.com/", Some("example.com")),
            ("https://Example.com:8443/a/b/?token=x#y", Some("Example.com:8443/a/b")),
            ("http://[::1]:80/a", Some("[::1]:80/a")),
            ("https://e.com/1234567890123456789/a", Some("e.com/1234567890123456789/a")),
            ("https://e.com/12345678901234567890/a", Some("e.com/../a")),
            ("https://user:secret@example.com/", None),
            ("secret", None),
        ];
        for (url, expected) in rows {
            assert_eq!(receiver_name(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn urls_have_a_scheme_a_host_and_a_port() {
        let long = format!("https://e.com/{}", "a".repeat(3000));
        let rows = [
            ("https://example.com/a", Ok("true example.com 443")),
            ("HTTPS://EXAMPLE.com./a", Ok("true example.com 443")),
            ("http://example.com?x=//@", Ok("false example.com 80")),
            ("http://[::1]:81", Ok("false ::1 81")),
            ("http://127.0.0.1:1", Ok("false 127.0.0.1 1")),
            ("ftp://example.com", Err("not a URL")),
            ("example.com", Err("not a URL")),
            ("/hook", Err("not a URL")),
            ("", Err("not a URL")),
            ("https://", Err("not a URL")),
            ("https://./", Err("not a URL")),
            ("https://example.com:99999/", Err("not a URL")),
            ("https://exämple.com", Err("not a URL")),
            ("https://a b/", Err("not a URL")),
            ("https://a@example.com", Err("a user name or password")),
            ("https://a:b@example.com:1", Err("a user name or password")),
            (&*long, Err("longer than 2048 bytes")),
        ];
        for (text, expected) in rows {
            let origin = ReceiverUrl::new(text).map(|url| {
                let Origin { is_https, host, port } = url.origin;
                let host = match host {
                    Host::Name(name) => name,
                    Host::Address(address) => address.to_string(),
                };
                format!("{is_https} {host} {port}")
            });
            match (&origin, expected) {
                (Ok(origin), Ok(expected)) => assert_eq!(origin, expected, "{text}"),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{text}: {error}"),
                _ => panic!("{text}: {origin:?}"),
            }
        }
    }
}

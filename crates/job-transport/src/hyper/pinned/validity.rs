//! Reads the dates and the extended key usage of a certificate that the user gave (X.509, DER).

use jiff::{civil::DateTime, tz::Offset};

/// When and for what a certificate may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    /// The first and the last second, since 1970.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    /// Whether it has no extended key usage, or one that contains servers.
    pub(super) is_for_servers: bool,
}

/// The tags of the parts that are read.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OBJECT_ID: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xA0;
const EXTENSIONS: u8 = 0xA3;

/// The ids of the extension `extendedKeyUsage`, and of the usage `serverAuth`.
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1D, 0x25];
const SERVER_AUTH: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

impl Validity {
    /// Reads a certificate. Returns `None` if it does not have the form of RFC 5280.
    pub(super) fn read(certificate: &[u8]) -> Option<Self> {
        let mut fields = Elements(Elements(certificate).tagged(SEQUENCE)?);
        let mut fields = Elements(fields.tagged(SEQUENCE)?);
        if fields.0.first() == Some(&VERSION) {
            fields.tagged(VERSION)?;
        }
        fields.tagged(INTEGER)?; // serial number
        fields.tagged(SEQUENCE)?; // signature algorithm
        fields.tagged(SEQUENCE)?; // issuer
        let mut dates = Elements(fields.tagged(SEQUENCE)?);
        let (not_before, not_after) = (dates.time()?, dates.time()?);
        fields.tagged(SEQUENCE)?; // subject
        fields.tagged(SEQUENCE)?; // public key
        let mut is_for_servers = true;
        for (tag, content) in fields {
            if tag == EXTENSIONS {
                is_for_servers = extensions_allow_servers(content)?;
            }
        }
        Some(Self { not_before, not_after, is_for_servers })
    }
}

fn extensions_allow_servers(content: &[u8]) -> Option<bool> {
    for (_, extension) in Elements(Elements(content).tagged(SEQUENCE)?) {
        let mut parts = Elements(extension);
        if parts.tagged(OBJECT_ID)? != EXTENDED_KEY_USAGE {
            continue;
        }
        let value = parts.find_map(|(tag, value)| (tag == OCTET_STRING).then_some(value))?;
        let mut usages = Elements(Elements(value).tagged(SEQUENCE)?);
        return Some(usages.any(|(_, usage)| usage == SERVER_AUTH));
    }
    Some(true)
}

/// The elements of a DER value: the tag and the content of each.
struct Elements<'d>(&'d [u8]);

impl<'d> Iterator for Elements<'d> {
    type Item = (u8, &'d [u8]);

    fn next(&mut self) -> Option<(u8, &'d [u8])> {
        let (&[tag, len], rest) = self.0.split_first_chunk()?;
        let (len, rest) = match len {
            0..=0x7F => (usize::from(len), rest),
            // The number of the bytes of the length. A certificate has less than 2^24 bytes.
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(len - 0x80))?;
                (bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, content))
    }
}

impl<'d> Elements<'d> {
    /// Returns the content of the next element if it has this tag.
    fn tagged(&mut self, tag: u8) -> Option<&'d [u8]> {
        self.next().and_then(|(found, content)| (found == tag).then_some(content))
    }

    /// Returns the next element, which is a time in UTC, in seconds since 1970.
    fn time(&mut self) -> Option<i64> {
        let (tag, content) = self.next()?;
        let text = str::from_utf8(content).ok()?;
        let text = match tag {
            // Years from 50 on are of the last century (RFC 5280, section 4.1.2.5.1).
            UTC_TIME if text < "5" => format!("20{text}"),
            UTC_TIME => format!("19{text}"),
            GENERALIZED_TIME => text.into(),
            _ => return None,
        };
        let time = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
        Some(Offset::UTC.to_timestamp(time).ok()?.as_second())
    }
}

#[cfg(test)]
mod tests;

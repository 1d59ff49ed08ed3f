//! Mends the syntax errors that the service, or the way to it, is known to make. Reads no meaning:
//! what remains wrong is the parser's to say.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::iter;

use crate::{Deviation, DeviationKind, scan::Scanner};

/// What is mended of one body: the one body known to need it has one comma too many. A body that
/// needs more is left as it is from there on, and the parser refuses it. With the bounds on a
/// path's depth and names, the deviations stay below a megabyte.
const MAX_REPAIRS: usize = 64;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Returns the body with what is tolerated replaced by as many bytes, so that each other byte keeps
/// its place, and a deviation for each replacement.
pub(crate) fn repair(body: &[u8]) -> (Vec<u8>, Vec<Deviation>) {
    let mut repaired = body.to_vec();
    let mut deviations = Vec::new();
    if body.starts_with(BYTE_ORDER_MARK) {
        repaired[..BYTE_ORDER_MARK.len()].fill(b' ');
        deviations.push(Deviation { path: String::new(), kind: DeviationKind::ByteOrderMark });
    }
    for Flaw { at, instead, kind, path } in flaws(&repaired) {
        repaired[at..at + instead.len()].copy_from_slice(instead);
        deviations.push(Deviation { path, kind });
    }
    (repaired, deviations)
}

/// A place that is mended.
struct Flaw {
    at: usize,
    instead: &'static [u8],
    kind: DeviationKind,
    path: String,
}

/// Finds what is to be mended: each comma between a value and a closing bracket, with its
/// container's path, and each escape of half a surrogate pair.
fn flaws(body: &[u8]) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let mut scanner = Scanner::new(body);
    // The last token, and the first byte of the one before.
    let mut last = 0..0;
    let mut before = b',';
    while let Some(token) = scanner.next() {
        let byte = |at: usize| body.get(at).copied().unwrap_or_default();
        match byte(token.start) {
            b'}' | b']' if byte(last.start) == b',' && !b"[{,:".contains(&before) => {
                let (kind, path) = (DeviationKind::TrailingComma, scanner.path().to_string());
                flaws.push(Flaw { at: last.start, instead: b" ", kind, path });
            }
            b'"' => {
                let lone = lone_surrogates(&body[token.clone()]).map(|at| Flaw {
                    at: token.start + at,
                    instead: br"\ufffd",
                    kind: DeviationKind::LoneSurrogate,
                    path: scanner.path().to_string(),
                });
                flaws.extend(lone.take(MAX_REPAIRS - flaws.len()));
            }
            _ => {}
        }
        if flaws.len() == MAX_REPAIRS {
            break;
        }
        before = byte(last.start);
        last = token;
    }
    flaws
}

/// Finds where, in a text, an escape stands for half of a surrogate pair.
fn lone_surrogates(text: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    iter::from_fn(move || {
        while let Some(found) = text.get(at..)?.iter().position(|byte| *byte == b'\\') {
            let start = at + found;
            at = start
                + match (escaped_unit(text, start), escaped_unit(text, start + 6)) {
                    (None, _) => 2,
                    (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
                    (Some(0xD800..=0xDFFF), _) => {
                        at = start + 6;
                        return Some(start);
                    }
                    (Some(_), _) => 6,
                };
        }
        None
    })
}

/// Reads an escape such as `\u00e4` at this place of a text.
fn escaped_unit(text: &[u8], at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix(br"\u")?;
    u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests;

//! Blanks out the syntax errors that the service, or the way to it, is known to make. Reads no
//! meaning: what remains wrong is the parser's to say.

use alloc::{string::String, vec::Vec};
use core::ops::Range;

use crate::{Deviation, DeviationKind};

/// Trailing commas tolerated in one body: the one body known to have any has one. A body with more,
/// or nested deeper, keeps what is beyond the bound, and the parser refuses it. With the bound on
/// a name's length, the paths of all commas together stay below a megabyte.
const MAX_COMMAS: usize = 64;

/// Levels of nesting followed.
const MAX_DEPTH: usize = 128;

/// Bytes of a member's name that a path shows; the longest name of the reference page has 17.
const MAX_NAME: usize = 32;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Returns the body with what is tolerated replaced by blanks, so that every other byte keeps its
/// place, and a deviation for each replacement.
pub(crate) fn repair(body: &[u8]) -> (Vec<u8>, Vec<Deviation>) {
    let mut repaired = body.to_vec();
    let mut deviations = Vec::new();
    if body.starts_with(BYTE_ORDER_MARK) {
        repaired[..BYTE_ORDER_MARK.len()].fill(b' ');
        deviations.push(Deviation { path: String::new(), kind: DeviationKind::ByteOrderMark });
    }
    for (at, path) in trailing_commas(&repaired) {
        repaired[at] = b' ';
        deviations.push(Deviation { path, kind: DeviationKind::TrailingComma });
    }
    (repaired, deviations)
}

/// An object or array that is still open.
enum Open {
    /// An object, and where the name of its current member stands.
    Object(Range<usize>),
    /// An array, and how many of its elements are complete.
    Array(usize),
}

/// Finds each comma that stands between a value and a closing bracket, with its container's path.
fn trailing_commas(body: &[u8]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open = Vec::new();
    let mut text = 0..0;
    // The last byte that is no blank, and, where it is a comma, the one before it.
    let mut last = (0, b' ');
    let mut before = b' ';
    let mut at = 0;
    while at < body.len() {
        let byte = body[at];
        let start = at;
        at += 1;
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            b'"' => {
                at = string_end(body, at);
                text = start + 1..at - 1;
            }
            b':' => {
                if let Some(Open::Object(name)) = open.last_mut() {
                    *name = text.clone();
                }
            }
            b',' => {
                if let Some(Open::Array(index)) = open.last_mut() {
                    *index += 1;
                }
            }
            b'{' | b'[' if open.len() == MAX_DEPTH => break,
            b'{' => open.push(Open::Object(0..0)),
            b'[' => open.push(Open::Array(0)),
            b'}' | b']' => {
                open.pop();
                if last.1 == b',' && !b"[{,: ".contains(&before) {
                    if found.len() == MAX_COMMAS {
                        break;
                    }
                    found.push((last.0, path(body, &open)));
                }
            }
            _ => {}
        }
        before = last.1;
        last = (start, byte);
    }
    found
}

/// Returns the index after the quote that closes the string whose text starts at `at`.
fn string_end(body: &[u8], mut at: usize) -> usize {
    while at < body.len() {
        match body[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    body.len()
}

fn path(body: &[u8], open: &[Open]) -> String {
    use core::fmt::Write;

    let mut path = String::new();
    for container in open {
        match container {
            Open::Object(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                let name = &body[name.clone()];
                let shown = &name[..name.len().min(MAX_NAME)];
                path.push_str(&String::from_utf8_lossy(shown));
                if shown.len() < name.len() {
                    path.push('…');
                }
            }
            // Writing to a string cannot fail.
            Open::Array(index) => drop(write!(path, "[{index}]")),
        }
    }
    path
}

#[cfg(test)]
mod tests;

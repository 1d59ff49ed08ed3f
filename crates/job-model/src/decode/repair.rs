//! Mends the syntax errors that the service, or the way to it, is known to make. Reads no meaning:
//! what remains wrong is the parser's to say.

use alloc::vec::Vec;

use super::{
    deviation::{DeviationKind, Deviations},
    path::Path,
    scan::Scanner,
};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Returns the body with a byte order mark and trailing commas replaced by blanks, so that each
/// other byte keeps its place, and the deviations.
pub(crate) fn repair(body: &[u8]) -> (Vec<u8>, Deviations) {
    let mut repaired = body.to_vec();
    let mut deviations = Deviations::default();
    if body.starts_with(BYTE_ORDER_MARK) {
        repaired[..BYTE_ORDER_MARK.len()].fill(b' ');
        deviations.push(&Path::default(), DeviationKind::ByteOrderMark);
    }
    for comma in trailing_commas(&repaired, &mut deviations) {
        repaired[comma] = b' ';
    }
    (repaired, deviations)
}

/// Finds each comma between a value and a closing bracket; its path is its container's.
fn trailing_commas(body: &[u8], deviations: &mut Deviations) -> Vec<usize> {
    let mut commas = Vec::new();
    let mut scanner = Scanner::new(body);
    // The first byte of the last token, where that stands, and that of the one before.
    let (mut last, mut last_at, mut before) = (b',', 0, b',');
    while let Some(at) = scanner.next() {
        let byte = body[at];
        if b"}]".contains(&byte) && last == b',' && !b"[{,:".contains(&before) {
            deviations.push(&scanner.path(), DeviationKind::TrailingComma);
            commas.push(last_at);
        }
        (before, last, last_at) = (last, byte, at);
    }
    commas
}

#[cfg(test)]
mod tests;

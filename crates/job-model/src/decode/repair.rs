//! Repairs syntax errors that the service or a proxy is known to make. The parser reports all
//! others.

use alloc::vec::Vec;

use super::{
    deviation::{DeviationKind, Deviations},
    path::Path,
    scan::Scanner,
};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Returns the body with its byte order mark and trailing commas replaced by spaces, and the
/// deviations. All other bytes keep their positions.
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

/// Finds each comma between a value and a closing bracket. The deviation's path is that of the
/// enclosing object or array.
fn trailing_commas(body: &[u8], deviations: &mut Deviations) -> Vec<usize> {
    let mut commas = Vec::new();
    let mut scanner = Scanner::new(body);
    // The first byte of the last token, its position, and the first byte of the token before it.
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

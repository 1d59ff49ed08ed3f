//! The details of decoding: limits, fields kept as JSON text, and kinds of deviations and errors.
//!
//! [`Decoded::from_slice_with_limits`](crate::Decoded::from_slice_with_limits) takes the
//! [`Limits`]. Each object of a job has [`RawFields`].

pub(crate) mod deviation;
pub(crate) mod error;
mod limits;
mod beginning;
mod path;
mod values;
mod json;
mod special_byte;
mod scan;
mod repair;
mod document;
mod cursor;
mod spelling;
mod json_object;
pub(crate) mod fast;
mod lenient;
mod serde_formats;
mod raw_fields;

pub(crate) use beginning::beginning;
pub(crate) use cursor::{Cursor, Text};
pub(crate) use deviation::Deviation;
pub use deviation::DeviationKind;
pub(crate) use deviation::Deviations;
pub(crate) use document::Document;
pub(crate) use error::DecodeError;
pub use error::DecodeErrorKind;
pub(crate) use fast::{next_value, object};
pub(crate) use json::{Form, Formed, Json};
pub(crate) use json_object::{
    Body, Fidelity, Field, JsonObject, StringField, json_object, serialize, write, write_unknown,
};
pub(crate) use lenient::{LenientDecoder, Members};
pub use limits::Limits;
pub(crate) use limits::RemainingLimits;
pub(crate) use path::KnownNames;
pub use raw_fields::{RawFieldError, RawFields};
pub(crate) use serde_formats::deserialize;
pub(crate) use spelling::{Spelling, V2Names};
pub(crate) use values::BorrowedText;

use alloc::vec::Vec;
use core::str;

/// Decodes the body of a reply, and lists its deviations.
///
/// Uses the fast pass if the body has the form of the reference page, and otherwise the lenient
/// pass, if necessary after repair.
///
/// # Errors
///
/// Returns an error if the body is not valid JSON, is truncated, is not an object, has a known
/// field twice in one object, or exceeds the limits.
pub(crate) fn decode<T: Body>(
    body: &[u8],
    limits: Limits,
) -> Result<(T, Vec<Deviation>), DecodeError> {
    let (document, deviations) = match str::from_utf8(body).map(|body| fast::decode(body, limits)) {
        Ok(Ok(object)) => return Ok((object, Vec::new())),
        // The fast pass rejected a value, so the syntax may be valid. If the body is truncated, it
        // cannot be repaired.
        Ok(Err(error)) if error.is_data() || error.is_eof() => Document::new(body, T::FIELD_NAMES)?,
        _ => Document::repaired(body, T::FIELD_NAMES)?,
    };
    document.check_object()?;
    lenient::decode(&document, limits, deviations)
}

//! Decodes a body into an object: with the fast pass if the body has the form of the reference
//! page, otherwise after repair with the lenient pass. The caller provides the names of the known
//! fields.

mod deviation;
mod error;
mod limits;
mod path;
pub(crate) mod json;
mod scan;
mod repair;
mod object;
pub(crate) mod fast;
mod lenient;
mod raw_fields;

pub use deviation::{Deviation, DeviationKind};
pub use error::{DecodeError, DecodeErrorKind};
pub(crate) use fast::{next_value, object};
pub(crate) use json::ObjectEntries;
pub(crate) use lenient::LenientDecoder;
pub use limits::Limits;
pub(crate) use limits::RemainingLimits;
pub(crate) use object::{Fidelity, Field, Object, StringField, json_object, write, write_unknown};
pub(crate) use path::KnownNames;
pub use raw_fields::RawFields;
pub(crate) use repair::repair;

use alloc::vec::Vec;

use serde_json::value::RawValue;

use self::path::Path;

/// Decodes an object, and lists the deviations of its body.
///
/// # Errors
///
/// Returns an error if the body is not valid JSON, is truncated, is not an object, has a known
/// field twice in one object, or exceeds the limits.
pub(crate) fn decode<T: Object>(
    body: &[u8],
    limits: Limits,
    known_names: &KnownNames,
) -> Result<(T, Vec<Deviation>), DecodeError> {
    let object = str::from_utf8(body).ok().and_then(|body| fast::decode(body, limits).ok());
    if let Some(object) = object {
        return Ok((object, Vec::new()));
    }
    // Repair runs only now, so that a body without deviations does not pay for it.
    let (body, deviations) = repair(body);
    let (body, json) = parse_object(&body, known_names)?;
    lenient::decode(body, json, limits, deviations)
}

/// Returns the body as text, and its top-level object.
pub(crate) fn parse_object<'b>(
    body: &'b [u8],
    known_names: &KnownNames,
) -> Result<(&'b str, &'b RawValue), DecodeError> {
    let body =
        str::from_utf8(body).map_err(|error| DecodeError::not_utf8(body, &error, known_names))?;
    let json: &RawValue = serde_json::from_str(body)
        .map_err(|error| DecodeError::syntax(body, &error, known_names))?;
    if !json.get().starts_with('{') {
        let kind = DecodeErrorKind::NotAnObject;
        return Err(DecodeError::for_value(body, json, kind, &Path::default()));
    }
    Ok((body, json))
}

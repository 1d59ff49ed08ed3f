//! Implements the lenient pass: reads any JSON, keeps what it does not understand, and records each
//! deviation with its path.

use alloc::{string::String, vec::Vec};

use serde_json::value::RawValue;

use super::{
    deviation::{Deviation, DeviationKind, Deviations},
    error::{DecodeError, DecodeErrorKind},
    json::{self, ObjectEntries},
    limits::{Limits, RemainingLimits},
    object::{Fidelity, Object, StringField},
    path::{Path, Segment},
};

/// Decodes `object`, the top-level value of `body`, and adds to the deviations.
pub(crate) fn decode<T: Object>(
    body: &str,
    object: &RawValue,
    limits: Limits,
    deviations: Deviations,
) -> Result<(T, Vec<Deviation>), DecodeError> {
    let mut pass = LenientDecoder {
        body,
        remaining: RemainingLimits::new(limits),
        path: Path::default(),
        deviations,
    };
    let mut root = None;
    pass.object(&mut root, object)?;
    Ok((root.unwrap_or_default(), pass.deviations.into_vec()))
}

/// The state of the pass, and its position in the body.
pub(crate) struct LenientDecoder<'b> {
    body: &'b str,
    remaining: RemainingLimits,
    path: Path<'static>,
    deviations: Deviations,
}

impl<'b> LenientDecoder<'b> {
    /// Reads an object, field by field.
    pub(crate) fn object<T: Object>(
        &mut self,
        slot: &mut Option<T>,
        json: &'b RawValue,
    ) -> Result<Fidelity, DecodeError> {
        let Some(members) = self.members(json) else {
            return Ok(self.unexpected_type());
        };
        let object = slot.insert(T::default());
        let mut seen = 0;
        for (name, json) in members {
            let fidelity = match T::known(&name) {
                Some(known) => self.field(object, known, json, &mut seen)?,
                None => Fidelity::Lossy,
            };
            if fidelity == Fidelity::Lossy {
                object.raw_fields_mut().push(name, json.into());
            }
        }
        Ok(Fidelity::Lossless)
    }

    /// Reads a known field. `seen` has one bit for each known field.
    fn field<T: Object>(
        &mut self,
        object: &mut T,
        known: T::Known,
        json: &'b RawValue,
        seen: &mut u32,
    ) -> Result<Fidelity, DecodeError> {
        let index = T::index(known);
        self.path.push(Segment::Name(T::NAMES[index].into()));
        if *seen & (1 << index) != 0 {
            return Err(self.error(json, DecodeErrorKind::DuplicateField));
        }
        *seen |= 1 << index;
        let fidelity = match json.get() {
            "null" => Fidelity::Lossless,
            _ => object.decode_lenient(known, json, self)?,
        };
        self.path.pop();
        Ok(fidelity)
    }

    /// Reads an element of an array of objects, one level down. Returns `None` if it is not an
    /// object.
    pub(crate) fn element<T: Object>(
        &mut self,
        index: usize,
        json: &'b RawValue,
    ) -> Result<Option<T>, DecodeError> {
        self.path.push(Segment::Index(index));
        self.remaining.enter().map_err(|kind| self.error(json, kind))?;
        let mut element = None;
        self.object(&mut element, json)?;
        self.remaining.leave();
        self.path.pop();
        Ok(element)
    }

    /// Reads a string.
    pub(crate) fn text<T: StringField>(
        &mut self,
        slot: &mut Option<T>,
        json: &'b RawValue,
    ) -> Fidelity {
        let Some(json::LossyString { text, has_lone_surrogates }) = json::read(json) else {
            return self.unexpected_type();
        };
        if has_lone_surrogates {
            self.record_deviation(DeviationKind::LoneSurrogate);
        }
        let (value, odd) = T::read(&text);
        odd.into_iter().for_each(|kind| self.record_deviation(kind));
        let in_full = value.as_ref().is_some_and(|value| value.as_text() == text);
        *slot = value;
        if in_full { Fidelity::Lossless } else { Fidelity::Lossy }
    }

    /// Records a value whose type the field does not have.
    pub(crate) fn unexpected_type(&mut self) -> Fidelity {
        self.record_deviation(DeviationKind::UnexpectedType);
        Fidelity::Lossy
    }

    /// Records a deviation at the current path.
    pub(crate) fn record_deviation(&mut self, kind: DeviationKind) {
        self.deviations.push(&self.path, kind);
    }

    /// Records a deviation of the member `name` of the object at the current path.
    pub(crate) fn record_deviation_at(&mut self, name: &str, kind: DeviationKind) {
        self.path.push(Segment::Name(String::from(name).into()));
        self.record_deviation(kind);
        self.path.pop();
    }

    /// Returns an object's members in their original order, or `None` for any other value.
    pub(crate) fn members(&mut self, json: &'b RawValue) -> Option<Vec<(String, &'b RawValue)>> {
        let ObjectEntries { members, has_lone_surrogates } = json::read(json)?;
        if has_lone_surrogates {
            self.record_deviation(DeviationKind::LoneSurrogate);
        }
        Some(members)
    }

    fn error(&self, json: &RawValue, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::for_value(self.body, json, kind, &self.path)
    }
}

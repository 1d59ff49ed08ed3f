//! The slow pass: reads whatever is JSON, keeps what it does not understand, and says what was odd
//! and where. Repairs no syntax.

use alloc::{string::String, vec::Vec};

use serde_json::value::RawValue;

use super::{
    deviation::{Deviation, DeviationKind, Deviations},
    error::{DecodeError, DecodeErrorKind},
    json::{self, Members},
    limits::{Budget, Limits},
    object::{Kept, Object, Text},
    path::{Path, Segment},
};
use crate::job::Job;

/// Reads a job out of a body that is this object, adding to the deviations.
pub(crate) fn read(
    body: &str,
    object: &RawValue,
    limits: Limits,
    deviations: Deviations,
) -> Result<(Job, Vec<Deviation>), DecodeError> {
    let mut pass = Exact { body, budget: Budget::new(limits), path: Path::default(), deviations };
    let mut job = None;
    pass.object(&mut job, object)?;
    Ok((job.unwrap_or_default(), pass.deviations.into_vec()))
}

/// The pass, and where in the body it is.
pub(crate) struct Exact<'b> {
    body: &'b str,
    budget: Budget,
    path: Path<'static>,
    deviations: Deviations,
}

impl<'b> Exact<'b> {
    /// Reads an object, field by field.
    pub(crate) fn object<T: Object>(
        &mut self,
        slot: &mut Option<T>,
        json: &'b RawValue,
    ) -> Result<Kept, DecodeError> {
        let Some(members) = self.members(json) else {
            return Ok(self.odd_type());
        };
        let object = slot.insert(T::default());
        let mut seen = 0;
        for (name, json) in members {
            let kept = match T::known(&name) {
                Some(known) => self.field(object, known, json, &mut seen)?,
                None => Kept::InPart,
            };
            if kept == Kept::InPart {
                object.raw_fields_mut().push(name, json.into());
            }
        }
        Ok(Kept::InFull)
    }

    /// Reads a known field; `seen` has one bit for each.
    fn field<T: Object>(
        &mut self,
        object: &mut T,
        known: T::Known,
        json: &'b RawValue,
        seen: &mut u32,
    ) -> Result<Kept, DecodeError> {
        let index = T::index(known);
        self.path.push(Segment::Name(T::NAMES[index].into()));
        if *seen & (1 << index) != 0 {
            return Err(self.error(json, DecodeErrorKind::FieldTwice));
        }
        *seen |= 1 << index;
        let kept = match json.get() {
            "null" => Kept::InFull,
            _ => object.read_exact(known, json, self)?,
        };
        self.path.pop();
        Ok(kept)
    }

    /// Reads the sub-job with this index; what is no object as a job without any field.
    pub(crate) fn sub_job(&mut self, index: usize, json: &'b RawValue) -> Result<Job, DecodeError> {
        self.path.push(Segment::Index(index));
        self.budget.enter().map_err(|kind| self.error(json, kind))?;
        let mut job = None;
        self.object(&mut job, json)?;
        self.budget.leave();
        self.path.pop();
        Ok(job.unwrap_or_else(|| Job::instead_of(json)))
    }

    /// Reads a text.
    pub(crate) fn text<T: Text>(&mut self, slot: &mut Option<T>, json: &'b RawValue) -> Kept {
        let Some(json::Text { text, has_halves }) = json::read(json) else {
            return self.odd_type();
        };
        if has_halves {
            self.deviate(DeviationKind::LoneSurrogate);
        }
        let (value, odd) = T::read(&text);
        odd.into_iter().for_each(|kind| self.deviate(kind));
        let in_full = value.as_ref().is_some_and(|value| value.as_written() == text);
        *slot = value;
        if in_full { Kept::InFull } else { Kept::InPart }
    }

    /// Passes over a value of a type that the field does not have.
    pub(crate) fn odd_type(&mut self) -> Kept {
        self.deviate(DeviationKind::OddType);
        Kept::InPart
    }

    /// Notes that the value at the current path is odd.
    pub(crate) fn deviate(&mut self, kind: DeviationKind) {
        self.deviations.push(&self.path, kind);
    }

    /// Notes that the value of this name, one level below the current path, is odd.
    pub(crate) fn deviate_at(&mut self, name: &str, kind: DeviationKind) {
        self.path.push(Segment::Name(String::from(name).into()));
        self.deviate(kind);
        self.path.pop();
    }

    /// Returns an object's members in their order; `None` for any other value.
    pub(crate) fn members(&mut self, json: &'b RawValue) -> Option<Vec<(String, &'b RawValue)>> {
        let Members { members, has_halves } = json::read(json)?;
        if has_halves {
            self.deviate(DeviationKind::LoneSurrogate);
        }
        Some(members)
    }

    fn error(&self, json: &RawValue, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::of_value(self.body, json, kind, &self.path)
    }
}

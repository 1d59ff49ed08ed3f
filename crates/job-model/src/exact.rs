//! The slow pass: reads whatever is JSON, keeps what it does not understand, and says what was odd
//! and where. Repairs no syntax.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    DecodeError, DecodeErrorKind, Deviation, DeviationKind, Job, Limits,
    json::Members,
    limits::Budget,
    object::{Kept, Object, Text},
    path::{Path, Segment},
};

/// The deviations listed of one body. A body with more is no reply of the service, and a list of
/// them all could be many times as large.
const MAX_DEVIATIONS: usize = 1_000;

/// Reads a job, adding to the deviations.
pub(crate) fn read(
    body: &str,
    limits: Limits,
    deviations: Vec<Deviation>,
) -> Result<(Job, Vec<Deviation>), DecodeError> {
    let json: &RawValue =
        serde_json::from_str(body).map_err(|error| DecodeError::syntax(body, &error))?;
    let mut pass = Exact { body, budget: Budget::new(limits), path: Path::default(), deviations };
    let mut job = None;
    pass.object(&mut job, json)?;
    match job {
        Some(job) => Ok((job, pass.deviations)),
        None => Err(pass.error(json, DecodeErrorKind::NotAnObject)),
    }
}

/// The pass, and where in the body it is.
pub(crate) struct Exact<'b> {
    body: &'b str,
    budget: Budget,
    path: Path<'static>,
    deviations: Vec<Deviation>,
}

impl<'b> Exact<'b> {
    /// Reads an object, field by field.
    pub(crate) fn object<T: Object>(
        &mut self,
        slot: &mut Option<T>,
        json: &'b RawValue,
    ) -> Result<Kept, DecodeError> {
        let Some(members) = self.members(json)? else {
            return Ok(self.odd_type());
        };
        let object = slot.insert(T::default());
        let mut seen = 0;
        for (name, json) in members {
            let kept = match T::index(&name) {
                Some(index) => self.field(object, index, json, &mut seen)?,
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
        index: usize,
        json: &'b RawValue,
        seen: &mut u32,
    ) -> Result<Kept, DecodeError> {
        self.path.push(Segment::Name(T::NAMES[index].into()));
        if *seen & (1 << index) != 0 {
            return Err(self.error(json, DecodeErrorKind::FieldTwice));
        }
        *seen |= 1 << index;
        let kept = match json.get() {
            "null" => Kept::InFull,
            _ => object.read_exact(index, json, self)?,
        };
        self.path.pop();
        Ok(kept)
    }

    /// Reads the sub-job with this index; `None` where it is no object.
    pub(crate) fn sub_job(
        &mut self,
        index: usize,
        json: &'b RawValue,
    ) -> Result<Option<Job>, DecodeError> {
        self.path.push(Segment::Index(index));
        self.budget.enter().map_err(|kind| self.error(json, kind))?;
        let mut job = None;
        self.object(&mut job, json)?;
        self.budget.leave();
        self.path.pop();
        Ok(job)
    }

    /// Reads a text.
    pub(crate) fn text<T: Text>(
        &mut self,
        slot: &mut Option<T>,
        json: &'b RawValue,
    ) -> Result<Kept, DecodeError> {
        let Some(text) = self.parse::<String>(json, '"')? else {
            return Ok(self.odd_type());
        };
        let (value, odd) = T::read(&text);
        odd.into_iter().for_each(|kind| self.deviate(kind));
        let in_full = value.as_ref().is_some_and(|value| value.as_written() == text);
        *slot = value;
        Ok(if in_full { Kept::InFull } else { Kept::InPart })
    }

    /// Passes over a value of a type that the field does not have.
    pub(crate) fn odd_type(&mut self) -> Kept {
        self.deviate(DeviationKind::OddType);
        Kept::InPart
    }

    /// Notes that the value at the current path is odd.
    pub(crate) fn deviate(&mut self, kind: DeviationKind) {
        let listed = self.deviations.len();
        if listed < MAX_DEVIATIONS {
            self.deviations.push(Deviation { path: self.path.to_string(), kind });
        } else if listed == MAX_DEVIATIONS {
            self.deviations.push(Deviation { path: String::new(), kind: DeviationKind::More });
        }
    }

    /// Notes that the value of this name, one level below the current path, is odd.
    pub(crate) fn deviate_at(&mut self, name: &str, kind: DeviationKind) {
        self.path.push(Segment::Name(String::from(name).into()));
        self.deviate(kind);
        self.path.pop();
    }

    /// Returns an object's members in their order; `None` for any other value.
    pub(crate) fn members(
        &self,
        json: &'b RawValue,
    ) -> Result<Option<Vec<(String, &'b RawValue)>>, DecodeError> {
        Ok(self.parse::<Members<'b>>(json, '{')?.map(|members| members.0))
    }

    /// Returns an array's elements; `None` for any other value.
    pub(crate) fn elements(
        &self,
        json: &'b RawValue,
    ) -> Result<Option<Vec<&'b RawValue>>, DecodeError> {
        self.parse(json, '[')
    }

    /// Reads a value that starts with this character; `None` for any other.
    pub(crate) fn parse<T: Deserialize<'b>>(
        &self,
        json: &'b RawValue,
        first: char,
    ) -> Result<Option<T>, DecodeError> {
        if !json.get().starts_with(first) {
            return Ok(None);
        }
        // That it is JSON is known. What can still be wrong is a lone surrogate beyond those that
        // were repaired.
        let syntax = |_| self.error(json, DecodeErrorKind::Syntax);
        serde_json::from_str(json.get()).map(Some).map_err(syntax)
    }

    fn error(&self, json: &RawValue, kind: DecodeErrorKind) -> DecodeError {
        let offset = json.get().as_ptr().addr() - self.body.as_ptr().addr();
        DecodeError::at(self.body.as_bytes(), offset, kind, &self.path)
    }
}

//! Implements the lenient pass: reads any JSON, keeps what it does not understand, and records each
//! deviation with its path. It reads each byte of the body once, at any depth.

use alloc::{
    borrow::Cow,
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};
use core::ops::Range;

use super::{
    cursor::{Cursor, Text},
    deviation::{Deviation, DeviationKind, Deviations},
    document::Document,
    error::{DecodeError, DecodeErrorKind},
    json::Json,
    json_object::{Fidelity, JsonObject, StringField},
    limits::{Limits, RemainingLimits},
    path::{MAX_NAME_LEN, Path, Segment},
    spelling::{Spelling, spelled},
};

/// Decodes a document whose top-level value is an object, and adds to the deviations.
pub(crate) fn decode<T: JsonObject>(
    document: &Document<'_>,
    limits: Limits,
    deviations: Deviations,
) -> Result<(T, Vec<Deviation>), DecodeError> {
    let mut pass = LenientDecoder {
        document,
        cursor: document.cursor(),
        remaining: RemainingLimits::new(limits),
        path: Path::default(),
        deviations,
    };
    let mut root = None;
    pass.object(&mut root)?;
    Ok((root.unwrap_or_default(), pass.deviations.into_vec()))
}

/// The state of the pass, and its position in the body.
pub(crate) struct LenientDecoder<'b> {
    document: &'b Document<'b>,
    /// The position of the next value.
    pub(crate) cursor: Cursor<'b>,
    remaining: RemainingLimits,
    path: Path<'static>,
    deviations: Deviations,
}

/// The known fields of one object that were read, one bit each.
#[derive(Default)]
struct SeenFields {
    /// The fields that were given under their name of API v3.
    v3: u32,
    /// Those of them that are not null.
    v3_values: u32,
    /// The fields that were given under another name, that of API v2.
    v2: u32,
    /// Those of them that are not null: the bit of each, and where its value is, if that is not kept
    /// as JSON text anyway.
    v2_values: Vec<(u32, Option<Range<usize>>)>,
}

/// The names of one object.
#[derive(Default)]
pub(crate) struct Members {
    has_lone_surrogates: bool,
}

impl Members {
    /// Returns the next name of the object that the pass entered, and moves to its value. Returns
    /// `None` and leaves the object if there is none.
    pub(crate) fn next_name<'b>(&mut self, pass: &mut LenientDecoder<'b>) -> Option<Cow<'b, str>> {
        let Text { text, has_lone_surrogates } = pass.cursor.next_name()?;
        if has_lone_surrogates && !self.has_lone_surrogates {
            self.has_lone_surrogates = true;
            pass.record_deviation(DeviationKind::LoneSurrogate);
        }
        Some(text)
    }
}

impl<'b> LenientDecoder<'b> {
    /// Reads an object, field by field.
    pub(crate) fn object<T: JsonObject>(
        &mut self,
        slot: &mut Option<T>,
    ) -> Result<Fidelity, DecodeError> {
        if !self.cursor.enter(b'{') {
            return Ok(self.unexpected_type());
        }
        let object = slot.insert(T::default());
        let (mut members, mut seen) = (Members::default(), SeenFields::default());
        while let Some(name) = members.next_name(self) {
            let start = self.cursor.position();
            let fidelity = if let Some((known, spelling)) = T::known(&name) {
                self.field(object, known, spelling, &mut seen)?
            } else {
                self.cursor.skip();
                Fidelity::Lossy
            };
            if fidelity == Fidelity::Lossy {
                object.raw_fields_mut().push(&name, Json::from_valid(&self.json_since(start)));
            }
        }
        Ok(Fidelity::Lossless)
    }

    /// Reads a known field.
    fn field<T: JsonObject>(
        &mut self,
        object: &mut T,
        known: T::Known,
        spelling: Spelling,
        seen: &mut SeenFields,
    ) -> Result<Fidelity, DecodeError> {
        let bit = 1 << T::index(known);
        self.path.push(Segment::Name(spelled::<T>(known, spelling).into()));
        let names = match spelling {
            Spelling::V3 => &mut seen.v3,
            Spelling::V2 => &mut seen.v2,
        };
        if *names & bit != 0 {
            return Err(self.error(DecodeErrorKind::DuplicateField));
        }
        *names |= bit;
        let fidelity = if self.cursor.null() {
            Fidelity::Lossless
        } else if spelling == Spelling::V2 && seen.v3_values & bit != 0 {
            self.cursor.skip();
            self.record_deviation(DeviationKind::DuplicateSpelling);
            Fidelity::Lossy
        } else {
            if spelling == Spelling::V3 {
                seen.v3_values |= bit;
                self.replace_v2_value(object, known, seen);
            }
            let start = self.cursor.position();
            let fidelity = object.decode_lenient(known, self)?;
            if spelling == Spelling::V2 {
                object.set_spelling(known, spelling);
                let value = (fidelity == Fidelity::Lossless).then(|| start..self.cursor.position());
                seen.v2_values.push((bit, value));
            }
            fidelity
        };
        self.path.pop();
        Ok(fidelity)
    }

    /// Keeps the value that the field has under its name of API v2 as JSON text, because the name
    /// of API v3 follows. The path is that of the latter.
    fn replace_v2_value<T: JsonObject>(
        &mut self,
        object: &mut T,
        known: T::Known,
        seen: &SeenFields,
    ) {
        let bit = 1 << T::index(known);
        let Some((_, value)) = seen.v2_values.iter().find(|(seen, _)| *seen == bit) else {
            return;
        };
        object.clear(known);
        object.set_spelling(known, Spelling::V3);
        let name = spelled::<T>(known, Spelling::V2);
        if let Some(value) = value {
            let json = self.document.json(value.clone());
            object.raw_fields_mut().push(name, Json::from_valid(&json));
        }
        let own = self.path.pop();
        self.path.push(Segment::Name(name.into()));
        self.record_deviation(DeviationKind::DuplicateSpelling);
        self.path.pop();
        own.into_iter().for_each(|own| self.path.push(own));
    }

    /// Reads an element of an array of objects, one level down. Returns `Err` with its JSON if it
    /// is not an object.
    pub(crate) fn element<T: JsonObject>(
        &mut self,
        index: usize,
    ) -> Result<Result<T, Box<str>>, DecodeError> {
        self.cursor.peek();
        let start = self.cursor.position();
        self.path.push(Segment::Index(index));
        self.remaining.enter().map_err(|kind| self.error(kind))?;
        let mut element = None;
        self.object(&mut element)?;
        self.remaining.leave();
        self.path.pop();
        Ok(element.ok_or_else(|| self.json_since(start).into()))
    }

    /// Reads a string.
    pub(crate) fn text<T: StringField>(&mut self, slot: &mut Option<T>) -> Fidelity {
        let Some(Text { text, has_lone_surrogates }) = self.cursor.text() else {
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

    /// Skips a value whose type the field does not have, and records it.
    pub(crate) fn unexpected_type(&mut self) -> Fidelity {
        self.cursor.skip();
        self.record_deviation(DeviationKind::UnexpectedType);
        Fidelity::Lossy
    }

    /// Records a deviation at the current path.
    pub(crate) fn record_deviation(&mut self, kind: DeviationKind) {
        self.deviations.push(kind, || self.path.to_string());
    }

    /// Records a deviation of the member `name` of the object at the current path.
    pub(crate) fn record_deviation_at(&mut self, name: &str, kind: DeviationKind) {
        let path = &mut self.path;
        self.deviations.push(kind, || {
            // One character more than is shown, so that the path marks the name as shortened.
            let mut ends = MAX_NAME_LEN + 1..name.len();
            let end = ends.find(|end| name.is_char_boundary(*end)).unwrap_or(name.len());
            path.push(Segment::Name(String::from(&name[..end]).into()));
            let text = path.to_string();
            path.pop();
            text
        });
    }

    /// Returns the value that starts at `start` and ends before the next one.
    fn json_since(&self, start: usize) -> Cow<'b, str> {
        self.document.json(start..self.cursor.position())
    }

    fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(self.document.body(), self.cursor.position(), kind, &self.path)
    }
}

//! Describes where a value is in a body.

use alloc::{borrow::Cow, vec::Vec};
use core::fmt;

use super::beginning::beginning;

/// The names of the known fields, one list for each type of object.
///
/// The path in an error shows these names and no others, because an unknown name could be a secret.
pub(crate) type KnownNames = [&'static [&'static str]];

/// The path from the top of a body to a value, displayed such as `spec.subJobs[1].metadata.uid`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Path<'a>(Vec<Segment<'a>>);

/// One step of a path.
#[derive(Clone, Debug)]
pub(crate) enum Segment<'a> {
    Name(Cow<'a, str>),
    Index(usize),
}

/// Maximum bytes of a name that are displayed. The longest name of the reference page has 17.
pub(crate) const MAX_NAME_LEN: usize = 32;

impl<'a> Path<'a> {
    pub(crate) fn push(&mut self, segment: Segment<'a>) {
        self.0.push(segment);
    }

    pub(crate) fn pop(&mut self) -> Option<Segment<'a>> {
        self.0.pop()
    }

    /// Returns the path with `…` in place of each unknown name.
    pub(crate) fn elide_unknown_names(self, known: &KnownNames) -> Path<'static> {
        let shown = |name: &str| {
            let known = known.iter().flat_map(|names| names.iter()).find(|known| **known == name);
            Segment::Name(known.copied().unwrap_or("…").into())
        };
        let segments = self.0.into_iter().map(|segment| match segment {
            Segment::Name(name) => shown(&name),
            Segment::Index(index) => Segment::Index(index),
        });
        segments.collect()
    }
}

impl<'a> FromIterator<Segment<'a>> for Path<'a> {
    fn from_iter<I: IntoIterator<Item = Segment<'a>>>(segments: I) -> Self {
        Self(segments.into_iter().collect())
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (level, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Name(name) => {
                    let dot = if level == 0 { "" } else { "." };
                    let shown = beginning(name, MAX_NAME_LEN);
                    let rest = if shown.len() < name.len() { "…" } else { "" };
                    write!(f, "{dot}{shown}{rest}")?;
                }
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

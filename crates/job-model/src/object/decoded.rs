//! Holds a decoded object and the deviations of its body.

use alloc::vec::Vec;

use crate::decode::Deviation;

/// A decoded object, and how its body deviated from the documented form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DecodedObject<T> {
    /// The object.
    pub object: T,
    /// The differences from the documented form that decoding tolerated; normally empty.
    ///
    /// At most 1,000 deviations are listed. If there are more, the last entry is
    /// [`DeviationKind::Truncated`](crate::decode::DeviationKind::Truncated).
    pub deviations: Vec<Deviation>,
}

impl<T> DecodedObject<T> {
    /// Creates the result of decoding, for example in a test.
    #[must_use]
    pub const fn new(object: T, deviations: Vec<Deviation>) -> Self {
        Self { object, deviations }
    }

    /// Converts the object.
    #[must_use]
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> DecodedObject<U> {
        DecodedObject { object: convert(self.object), deviations: self.deviations }
    }
}

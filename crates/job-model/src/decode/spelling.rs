//! The two spellings of field names, and which of them each field of an object has.

use core::fmt;

use super::json_object::JsonObject;

/// How the names of an object's fields are spelled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Spelling {
    /// As on the reference page of API v3, such as `clusterUID`.
    V3,
    /// As on the reference page of API v2, such as `clusteruid`.
    V2,
}

/// Returns the name of a field.
pub(crate) fn spelled<T: JsonObject>(known: T::Known, spelling: Spelling) -> &'static str {
    let names = match spelling {
        Spelling::V3 => T::NAMES,
        Spelling::V2 => T::V2_NAMES,
    };
    names[T::index(known)]
}

/// The known fields of an object whose name was that of API v2, one bit each. The object is encoded
/// with the same names.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct V2Names(u32);

impl V2Names {
    pub(crate) const fn contains(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }

    pub(crate) const fn with(self, index: usize, is_v2: bool) -> Self {
        let bit = 1 << index;
        Self(if is_v2 { self.0 | bit } else { self.0 & !bit })
    }
}

/// Shows the indexes of the fields.
impl fmt::Debug for V2Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((0..32).filter(|index| self.contains(*index))).finish()
    }
}

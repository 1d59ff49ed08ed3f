//! A value with its origin.

/// A value and its origin: a flag, a variable, or a place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// The origin, such as `OS_AUTH_URL`.
    pub source: String,
}

impl<T> Sourced<T> {
    /// Creates a value with its origin.
    pub fn new(value: T, source: impl Into<String>) -> Self {
        Self { value, source: source.into() }
    }
}

//! Checks what a release publishes: the packages, and the public API of the libraries.

pub(crate) mod package;
pub(crate) mod public_api;

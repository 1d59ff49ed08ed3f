//! The commands: serving, and asking a server whether it is ready.

pub(crate) mod serve;
pub(crate) mod ready;

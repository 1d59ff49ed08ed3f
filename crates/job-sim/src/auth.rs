//! Authenticates requests by token or signature.

pub(crate) mod account;
mod authenticator;
mod verify;

pub use account::TestAccount;
pub(crate) use authenticator::{Authenticator, Scope, TemporaryKey};

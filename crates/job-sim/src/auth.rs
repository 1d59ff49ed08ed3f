//! Authentication of a request: tokens, signatures and logins.

mod authenticator;
mod verify;

pub use authenticator::Account;
pub(crate) use authenticator::Gate;

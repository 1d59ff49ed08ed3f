//! Authenticates requests by token or signature, and answers logins.

mod authenticator;
mod verify;

pub(crate) use authenticator::Authenticator;
pub use authenticator::TestAccount;

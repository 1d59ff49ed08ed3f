//! Authentication of a request: tokens, signatures and logins.

mod authenticator;
mod verify;

pub(crate) use authenticator::Authenticator;
pub use authenticator::TestAccount;

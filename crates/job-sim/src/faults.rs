//! Faults on demand: which there are, and which request or connection each applies to.

mod fault;
mod injector;

pub(crate) use fault::MAX_OVERSIZED_BODY_LEN;
pub use fault::{Fault, FaultError};
pub(crate) use injector::FaultInjector;

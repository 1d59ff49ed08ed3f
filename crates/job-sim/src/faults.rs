//! Injects faults: their types, and which request or connection each one applies to.

mod fault;
mod injector;

pub(crate) use fault::MAX_OVERSIZED_BODY_LEN;
pub use fault::{Fault, FaultError};
pub(crate) use injector::FaultInjector;

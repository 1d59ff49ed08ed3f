//! Injects faults: their types, and which request, connection or list of jobs each one applies to.

mod fault;
mod list_fault;
mod injector;

pub(crate) use fault::MAX_OVERSIZED_BODY_LEN;
pub use fault::{Fault, FaultError};
pub(crate) use injector::FaultInjector;
pub use list_fault::ListFault;
pub(crate) use list_fault::{ListFaults, ListView};

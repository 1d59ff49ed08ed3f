//! Waits for many jobs in one task, under one request budget.
//!
//! `scheduler` decides which wait sends the next request. The [`Machine`](crate::machine::Machine)
//! of each wait decides how that wait continues.

mod stats;
mod wait_request;
mod event_buffer;
mod subscriber;
mod subscribers;
mod learner;
mod lists;
mod job;
mod scheduler;
mod observations;
mod shared;
mod merged_events;
mod task;
mod hints;
mod quota_sharing;
mod handle;
mod builder;
pub(crate) mod api;

pub use self::{
    builder::FleetBuilder,
    event_buffer::Lagged,
    handle::{FleetEvents, FleetWait},
    lists::ListReads,
    merged_events::MergedEvents,
    stats::{FleetJobStatus, FleetStats},
    wait_request::WaitRequest,
};

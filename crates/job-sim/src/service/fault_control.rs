//! Sets which faults apply to requests for jobs, for the list of jobs, and for objects.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::{Sim, lock};
use crate::faults::{Fault, FaultError, ListFault, ListFaults};

impl Sim {
    /// Applies a fault to every request, or every connection, during this interval.
    ///
    /// The interval is relative to the creation of the simulation. A connection fault also resets
    /// or stalls requests on connections that are already open.
    #[must_use]
    pub fn outage(self, during: Range<Duration>, fault: Fault) -> Self {
        lock(&self.fault_injector).add_outage(during, fault);
        self
    }

    /// Applies one of the faults to a request or connection with a probability.
    ///
    /// The probability is from 0 to 1. The seed decides which faults apply: the same seed and order
    /// of requests give the same faults.
    #[must_use]
    pub fn random_faults(self, seed: u64, probability: f64, faults: Vec<Fault>) -> Self {
        lock(&self.fault_injector).set_random_faults(seed, probability, faults);
        self
    }

    /// Applies a fault to the next request or connection.
    ///
    /// If other injected faults are pending, they apply first.
    pub fn inject_fault(&self, fault: Fault) {
        self.inject_faults([Some(fault)]);
    }

    /// Applies the faults to one request each, after the faults injected before.
    ///
    /// `None` is a request without a fault. A connection fault applies to the next new connection,
    /// once all faults before it have applied.
    ///
    /// These faults do not apply to requests for the list, clusters or nodes, because their number and
    /// order depend on the client. Use [`set_list_faults`](Self::set_list_faults) and
    /// [`inject_object_faults`](Self::inject_object_faults) for those.
    pub fn inject_faults(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        let mut injector = lock(&self.fault_injector);
        faults.into_iter().for_each(|fault| injector.add(fault));
    }

    /// Applies a fault to the next request for a cluster or node.
    ///
    /// If other faults were injected for such requests before, they apply first.
    pub fn inject_object_fault(&self, fault: Fault) {
        self.inject_object_faults([Some(fault)]);
    }

    /// Applies the faults to one request for a cluster or node each, after those injected before.
    ///
    /// `None` is a request without a fault. No other requests use them. A connection fault applies to
    /// the request, as if its connection were open already.
    pub fn inject_object_faults(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        let mut injector = lock(&self.fault_injector);
        faults.into_iter().for_each(|fault| injector.add_for_object(fault));
    }

    /// Replaces the faults of the list of jobs. They stay until the next call; an empty list removes
    /// them. By default there are none.
    ///
    /// They apply together. An outage and random faults have priority over a [`ListFault::Reply`].
    /// Readings of a single job are not affected.
    ///
    /// # Examples
    ///
    /// ```
    /// # use job_sim::{ListFault, Plan, Sim, TimeSource};
    /// let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock);
    /// sim.set_list_faults(ListFault::parse_list("lag:30, missing:0.1")?);
    /// sim.set_list_faults([]);
    /// # Ok::<(), job_sim::FaultError>(())
    /// ```
    pub fn set_list_faults(&self, faults: impl IntoIterator<Item = ListFault>) {
        *lock(&self.list_faults) = ListFaults::new(faults);
    }

    /// Removes the injected faults that have not applied yet.
    pub(crate) fn clear_faults(&self) {
        lock(&self.fault_injector).clear();
    }

    /// Injects the faults in the body of a request.
    pub(super) fn handle_fault_script(&self, request: &Request<Bytes>) -> (StatusCode, Value) {
        let script = Fault::parse_script(&text(request));
        fault_count(script, |faults| self.inject_faults(faults))
    }

    /// Reads faults from the request's body, and injects them for clusters and nodes.
    pub(super) fn handle_object_faults(&self, request: &Request<Bytes>) -> (StatusCode, Value) {
        let script = Fault::parse_script(&text(request));
        fault_count(script, |faults| self.inject_object_faults(faults))
    }

    /// Replaces the faults of the list by those in the body of a request.
    pub(super) fn handle_list_faults(&self, request: &Request<Bytes>) -> (StatusCode, Value) {
        let faults = ListFault::parse_list(&text(request));
        fault_count(faults, |faults| self.set_list_faults(faults))
    }
}

fn text(request: &Request<Bytes>) -> String {
    String::from_utf8_lossy(request.body()).into_owned()
}

/// Applies the faults, and returns the reply with their number, or with the error.
fn fault_count<T>(
    faults: Result<Vec<T>, FaultError>,
    apply: impl FnOnce(Vec<T>),
) -> (StatusCode, Value) {
    match faults {
        Ok(faults) => {
            let count = faults.len();
            apply(faults);
            (StatusCode::OK, json!({"faults": count}))
        }
        Err(error) => (StatusCode::BAD_REQUEST, json!({"message": error.to_string()})),
    }
}

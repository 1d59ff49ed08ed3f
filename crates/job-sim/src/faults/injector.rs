//! Chooses the fault for each request and connection: from a script, by time, or at random. Reads
//! no clock.

use std::{collections::VecDeque, ops::Range, time::Duration};

use super::fault::Fault;

/// Chooses the fault for each request and connection. The script has priority over an outage, and
/// an outage over random faults.
#[derive(Debug, Default)]
pub(crate) struct FaultInjector {
    /// The scripted faults, one for each request. `None` is a request without a fault.
    script: VecDeque<Option<Fault>>,
    /// The scripted faults of requests for clusters and nodes.
    object_script: VecDeque<Option<Fault>>,
    outages: Vec<(Range<Duration>, Fault)>,
    random_faults: Option<RandomFaults>,
}

#[derive(Debug)]
struct RandomFaults {
    seed: u64,
    probability: f64,
    faults: Vec<Fault>,
    draw_count: u64,
}

impl FaultInjector {
    /// Adds an entry to the script. A connection fault applies to the first new connection after
    /// all entries before it are used. Requests skip connection faults in the script.
    pub(crate) fn add(&mut self, fault: Option<Fault>) {
        self.script.push_back(fault);
    }

    /// Adds an entry to the script of requests for clusters and nodes.
    pub(crate) fn add_for_object(&mut self, fault: Option<Fault>) {
        self.object_script.push_back(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.script.clear();
        self.object_script.clear();
    }

    pub(crate) fn add_outage(&mut self, during: Range<Duration>, fault: Fault) {
        self.outages.push((during, fault));
    }

    pub(crate) fn set_random_faults(&mut self, seed: u64, probability: f64, faults: Vec<Fault>) {
        self.random_faults = Some(RandomFaults { seed, probability, faults, draw_count: 0 });
    }

    /// Returns the fault for the next connection.
    pub(crate) fn next_connection_fault(&mut self, elapsed: Duration) -> Option<Fault> {
        let is_next = self.script.front().is_some_and(is_connection_fault);
        if is_next && let Some(scripted) = self.script.pop_front() {
            return scripted;
        }
        let outage = self.outage_at(elapsed).filter(|fault| fault.is_connection_fault()).cloned();
        outage.or_else(|| self.random_faults.as_mut()?.draw(Fault::is_connection_fault))
    }

    /// Returns the fault for the next request.
    pub(crate) fn next_request_fault(&mut self, elapsed: Duration) -> Option<Fault> {
        let next = self.script.iter().position(|fault| !is_connection_fault(fault));
        if let Some(scripted) = next.and_then(|next| self.script.remove(next)) {
            return scripted;
        }
        self.next_unscripted_fault(elapsed)
    }

    /// Returns the fault for the next request for a cluster or node.
    pub(crate) fn next_object_fault(&mut self, elapsed: Duration) -> Option<Fault> {
        match self.object_script.pop_front() {
            Some(scripted) => scripted.map(on_open_connection),
            None => self.next_unscripted_fault(elapsed),
        }
    }

    /// Returns the fault of an outage or a random one for the next request, such as one for the list of
    /// jobs, which has no script.
    pub(crate) fn next_unscripted_fault(&mut self, elapsed: Duration) -> Option<Fault> {
        match self.outage_at(elapsed) {
            Some(fault) => Some(on_open_connection(fault.clone())),
            None => self.random_faults.as_mut()?.draw(|fault| !fault.is_connection_fault()),
        }
    }

    fn outage_at(&self, elapsed: Duration) -> Option<&Fault> {
        let mut outages = self.outages.iter();
        outages.find(|(during, _)| during.contains(&elapsed)).map(|(_, fault)| fault)
    }
}

fn is_connection_fault(fault: &Option<Fault>) -> bool {
    fault.as_ref().is_some_and(Fault::is_connection_fault)
}

/// Returns what a fault does to a request on a connection that was opened before.
fn on_open_connection(fault: Fault) -> Fault {
    match fault {
        Fault::Refuse => Fault::Reset,
        Fault::StallHandshake => Fault::Stall,
        fault => fault,
    }
}

impl RandomFaults {
    /// Draws whether there is a fault, and which of the applicable ones. The result depends only on
    /// the seed and the number of earlier draws.
    fn draw(&mut self, is_applicable: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut random = fastrand::Rng::with_seed(self.seed ^ self.draw_count.rotate_left(32));
        self.draw_count += 1;
        let faults: Vec<&Fault> = self.faults.iter().filter(|fault| is_applicable(fault)).collect();
        let is_due = random.f64() < self.probability;
        random.choice(faults).filter(|_| is_due).cloned()
    }
}

#[cfg(test)]
mod tests;

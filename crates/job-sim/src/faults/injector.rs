//! Which fault befalls which request: by script, by time, or by chance. Reads no clock.

use std::{collections::VecDeque, ops::Range, time::Duration};

use super::fault::Fault;

/// What is to befall whom. Of what is due at once, the script comes first, then an outage, then
/// chance.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// What befalls one after another; `None` spares one.
    script: VecDeque<Option<Fault>>,
    outages: Vec<(Range<Duration>, Fault)>,
    chance: Option<Chance>,
}

#[derive(Debug)]
struct Chance {
    seed: u64,
    probability: f64,
    faults: Vec<Fault>,
    drawn: u64,
}

impl Fate {
    /// Adds to the script. A connection's fault befalls the next that is made once those before it
    /// in the script are done; requests on others do not wait for that.
    pub(crate) fn add(&mut self, fault: Option<Fault>) {
        self.script.push_back(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.script.clear();
    }

    pub(crate) fn outage(&mut self, during: Range<Duration>, fault: Fault) {
        self.outages.push((during, fault));
    }

    pub(crate) fn chance(&mut self, seed: u64, probability: f64, faults: Vec<Fault>) {
        self.chance = Some(Chance { seed, probability, faults, drawn: 0 });
    }

    /// Returns what befalls the next connection.
    pub(crate) fn of_connection(&mut self, elapsed: Duration) -> Option<Fault> {
        let is_next = self.script.front().is_some_and(is_of_connection);
        if is_next && let Some(scripted) = self.script.pop_front() {
            return scripted;
        }
        let outage = self.outage_at(elapsed).filter(|fault| fault.is_of_connection()).cloned();
        outage.or_else(|| self.chance.as_mut()?.draw(Fault::is_of_connection))
    }

    /// Returns what befalls the next request.
    pub(crate) fn of_request(&mut self, elapsed: Duration) -> Option<Fault> {
        let next = self.script.iter().position(|fault| !is_of_connection(fault));
        if let Some(scripted) = next.and_then(|next| self.script.remove(next)) {
            return scripted;
        }
        match self.outage_at(elapsed) {
            // A connection that was there before the outage.
            Some(Fault::Refuse) => Some(Fault::Reset),
            Some(Fault::StallHandshake) => Some(Fault::Stall),
            Some(fault) => Some(fault.clone()),
            None => self.chance.as_mut()?.draw(|fault| !fault.is_of_connection()),
        }
    }

    fn outage_at(&self, elapsed: Duration) -> Option<&Fault> {
        let mut outages = self.outages.iter();
        outages.find(|(during, _)| during.contains(&elapsed)).map(|(_, fault)| fault)
    }
}

fn is_of_connection(fault: &Option<Fault>) -> bool {
    fault.as_ref().is_some_and(Fault::is_of_connection)
}

impl Chance {
    /// Draws whether there is a fault, and which of those that may be. The seed and the number of
    /// draws before decide.
    fn draw(&mut self, may_be: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut random = fastrand::Rng::with_seed(self.seed ^ self.drawn.rotate_left(32));
        self.drawn += 1;
        let faults: Vec<&Fault> = self.faults.iter().filter(|fault| may_be(fault)).collect();
        let is_due = random.f64() < self.probability;
        random.choice(faults).filter(|_| is_due).cloned()
    }
}

#[cfg(test)]
mod tests;

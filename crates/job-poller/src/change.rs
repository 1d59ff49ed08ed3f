//! What changed between two readings of a job. Judges no change.

use std::collections::{BTreeMap, VecDeque};

use job_model::{Job, Node, Phase};

use crate::Event;

/// Returns an event for the job and for each sub-job that is in another phase than before, or was
/// not there before.
pub(crate) fn changes(before: Option<&Job>, now: &Job) -> Vec<Event> {
    let mut known = BTreeMap::<_, VecDeque<_>>::new();
    for node in before.into_iter().flat_map(Job::walk) {
        known.entry(identity(&node)).or_default().push_back(node.job.phase());
    }
    let mut events = Vec::new();
    for node in now.walk() {
        let from = known.get_mut(&identity(&node)).and_then(VecDeque::pop_front);
        if from != Some(node.job.phase()) {
            events.push(event(node, from.flatten()));
        }
    }
    events
}

/// Returns what makes a job of one reading the job of another: nothing for the job itself, there is
/// one; for a sub-job its uid, since the service lists new sub-jobs before old ones. Sub-jobs of
/// one uid, or without any, are told apart by their order.
fn identity<'a>(node: &Node<'a>) -> Option<&'a str> {
    (node.path.depth() > 0).then(|| node.job.uid().unwrap_or_default())
}

fn event(node: Node<'_>, from: Option<&Phase>) -> Event {
    let label = node.job.label().into();
    let (from, to) = (from.cloned(), node.job.phase().cloned());
    match node.path.depth() {
        0 => Event::Phase { label, from, to },
        _ => Event::SubJob { path: node.path, label, from, to },
    }
}

#[cfg(test)]
mod tests;

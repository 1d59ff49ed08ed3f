//! What changed between two readings of a job. Judges no change.

use std::collections::{BTreeMap, VecDeque};

use job_model::{Job, Node, Phase};

use crate::Event;

/// Returns an event for the job and for each sub-job that is in another phase than before, or was
/// not there before.
pub(crate) fn changes(before: Option<&Job>, now: &Job) -> Vec<Event> {
    let mut known = BTreeMap::<_, VecDeque<_>>::new();
    for node in before.into_iter().flat_map(Job::walk) {
        known.entry(Identity::of(&node)).or_default().push_back(node.job.phase());
    }
    let mut events = Vec::new();
    for node in now.walk() {
        let from = known.get_mut(&Identity::of(&node)).and_then(VecDeque::pop_front);
        if from != Some(node.job.phase()) {
            events.push(event(node, from.flatten()));
        }
    }
    events
}

fn event(node: Node<'_>, from: Option<&Phase>) -> Event {
    let label = node.job.label().into();
    let (from, to) = (from.cloned(), node.job.phase().cloned());
    match node.path.depth() {
        0 => Event::Phase { label, from, to },
        _ => Event::SubJob { path: node.path, label, from, to },
    }
}

/// What makes a sub-job of one reading the sub-job of another: its uid, since the service lists
/// new sub-jobs before old ones; its place where it has none. Sub-jobs with the same uid are told
/// apart by their order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identity<'a> {
    Root,
    Uid(&'a str),
    Place(Vec<usize>),
}

impl<'a> Identity<'a> {
    fn of(node: &Node<'a>) -> Self {
        match node.job.uid() {
            _ if node.path.depth() == 0 => Self::Root,
            Some(uid) if !uid.is_empty() => Self::Uid(uid),
            _ => Self::Place(node.path.indices().to_vec()),
        }
    }
}

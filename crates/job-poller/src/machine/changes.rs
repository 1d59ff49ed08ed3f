//! Compares two readings of a job and returns the changes as events.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
};

use job_model::{Job, Phase, TreeEntry};

use super::event::{Event, PhaseChange};

/// Returns an event for the job and for each sub-job that is new or whose phase has changed.
///
/// They are followed by a progress event if the job lists sub-jobs and their numbers have changed.
pub(crate) fn changes(before: Option<&Job>, now: &Job) -> Vec<Event> {
    let mut known = BTreeMap::<_, VecDeque<_>>::new();
    for node in before.into_iter().flat_map(Job::walk) {
        known.entry(identity(&node)).or_default().push_back(node.job.phase());
    }
    let mut events = Vec::new();
    for node in now.walk() {
        let from = known.get_mut(&identity(&node)).and_then(VecDeque::pop_front);
        if from != Some(node.job.phase()) {
            events.push(change_event(node, from.flatten()));
        }
    }
    let progress = now.progress();
    if !now.sub_jobs().is_empty() && before.map(Job::progress) != Some(progress) {
        events.push(Event::Progress(progress));
    }
    events
}

/// Returns an event if the job is new or its own phase has changed. Ignores its sub-jobs.
pub(crate) fn own_change(before: Option<&Job>, now: &Job) -> Option<Event> {
    let is_changed = before.map(Job::phase) != Some(now.phase());
    let from = before.and_then(Job::phase);
    now.walk().next().filter(|_| is_changed).map(|node| change_event(node, from))
}

/// Returns the key that identifies a job in two readings.
///
/// The root job needs no key. A sub-job is identified by its uid and not by its position, because
/// the service lists new sub-jobs before old ones. Sub-jobs with equal or missing uids are matched
/// in order.
fn identity<'a>(node: &TreeEntry<'a>) -> Option<&'a str> {
    (node.path.depth() > 0).then(|| node.job.uid().unwrap_or_default())
}

fn change_event(node: TreeEntry<'_>, from: Option<&Phase>) -> Event {
    let label = node.job.label().into();
    let name = match node.path.depth() {
        // Each line of output shows the id of the job itself already.
        0 => node.job.resource_name().map(String::from),
        _ => node.job.display_name().map(Cow::into_owned),
    };
    let to = node.job.phase();
    let change = PhaseChange::new(from, to);
    let (from, to) = (from.cloned(), to.cloned());
    match node.path.depth() {
        0 => Event::Phase { label, name, from, to, change },
        _ => Event::SubJob { path: node.path, label, name, from, to },
    }
}

#[cfg(test)]
mod tests;

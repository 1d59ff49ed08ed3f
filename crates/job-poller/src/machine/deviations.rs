//! The deviations of a reading that the last one did not have.

use std::collections::{HashMap, HashSet};

use job_model::{Deviation, decode::DeviationKind};

/// Returns the deviations that are new since the last reading.
///
/// The service lists new sub-jobs before old ones, so the path of an old deviation changes if a
/// sub-job is added. So deviations are counted by their kind and their path without indices.
pub(super) fn new_deviations(last: &[Deviation], now: &[Deviation]) -> Vec<Deviation> {
    if now == last {
        return Vec::new();
    }
    let mut surplus = HashMap::<_, usize>::new();
    now.iter().for_each(|deviation| *surplus.entry(key(deviation)).or_default() += 1);
    for deviation in last {
        surplus.entry(key(deviation)).and_modify(|count| *count = count.saturating_sub(1));
    }
    // A deviation at a new place is likelier to be the new one.
    let known: HashSet<&Deviation> = last.iter().collect();
    let (known, unknown): (Vec<_>, Vec<_>) = now.iter().partition(|one| known.contains(one));
    let is_new = |deviation: &&Deviation| match surplus.get_mut(&key(deviation)) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    };
    unknown.into_iter().chain(known).filter(is_new).cloned().collect()
}

/// Returns the kind of a deviation, and its path with `[]` in place of each index.
fn key(deviation: &Deviation) -> (DeviationKind, String) {
    let mut path = String::with_capacity(deviation.path.len());
    let mut is_index = false;
    for character in deviation.path.chars() {
        is_index = (is_index && character.is_ascii_digit()) || character == '[';
        if !(is_index && character.is_ascii_digit()) {
            path.push(character);
        }
    }
    (deviation.kind, path)
}

#[cfg(test)]
mod tests {
    use job_model::Decoded;
    use serde_json::json;

    use super::*;

    /// Returns the deviations of a job whose sub-jobs have these phases.
    fn deviations(phases: &[&str]) -> Vec<Deviation> {
        let sub_jobs: Vec<_> =
            phases.iter().map(|phase| json!({"status": {"phase": phase}})).collect();
        let body = json!({"spec": {"subJobs": sub_jobs}}).to_string();
        Decoded::from_slice(body.as_bytes()).unwrap().deviations
    }

    #[test]
    fn moved_deviations_are_not_new() {
        let rows: &[(&[&str], &[&str], &[&str])] = &[
            (&[], &["Odd"], &["spec.subJobs[0].status.phase"]),
            (&["Odd"], &["Odd"], &[]),
            // Another sub-job is listed first.
            (&["Odd"], &["Running", "Odd"], &[]),
            (&["Odd"], &["Odd", "Odd"], &["spec.subJobs[1].status.phase"]),
            (&["Running", "Odd"], &["Odd", "Odd"], &["spec.subJobs[0].status.phase"]),
            (&["Odd", "Odd"], &["Running", "Odd"], &[]),
        ];
        for (last, now, expected) in rows {
            let new = new_deviations(&deviations(last), &deviations(now));
            let paths: Vec<_> = new.iter().map(|deviation| &*deviation.path).collect();
            assert_eq!(paths, *expected, "{last:?} -> {now:?}");
        }
    }
}

//! Tests of when a change is saved, and of what is saved.

use job_poller::{WaitPolicy, machine::Machine};
use job_transport::transport::MemoryLimit;

use super::*;

fn snapshot(phase: &str) -> JobSnapshot {
    JobSnapshot::from_slice(format!("{{\"status\": {{\"phase\": \"{phase}\"}}}}").as_bytes())
        .unwrap()
}

/// Returns the state of the wait at `index`.
fn state(index: usize, seconds: u64, snapshot: &JobSnapshot) -> Checkpoint {
    let machine = Machine::new(format!("job-{index}").parse().unwrap(), WaitPolicy::new());
    Checkpoint::new(machine, Duration::from_secs(seconds)).with_snapshot(Some(snapshot.clone()))
}

/// Describes changes: the position of the job, what is saved, and the time of the state.
fn describe(changes: &Changes) -> String {
    let one = |(index, entry): (&usize, &Entry<Checkpoint>)| match entry {
        Entry::Wait(one) => format!("{index} whole {:?}", one.elapsed()),
        Entry::Plan(one) => {
            assert!(one.machine().snapshot().is_none());
            format!("{index} plan {:?}", one.elapsed())
        }
    };
    changes.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[test]
fn jobs_are_saved_at_once_and_plans_within_a_minute() {
    let seconds = Duration::from_secs;
    let (old, new) = (snapshot("Initializing"), snapshot("Running"));
    let mut changes = PendingChanges::default();
    let all = changes.reset([0, 1, 2].map(|index| (index, state(index, 0, &old))).into());
    assert_eq!(describe(&all), "0 whole 0ns, 1 whole 0ns, 2 whole 0ns");
    // The time; the states that are added: position, job, and whether it is urgent; what is saved.
    let rows = [
        (1, vec![], ""),
        (2, vec![(0, &old, false)], ""),
        (3, vec![(0, &old, false), (1, &new, false)], "1 whole 3s"),
        (4, vec![(1, &new, false), (2, &old, true)], "2 plan 4s"),
        (5, vec![(2, &new, false), (2, &new, false), (2, &new, true)], "2 whole 5s"),
        // The first change was at 2 s.
        (51, vec![(0, &old, false)], ""),
        (52, vec![], "0 plan 51s"),
        (53, vec![(0, &old, true), (0, &old, false)], "0 plan 53s"),
        // The first change was at 4 s. The job of a saved plan replaces it.
        (54, vec![], "1 plan 4s"),
        (60, vec![(1, &new, false), (1, &old, false)], "1 whole 60s"),
        (200, vec![], ""),
    ];
    for (now, states, expected) in rows {
        for (index, job, is_urgent) in states {
            changes.add(seconds(now), index, state(index, now, job), is_urgent);
        }
        assert_eq!(changes.is_due(seconds(now)), !expected.is_empty(), "at {now} s");
        assert_eq!(describe(&changes.take_due(seconds(now))), expected, "at {now} s");
    }
    changes.add(seconds(201), 0, state(0, 201, &old), false);
    changes.add(seconds(201), 1, state(1, 201, &new), false);
    assert_eq!(describe(&changes.take_all()), "0 plan 201s, 1 whole 201s");
    assert_eq!(
        (describe(&changes.take_all()), changes.is_due(seconds(900))),
        (String::new(), false)
    );
}

#[test]
fn changes_that_were_not_saved_are_merged_with_newer_ones() {
    let (old, new, newest) = (snapshot("Initializing"), snapshot("Running"), snapshot("Success"));
    // The change that was not saved: its job and whether it is urgent; the change since then; what
    // is saved, with which job.
    let rows = [
        ((&new, false), None, "0 whole 1s", Some(&new)),
        ((&new, false), Some((&new, false)), "0 whole 2s", Some(&new)),
        ((&new, false), Some((&new, true)), "0 whole 2s", Some(&new)),
        ((&new, false), Some((&newest, false)), "0 whole 2s", Some(&newest)),
        ((&old, true), None, "0 plan 1s", None),
        ((&old, true), Some((&old, false)), "0 plan 2s", None),
        ((&old, true), Some((&old, true)), "0 plan 2s", None),
        ((&old, true), Some((&newest, false)), "0 whole 2s", Some(&newest)),
    ];
    for (unsaved, since, expected, job) in rows {
        let mut changes = PendingChanges::default();
        changes.reset([(0, state(0, 0, &old))].into());
        let add = |changes: &mut PendingChanges, at, (job, is_urgent)| {
            changes.add(Duration::ZERO, 0, state(0, at, job), is_urgent);
        };
        add(&mut changes, 1, unsaved);
        let taken = changes.take_due(Duration::ZERO);
        since.iter().for_each(|since| add(&mut changes, 2, *since));
        changes.restore(taken);
        assert!(changes.is_due(Duration::ZERO));
        let due = changes.take_due(Duration::ZERO);
        assert_eq!(describe(&due), expected);
        let saved = match &due[&0] {
            Entry::Wait(one) => one.machine().snapshot(),
            Entry::Plan(_) => None,
        };
        assert_eq!(saved, job, "{expected}");
        assert_eq!(describe(&changes.take_all()), "");
    }
}

#[test]
fn a_text_that_was_dropped_is_saved_as_a_summary() {
    let limit = MemoryLimit::new(1 << 20);
    let job = |len: usize| {
        let text = serde_json::json!({"status": {"phase": "Running"}, "x": "x".repeat(len)});
        let mut job = JobSnapshot::from_slice(text.to_string().as_bytes()).unwrap();
        job.count_toward(&limit);
        job.without_job()
    };
    let large = job(900 << 10);
    let mut changes = PendingChanges::default();
    changes.reset([(0, state(0, 0, &large))].into());
    changes.add(Duration::ZERO, 0, state(0, 1, &large), false);
    assert_eq!(describe(&changes.take_all()), "0 plan 1s");
    // The largest text is dropped.
    let small = job(300 << 10);
    assert_eq!([&large, &small].map(JobSnapshot::is_truncated), [true, false]);
    changes.add(Duration::ZERO, 0, state(0, 2, &large), false);
    assert_eq!(describe(&changes.take_all()), "0 whole 2s");
}

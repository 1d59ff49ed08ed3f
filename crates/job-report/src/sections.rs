//! Divides the rows of a timeline into those that are shown, and runs of finished steps that are
//! folded.

use std::ops::Range;

use crate::{
    text::format_duration,
    timeline::{Bar, PhaseKind, TimelineRow},
};

/// Number of rows above which finished steps are folded.
const MAX_OPEN_ROWS: usize = 60;

/// Minimum number of finished steps that are folded into one row.
const MIN_FOLDED_ROWS: usize = 3;

/// A part of a timeline. The ranges are indices of its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Rows that are shown.
    Open(Range<usize>),
    /// Finished steps.
    Folded(Range<usize>),
}

/// Divides rows into sections. Every row is in one of them, in the same order. Steps that have not
/// succeeded, and the steps above them, are never folded.
pub(crate) fn divide(rows: &[TimelineRow]) -> Vec<Section> {
    let mut sections = Vec::<Section>::new();
    let folds = rows.len() > MAX_OPEN_ROWS;
    let is_open = open_rows(rows);
    let mut start = 0;
    for run in is_open.chunk_by(|one, next| one == next) {
        let range = start..start + run.len();
        start = range.end;
        let is_folded = folds && run.first() == Some(&false) && run.len() >= MIN_FOLDED_ROWS;
        match sections.last_mut() {
            _ if is_folded => sections.push(Section::Folded(range)),
            Some(Section::Open(last)) => last.end = range.end,
            _ => sections.push(Section::Open(range)),
        }
    }
    sections
}

/// Returns for each row whether it, or a step below it, has not succeeded. The first row is the job.
fn open_rows(rows: &[TimelineRow]) -> Vec<bool> {
    // The depth of the last row that is open. A row above it in the tree is less deep.
    let mut depth = 0;
    let is_open = rows.iter().enumerate().rev().map(|(index, row)| {
        let is_parent = row.depth < depth;
        let is_open = index == 0 || is_parent || row.is_failing || row.kind != PhaseKind::Success;
        if is_parent {
            depth = row.depth;
        } else if is_open {
            depth = depth.max(row.depth);
        }
        is_open
    });
    let mut is_open: Vec<_> = is_open.collect();
    is_open.reverse();
    is_open
}

/// How important a row is if not all rows are shown. The first is the most important one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Importance {
    /// The job, the step that made it fail, and the steps between them.
    FailedPath,
    Failed,
    /// Other rows that are open.
    Open,
    Finished,
}

/// Returns the indices of all rows, the most important one first. Rows of the same importance keep
/// their order.
pub(crate) fn by_importance(rows: &[TimelineRow]) -> Vec<usize> {
    let is_open = open_rows(rows);
    let importance = |index: &usize| match rows.get(*index) {
        _ if *index == 0 => Importance::FailedPath,
        Some(row) if row.is_failing => Importance::FailedPath,
        Some(row) if row.kind == PhaseKind::Failed => Importance::Failed,
        _ if is_open.get(*index) == Some(&true) => Importance::Open,
        _ => Importance::Finished,
    };
    let mut indices: Vec<_> = (0..rows.len()).collect();
    indices.sort_by_key(importance);
    indices
}

/// Returns which rows are shown if at most `max` can be: the most important ones. Returns the indices
/// in ascending order.
pub(crate) fn most_important(rows: &[TimelineRow], max: usize) -> Vec<usize> {
    let mut kept = by_importance(rows);
    kept.truncate(max);
    kept.sort_unstable();
    kept
}

/// Returns the rows for a format that cannot unfold: a run of finished steps is one row. If there are
/// more than `max`, the most important ones are kept. Returns also the number of steps that are left out.
pub(crate) fn folded_rows(rows: &[TimelineRow], max: usize) -> (Vec<TimelineRow>, usize) {
    let mut shown = Vec::new();
    for section in divide(rows) {
        match section {
            Section::Open(range) => {
                shown.extend(rows.get(range).unwrap_or_default().iter().map(|row| (row.clone(), 1)))
            }
            Section::Folded(range) => {
                let rows = rows.get(range).unwrap_or_default();
                shown.push((folded_row(rows), rows.len()));
            }
        }
    }
    let all: Vec<_> = shown.iter().map(|(row, _)| row.clone()).collect();
    let kept = most_important(&all, max);
    let steps = kept.iter().filter_map(|index| shown.get(*index)).map(|(_, steps)| steps);
    let left_out = rows.len() - steps.sum::<usize>();
    (kept.iter().filter_map(|index| all.get(*index)).cloned().collect(), left_out)
}

/// Returns the row that stands for folded rows.
pub(crate) fn folded_row(rows: &[TimelineRow]) -> TimelineRow {
    let bar = rows.iter().filter_map(|row| row.bar).reduce(Bar::union);
    TimelineRow {
        depth: rows.iter().map(|row| row.depth).min().unwrap_or_default(),
        label: format!("{} finished steps", rows.len()),
        name: None,
        phase: rows.first().map_or_else(String::new, |row| row.phase.clone()),
        kind: PhaseKind::Success,
        is_failing: false,
        duration: bar.map(|bar| format_duration(bar.duration())),
        reason: None,
        bar,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(shape: &[(usize, bool)]) -> Vec<TimelineRow> {
        let row = |(depth, done): &(usize, bool)| TimelineRow {
            depth: *depth,
            label: "Step".into(),
            name: None,
            phase: "Success".into(),
            kind: if *done { PhaseKind::Success } else { PhaseKind::Running },
            is_failing: false,
            duration: None,
            reason: None,
            bar: None,
        };
        shape.iter().map(row).collect()
    }

    #[test]
    fn finished_steps_fold_if_there_are_many() {
        let mut shape = vec![(0, false)];
        shape.extend([(1, true); 30]);
        // A finished step with a step below it that runs.
        shape.extend([(1, true), (2, true), (2, false), (2, true), (2, true)]);
        shape.extend([(1, true); 25]);
        assert_eq!(divide(&rows(&shape[..60])), [Section::Open(0..60)]);
        let expected = [
            Section::Open(0..1),
            Section::Folded(1..31),
            Section::Open(31..34),
            Section::Folded(34..61),
        ];
        assert_eq!(divide(&rows(&shape)), expected);
    }

    #[test]
    fn rows_that_are_open_are_kept_first() {
        let shape = [(0, false), (1, true), (1, true), (2, false), (1, true)];
        let rows = rows(&shape);
        for (max, expected) in
            [(1, &[0][..]), (3, &[0, 2, 3]), (4, &[0, 1, 2, 3]), (9, &[0, 1, 2, 3, 4])]
        {
            assert_eq!(most_important(&rows, max), expected, "{max}");
        }
    }

    #[test]
    fn the_failed_path_is_kept_first_and_then_other_failures() {
        let mut rows =
            rows(&[(0, false), (1, false), (1, true), (1, false), (1, false), (2, false)]);
        rows[3].kind = PhaseKind::Failed;
        rows[4].is_failing = true;
        (rows[5].is_failing, rows[5].kind) = (true, PhaseKind::Failed);
        assert_eq!(by_importance(&rows), [0, 4, 5, 3, 1, 2]);
        assert_eq!(most_important(&rows, 4), [0, 3, 4, 5]);
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_section(shape in prop::collection::vec((1_usize..4, any::<bool>()), 0..200)) {
            let rows = rows(&shape);
            let sections = divide(&rows);
            let mut next = 0;
            for section in sections {
                let range = match section {
                    Section::Open(range) => range,
                    Section::Folded(range) => {
                        prop_assert!(rows[range.clone()].iter().all(|row| row.kind == PhaseKind::Success));
                        range
                    }
                };
                prop_assert_eq!(range.start, next);
                next = range.end;
            }
            prop_assert_eq!(next, rows.len());
        }
    }
}

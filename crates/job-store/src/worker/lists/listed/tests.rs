//! Tests sequences of lists of one job.

use job_model::Phase;

use super::*;

/// Parses a phase and a second, such as `R100`. The second may be missing.
fn state(text: &str) -> Option<RowState> {
    let (phase, second) = text.split_at_checked(1)?;
    let phase = match phase {
        "R" => Phase::Running,
        "S" => Phase::Success,
        _ => return None,
    };
    let updated_at = second.parse().ok().map(|second| Timestamp::from_second(second).unwrap());
    Some(RowState::new(Some(&phase), updated_at))
}

/// A list: its date, what the job's own reading has shown, the row, the tick of the wait, and what
/// follows. The tick ends with `+` if an attempt is in flight.
type List = (i64, &'static str, &'static str, &'static str, &'static str);

#[test]
fn rows_cause_hints_and_are_judged_by_the_jobs_own_readings() {
    let far_future = "R99999999999";
    let rows: [(&str, &[List]); 11] = [
        (
            "the list shows a change first",
            &[
                (200, "R100", "R100", "1", "agrees"),
                (210, "R100", "S205", "1", "hint agrees"),
                (215, "R100", "S205", "2+", "agrees"),
                (220, "S205", "S205", "3", "fresh agrees"),
                (230, "S205", "S205", "3", "agrees"),
            ],
        ),
        (
            "the job's own reading shows it first",
            &[(200, "R100", "R100", "1", "agrees"), (210, "R205", "R205", "3", "fresh agrees")],
        ),
        (
            "the list lacks a change",
            &[(200, "R100", "R100", "1", "agrees"), (210, "R205", "R100", "3", "miss differs")],
        ),
        (
            "the change is recent, but the next list lacks it, too",
            &[
                (200, "R100", "R100", "1", "agrees"),
                (210, "R209", "R100", "3", "agrees"),
                (215, "R209", "R100", "3", "miss differs"),
            ],
        ),
        (
            "the list lags",
            &[
                (200, "R100", "R100", "1", "agrees"),
                (210, "R100", "R190", "1", "hint agrees"),
                (220, "R190", "R190", "3", "miss agrees"),
            ],
        ),
        (
            "the job's own reading does not confirm the row",
            &[
                (200, "R100", "R100", "1", "agrees"),
                (210, "R100", "S205", "1", "hint agrees"),
                (220, "R100", "S205", "3", "differs"),
                (230, "R100", "S225", "5", "differs"),
                (240, "S225", "S225", "7", "fresh agrees"),
            ],
        ),
        (
            "an attempt was in flight when the row came",
            &[
                (200, "R100", "S195", "2+", "hint agrees"),
                (210, "R100", "S195", "3", "agrees"),
                (220, "R100", "S195", "5", "differs"),
            ],
        ),
        (
            "the time of the row is absurd",
            &[
                (200, "R100", far_future, "1", "hint agrees"),
                (210, "R100", far_future, "3", "differs"),
                (220, "R100", "R99999999990", "5", "differs"),
                (230, "R100", "R0", "7", "differs"),
            ],
        ),
        (
            "the time of the job is absurd",
            &[
                (200, far_future, "R100", "1", "differs"),
                (210, "S99999999999", "R100", "3", "differs"),
                (220, "S99999999999", "S99999999999", "3", "agrees"),
            ],
        ),
        (
            "without times, nothing proves the list fresh",
            &[
                (200, "R", "R", "1", "agrees"),
                (210, "R", "S", "1", "hint agrees"),
                (220, "S", "S", "3", "agrees"),
            ],
        ),
        (
            "the job was not read yet",
            &[(200, "-", "S150", "1", "differs"), (210, "S150", "S150", "3", "agrees")],
        ),
    ];
    for (name, lists) in rows {
        let (mut before, mut previous) = (None, None);
        for (second, own, row, tick, expected) in lists {
            let (number, is_in_flight) = (tick.trim_end_matches('+'), tick.ends_with('+'));
            let tick = number.parse().unwrap();
            let wait = ListedWait { before, own: state(own), tick, is_in_flight };
            let date = Some(Timestamp::from_second(*second).unwrap());
            let Comparison { listed, evidence, is_hint, agrees } =
                wait.compare(state(row).unwrap(), previous, date);
            let evidence = evidence.map(|shows| if shows { "fresh" } else { "miss" });
            let agrees = if agrees { "agrees" } else { "differs" };
            let words = [is_hint.then_some("hint"), evidence, Some(agrees)];
            let actual = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
            assert_eq!(actual, *expected, "{name}, at {second} s");
            let text = serde_json::to_string(&listed).unwrap();
            (before, previous) = (Some(serde_json::from_str(&text).unwrap()), date);
        }
    }
}

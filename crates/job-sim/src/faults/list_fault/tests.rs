//! Tests the syntax of the faults of the list, and which rows they concern.

use super::*;

fn parse(text: &str) -> ListFaults {
    ListFaults::new(ListFault::parse_list(text).unwrap())
}

#[test]
fn list_faults_parse_or_are_named_in_the_error() {
    let rows = [
        ("", Some(0)),
        (" , ", Some(0)),
        ("lag:30, missing:0.5,slow:1", Some(3)),
        ("frozen:0, missing-job:a, running-job:b", Some(3)),
        ("403, garbage, oversized:9, stall, page:502", Some(5)),
        ("missing:0, missing:1", Some(2)),
        ("missing:1.1", None),
        ("missing:-0.1", None),
        ("missing:nan", None),
        ("missing:", None),
        ("lag:soon", None),
        ("lag:-1", None),
        ("missing-job:", None),
        ("running-job:a/../b", None),
        ("3*403", None),
        ("never", None),
    ];
    for (text, expected) in rows {
        let parsed = ListFault::parse_list(text);
        assert_eq!(parsed.as_ref().ok().map(Vec::len), expected, "{text}: {parsed:?}");
        if let Err(error) = parsed {
            assert!(error.to_string().starts_with(&format!("unknown fault: {text};")), "{error}");
        }
    }
}

#[test]
fn the_id_decides_which_rows_are_missing() {
    let id = |number: u32| format!("{number:09x}-229a-11e8-9c75-0255ac100ceb");
    for (text, expected) in [
        ("", 0..=0),
        ("missing:0", 0..=0),
        ("missing:0.1", 70..=130),
        ("missing:0.5", 450..=550),
        ("missing:1", 1000..=1000),
        (&*format!("missing-job:{}", id(7)), 1..=1),
    ] {
        let (faults, again) = (parse(text), parse(text));
        let missing = (0..1000).filter(|number| faults.is_missing(&id(*number))).count();
        assert!(expected.contains(&missing), "{text}: {missing}");
        assert!((0..1000).all(|n| faults.is_missing(&id(n)) == again.is_missing(&id(n))));
    }
}

#[test]
fn lags_and_delays_add_up_and_the_earliest_freeze_counts() {
    let seconds = Duration::from_secs;
    for (text, elapsed, shown) in [
        ("", 100, (100, 0)),
        ("lag:30", 100, (100, 30)),
        ("lag:30, lag:5", 100, (100, 35)),
        ("frozen:60", 50, (50, 0)),
        ("frozen:60", 100, (60, 0)),
        ("frozen:60, frozen:40, lag:10", 100, (40, 10)),
    ] {
        let ListView { elapsed, lag } = parse(text).view(seconds(elapsed));
        assert_eq!((elapsed, lag), (seconds(shown.0), seconds(shown.1)), "{text}");
    }
    assert_eq!(parse("slow:2, slow:3").delay(), seconds(5));
    assert!(parse("lag:1").reply().is_none());
    assert!(matches!(parse("lag:1, garbage, 403").reply(), Some(Fault::Garbage)));
}

//! Tests that the texts of an image do not overlap, and are inside it.

use proptest::prelude::*;

use super::*;
use crate::{
    text::sanitize_line,
    timeline::{Bar, PhaseKind},
};

/// The rectangle that a text covers.
fn bounds(text: &Text) -> (f64, f64, f64, f64) {
    let name = text.name.as_ref().map_or(0.0, |name| text.font.width(" ") + text.font.width(name));
    let width = text.font.width(&text.shown) + name;
    let left = if text.is_right_aligned { text.x - width } else { text.x };
    let y = text.y as f64;
    (left, left + width, y - text.font.size * 0.75, y + text.font.size * 0.25)
}

fn check(image: &Svg) {
    let texts: Vec<_> = image.texts.iter().filter(|text| !text.shown.is_empty()).collect();
    for (index, text) in texts.iter().enumerate() {
        let (left, right, top, bottom) = bounds(text);
        // Rounding errors.
        assert!(left >= 0.0 && right <= WIDTH + 0.01, "{left} to {right}: {}", text.shown);
        assert!(bottom <= image.height as f64, "{}", text.shown);
        for other in &texts[index + 1..] {
            let (other_left, other_right, other_top, other_bottom) = bounds(other);
            let is_apart = right <= other_left + 0.01
                || other_right <= left + 0.01
                || bottom <= other_top
                || other_bottom <= top;
            assert!(is_apart, "{:?} covers {:?}", text.shown, other.shown);
        }
    }
}

fn row() -> impl Strategy<Value = TimelineRow> {
    let text = any::<String>().prop_map(|text| sanitize_line(&text));
    let long =
        prop_oneof![text, Just("W".repeat(300)), Just("节点".repeat(100)), Just("node".into())];
    let times = prop::option::of((0_i64..500, 0_i64..500));
    let texts = [long.clone(), long.clone(), long.clone(), long];
    (0_usize..30, texts, times, any::<[bool; 4]>()).prop_map(|(depth, texts, times, flags)| {
        let [label, name, phase, reason] = texts;
        let [has_name, has_reason, is_failing, has_duration] = flags;
        let time = |second| jiff::Timestamp::from_second(second).unwrap();
        TimelineRow {
            depth,
            label,
            name: has_name.then_some(name),
            phase,
            kind: PhaseKind::Failed,
            is_failing,
            duration: has_duration.then(|| "1000h10m".into()),
            reason: has_reason.then_some(reason),
            bar: times.map(|(from, to)| Bar {
                from: time(from),
                to: time(from.max(to)),
                is_open: false,
            }),
        }
    })
}

proptest! {
    #[test]
    fn texts_do_not_overlap(rows in prop::collection::vec(row(), 1..8), many in any::<bool>()) {
        let mut timeline = Timeline::unread().with_objects(rows);
        timeline.status = timeline.rows[0].phase.clone();
        timeline.label = timeline.rows[0].label.clone();
        timeline.cause = timeline.rows[0].reason.clone();
        let mut image = Svg::default();
        if many {
            image.jobs(&Overview::new(&[&timeline, &timeline]));
        } else {
            image.job(&timeline, timeline.axis, MAX_ROWS);
        }
        image.height += 16;
        check(&image);
    }
}

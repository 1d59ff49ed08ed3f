//! Trailing commas and half surrogate pairs anywhere, and nothing else touched.

use alloc::{format, string::ToString};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::path::MAX_NAME;

/// JSON values, their nesting and texts the kind that a scanner trips over.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[\\\\\",:{}\\[\\] a]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[\\\\\",:{}a]{0,4}", inner, 0..4)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Writes the value with a comma after the last member of every container that has one.
fn write_with_commas(value: &Value) -> String {
    let members = |members: Vec<String>| match members.is_empty() {
        true => String::new(),
        false => members.join(" , ") + " ,\n",
    };
    match value {
        Value::Array(elements) => {
            format!("[{}]", members(elements.iter().map(write_with_commas).collect()))
        }
        Value::Object(object) => {
            let name = |name: &String| Value::from(name.as_str());
            let member = |(n, v)| format!("{}:{}", name(n), write_with_commas(v));
            format!("{{{}}}", members(object.iter().map(member).collect()))
        }
        leaf => format!("{leaf}"),
    }
}

proptest! {
    #[test]
    fn well_formed_bodies_are_left_alone(value in values()) {
        let body = value.to_string();
        prop_assert_eq!(repair(body.as_bytes()), (body.into_bytes(), Vec::new()));
    }

    #[test]
    fn trailing_commas_are_blanked_and_nothing_else(value in values()) {
        let (repaired, _) = repair(write_with_commas(&value).as_bytes());
        prop_assert_eq!(serde_json::from_slice::<Value>(&repaired).unwrap(), value);
    }
}

#[test]
fn half_surrogate_pairs() {
    let rows = [
        (r#"["\ud83d\ude00"]"#, None),
        (r#"["\\ud800"]"#, None),
        (r#"["\u00e4\n\""]"#, None),
        (r#"["\ud800"]"#, Some((r#"["\ufffd"]"#, "[0]"))),
        (r#"["\udC00"]"#, Some((r#"["\ufffd"]"#, "[0]"))),
        (r#"["\ud800\ud83d\ude00"]"#, Some((r#"["\ufffd\ud83d\ude00"]"#, "[0]"))),
        (r#"["\ud83d\n\ude00"]"#, Some((r#"["\ufffd\n\ufffd"]"#, "[0]"))),
        (r#"{"a": [{"b": "\uDBFF"}]}"#, Some((r#"{"a": [{"b": "\ufffd"}]}"#, "a[0].b"))),
        (r#"{"a": {"\ud800": 1}}"#, Some((r#"{"a": {"\ufffd": 1}}"#, "a"))),
        (r#"["\ud8"#, None),
        (r#"["\ud800"#, Some((r#"["\ufffd"#, "[0]"))),
        (r#"["\"#, None),
    ];
    for (body, expected) in rows {
        let (repaired, deviations) = repair(body.as_bytes());
        let (mended, path) = expected.unwrap_or((body, ""));
        assert_eq!(String::from_utf8_lossy(&repaired), mended);
        assert_eq!(deviations.is_empty(), expected.is_none(), "{body}");
        for deviation in deviations {
            assert_eq!((deviation.kind, &*deviation.path), (DeviationKind::LoneSurrogate, path));
        }
    }
}

#[test]
fn a_hostile_body_is_not_repaired_without_end() {
    let commas = format!("[{}]", "[1,],".repeat(MAX_REPAIRS * 2));
    assert_eq!(repair(commas.as_bytes()).1.len(), MAX_REPAIRS);
    let halves = format!("[\"{}\"]", r"\ud800".repeat(MAX_REPAIRS * 2));
    assert_eq!(repair(halves.as_bytes()).1.len(), MAX_REPAIRS);
    let deep = format!("{}1{}", "[".repeat(10_000), ",]".repeat(10_000));
    assert_eq!(repair(deep.as_bytes()).1.len(), 0);
    let name = "n".repeat(1 << 20);
    let named = format!("{{\"{name}\": [{}]}}", "[1,],".repeat(MAX_REPAIRS));
    let paths = repair(named.as_bytes()).1;
    assert_eq!(paths.len(), MAX_REPAIRS);
    assert_eq!(paths[0].path, format!("{}…[0]", "n".repeat(MAX_NAME)));
}

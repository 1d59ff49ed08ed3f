//! Tests that repair removes trailing commas and changes nothing else.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::decode::path::MAX_NAME_LEN;

/// Generates JSON values with nesting and strings that are difficult for a scanner.
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
    fn well_formed_bodies_are_unchanged(value in values()) {
        let body = value.to_string();
        let Repaired { text, deviations, .. } = repair(body.as_bytes());
        prop_assert!(matches!(text, Cow::Borrowed(_)));
        prop_assert_eq!(deviations.into_vec(), []);
    }

    #[test]
    fn only_trailing_commas_are_blanked(value in values()) {
        let body = write_with_commas(&value);
        let repaired = repair(body.as_bytes()).text;
        prop_assert_eq!(serde_json::from_slice::<Value>(&repaired).unwrap(), value);
    }
}

proptest! {
    #[test]
    fn bytes_keep_their_positions(body in prop::collection::vec(
        prop::sample::select(&b"\"\\,:{}[]1 \n\x00\xe4\xb8\xad\xff"[..]), 0..40,
    )) {
        let Repaired { text, has_repaired_strings, deviations } = repair(&body);
        prop_assert_eq!(text.len(), body.len());
        let changed: Vec<_> = (0..body.len()).filter(|at| text[*at] != body[*at]).collect();
        for at in &changed {
            let expected = if body[*at].is_ascii() { b' ' } else { b'?' };
            prop_assert!(text[*at] == expected && (body[*at] < b' ' || body[*at] == b',' || expected == b'?'));
        }
        prop_assert_eq!(changed.is_empty(), deviations.into_vec().is_empty());
        let has_odd = changed.iter().any(|at| body[*at] != b',');
        prop_assert_eq!(has_repaired_strings, has_odd);
    }
}

/// Returns the paths of the repaired errors.
fn paths(body: &str) -> Vec<String> {
    let deviations = repair(body.as_bytes()).deviations.into_vec();
    deviations.into_iter().map(|deviation| deviation.path).collect()
}

#[test]
fn deviations_of_a_hostile_body_are_bounded() {
    let commas = "[1,],".repeat(5_000);
    let body = format!("[{commas}]");
    let Repaired { text, deviations, .. } = repair(body.as_bytes());
    assert_eq!(text.iter().filter(|byte| **byte == b',').count(), 4_999);
    assert_eq!(deviations.into_vec().len(), 1_001);

    let deep = format!("{}1{}", "[".repeat(10_000), ",]".repeat(10_000));
    assert_eq!(repair(deep.as_bytes()).text, deep.replace(',', " ").as_bytes());

    // A path is built only for the deviations that are listed, and not from the whole name.
    let name = "n".repeat(1 << 17);
    let commas = "[1,],".repeat(1 << 15);
    let body = format!("{{\"{name}\": [{commas}1]}}");
    assert!(repair(body.as_bytes()).deviations.into_vec().iter().all(|one| one.path.len() < 64));

    let name = "n".repeat(1 << 20);
    let named = paths(&format!("{{\"{name}\": [[1,],]}}"));
    assert_eq!(named[0], format!("{}…[0]", "n".repeat(MAX_NAME_LEN)));
}

#[test]
fn paths_are_correct_after_deep_nesting() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    assert_eq!(paths(&format!(r#"{{"x": {deep}, "status": {{"phase": 1,}}}}"#)), ["status"]);
}

//! Tests which texts are valid ids.

extern crate std;

use alloc::{
    collections::BTreeSet,
    format,
    string::{String, ToString},
};
use std::hash::{BuildHasher, RandomState};

use proptest::prelude::*;

use super::*;
use crate::{
    ProjectId,
    job::JobId,
    object::{ClusterId, NodeId},
};

#[test]
fn ids_reject_empty_long_and_unsafe_texts() {
    let long = "a".repeat(MAX_ID_BYTES + 1);
    let rows = [
        ("354331b2c-229a-11e8-9c75-0255ac100ceb", None),
        ("a b", None),
        ("ü", None),
        ("...", None),
        (&long[1..], None),
        ("", Some(IdError::Empty)),
        (&long, Some(IdError::TooLong)),
        (".", Some(IdError::DotSegment)),
        ("..", Some(IdError::DotSegment)),
        ("a/b", Some(IdError::InvalidCharacter('/'))),
        ("a?b", Some(IdError::InvalidCharacter('?'))),
        ("a#b", Some(IdError::InvalidCharacter('#'))),
        ("a%2Fb", Some(IdError::InvalidCharacter('%'))),
        ("a\nb", Some(IdError::InvalidCharacter('\n'))),
        ("a\u{85}b", Some(IdError::InvalidCharacter('\u{85}'))),
        (" a", Some(IdError::SurroundingSpace)),
        ("a ", Some(IdError::SurroundingSpace)),
        ("a\u{a0}", Some(IdError::SurroundingSpace)),
        (" ", Some(IdError::SurroundingSpace)),
        (" a/b", Some(IdError::InvalidCharacter('/'))),
        ("a\n", Some(IdError::InvalidCharacter('\n'))),
    ];
    for (text, error) in rows {
        assert_eq!(text.parse::<JobId>().err(), error, "{text:?}");
        assert_eq!(text.parse::<ProjectId>().err(), error, "{text:?}");
        assert_eq!(text.parse::<ClusterId>().err(), error, "{text:?}");
        assert_eq!(text.parse::<NodeId>().err(), error, "{text:?}");
        assert_eq!(JobId::try_from(text).err(), error, "{text:?}");
        assert_eq!(JobId::try_from(String::from(text)).err(), error, "{text:?}");
        if error.is_none() {
            assert_eq!(text.parse::<JobId>().unwrap().to_string(), text);
        }
    }
}

#[test]
fn id_errors_name_the_violated_rule() {
    let errors = ["", &"a".repeat(200), "..", "a\n", " a"].map(|text| text.parse::<ProjectId>());
    insta::assert_snapshot!(errors.map(|error| format!("{}\n", error.unwrap_err())).concat());
}

#[test]
fn id_errors_have_a_json_form_that_can_be_read_back() {
    let rows = [
        (IdError::Empty, r#""empty""#),
        (IdError::TooLong, r#""too_long""#),
        (IdError::DotSegment, r#""dot_segment""#),
        (IdError::InvalidCharacter('/'), r#"{"invalid_character":"/"}"#),
        (IdError::SurroundingSpace, r#""surrounding_space""#),
    ];
    for (error, json) in rows {
        assert_eq!(serde_json::to_string(&error).unwrap(), json);
        assert_eq!(serde_json::from_str::<IdError>(json).unwrap(), error);
    }
}

proptest! {
    /// `Borrow` requires this.
    #[test]
    fn ids_compare_order_and_hash_like_their_texts(a in "[a-zü ]{1,4}", b in "[a-zü ]{1,4}") {
        let (Ok(first), Ok(second)) = (JobId::try_from(&*a), JobId::try_from(&*b)) else {
            return Ok(());
        };
        prop_assert_eq!(first == second, a == b);
        prop_assert_eq!(first.cmp(&second), a.cmp(&b));
        let hasher = RandomState::new();
        prop_assert_eq!(hasher.hash_one(&first), hasher.hash_one(&*a));
        prop_assert_eq!(BTreeSet::from([first.clone()]).contains(&*b), a == b);
        prop_assert_eq!((first.as_ref(), String::from(first.clone())), (&*a, a.clone()));
    }
}

//! Tests which texts are valid ids.

use alloc::{format, string::ToString};

use super::*;

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
    ];
    for (text, error) in rows {
        assert_eq!(text.parse::<JobId>().err(), error, "{text:?}");
        if error.is_none() {
            assert_eq!(text.parse::<JobId>().unwrap().to_string(), text);
        }
    }
}

#[test]
fn id_errors_name_the_violated_rule() {
    let errors = ["", &"a".repeat(200), "..", "a\n"].map(|text| text.parse::<ProjectId>());
    insta::assert_snapshot!(errors.map(|error| format!("{}\n", error.unwrap_err())).concat());
}

//! Tests that decoding and encoding lose nothing, except for the listed deviations and nulls of
//! known fields, and what is lost in formats other than JSON.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bodies;
mod expected;
mod formats;
mod objects;
mod tokens;

use job_model::{Decoded, decode::DeviationKind};
use proptest::prelude::*;

use bodies::{bodies, styles};
use expected::Expected;
use tokens::{Style, Token};

fn encode(decoded: &Decoded) -> String {
    serde_json::to_string(&decoded.job).unwrap()
}

/// Sorts the deviations, because their order is not guaranteed.
fn sorted(deviations: impl IntoIterator<Item = (String, DeviationKind)>) -> Vec<String> {
    let mut lines: Vec<_> =
        deviations.into_iter().map(|(path, kind)| format!("{path}: {kind:?}")).collect();
    lines.sort();
    lines
}

fn deviations(decoded: &Decoded) -> impl Iterator<Item = (String, DeviationKind)> {
    decoded.deviations.iter().map(|deviation| (deviation.path.clone(), deviation.kind))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn decoded_bodies_are_encoded_without_loss(body in bodies(), style in styles()) {
        let decoded = Decoded::from_slice(body.write(style).as_bytes()).unwrap();
        let expected = Expected::new(&body, style);
        prop_assert_eq!(Token::read(&encode(&decoded)), expected.token);
        prop_assert_eq!(sorted(deviations(&decoded)), sorted(expected.deviations));
    }

    #[test]
    fn encoded_jobs_round_trip(body in bodies(), style in styles()) {
        let encoded = encode(&Decoded::from_slice(body.write(style).as_bytes()).unwrap());
        let again = Decoded::from_slice(encoded.as_bytes()).unwrap();
        prop_assert_eq!(encode(&again), encoded);
    }

    #[test]
    fn syntax_repair_changes_nothing_else(body in bodies(), style in styles()) {
        let expected = Expected::new(&body, style);
        // The JSON text of a parameter would have a space in place of the comma.
        prop_assume!(expected.deviations.iter().all(|(_, kind)| *kind != DeviationKind::ParameterNotText));
        let trailing = body.write(Style { trailing_commas: true, ..style });
        let decoded = Decoded::from_slice(format!("\u{feff}{trailing}").as_bytes());
        let commas = containers(&body);
        let decoded = decoded.unwrap();
        prop_assert_eq!(Token::read(&encode(&decoded)), expected.token);
        let (repaired, others): (Vec<_>, Vec<_>) = deviations(&decoded).partition(|(_, kind)| {
            matches!(kind, DeviationKind::TrailingComma | DeviationKind::ByteOrderMark)
        });
        prop_assert_eq!(repaired.len(), commas + 1);
        prop_assert_eq!(sorted(others), sorted(expected.deviations));
    }

    /// A line break in a string is read as if it were escaped.
    #[test]
    fn raw_control_characters_lose_nothing(body in bodies(), style in styles()) {
        let expected = Expected::new(&body, style);
        // The JSON text of a parameter may escape the character in another way.
        prop_assume!(expected.deviations.iter().all(|(_, kind)| *kind != DeviationKind::ParameterNotText));
        let raw = body.write(Style { raw_controls: true, ..style });
        let decoded = Decoded::from_slice(raw.as_bytes()).unwrap();
        prop_assert_eq!(Token::read(&encode(&decoded)), expected.token);
        let (repaired, others): (Vec<_>, Vec<_>) = deviations(&decoded)
            .partition(|(_, kind)| *kind == DeviationKind::ControlCharacter);
        prop_assert_eq!(repaired.len(), texts_with_controls(&body));
        prop_assert_eq!(sorted(others), sorted(expected.deviations));
    }

    /// A byte order mark makes the fast pass fail.
    #[test]
    fn fast_and_lenient_decoders_agree(body in bodies(), style in styles()) {
        let body = body.write(style);
        let marked = format!("\u{feff}{body}");
        let [plain, marked] = [body, marked].map(|body| Decoded::from_slice(body.as_bytes()).unwrap());
        prop_assert_eq!(plain.job, marked.job);
        prop_assert_eq!(plain.deviations, &marked.deviations[1..]);
    }

    #[test]
    fn test_token_reader_reads_its_own_output(body in bodies(), style in styles()) {
        prop_assert_eq!(Token::read(&body.write(style)), body.with_sorted_members());
    }
}

/// Returns the number of strings with a control character.
fn texts_with_controls(token: &Token) -> usize {
    match token {
        Token::Bare(_) => 0,
        Token::Text(text) => usize::from(text.contains(char::is_control)),
        Token::Array(elements) => elements.iter().map(texts_with_controls).sum(),
        Token::Object(members) => members.iter().map(|(_, value)| texts_with_controls(value)).sum(),
    }
}

/// Returns the number of objects and arrays that are not empty.
fn containers(token: &Token) -> usize {
    let inner: Vec<&Token> = match token {
        Token::Bare(_) | Token::Text(_) => return 0,
        Token::Array(elements) => elements.iter().collect(),
        Token::Object(members) => members.iter().map(|(_, value)| value).collect(),
    };
    usize::from(!inner.is_empty()) + inner.into_iter().map(containers).sum::<usize>()
}

//! Tests what is kept of a job in formats other than JSON.

use job_model::Job;
use proptest::prelude::*;

use crate::{
    bodies::{bodies, styles},
    tokens::Token,
};

/// Returns the value as a format with plain values has it: numbers as floats, which is enough for a
/// comparison, and the last of several members with the same name.
pub(crate) fn plain(token: Token) -> Token {
    match token {
        Token::Bare(text) => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Token::Bare(number.to_string()),
            Ok(_) => Token::Text(text),
            Err(_) => Token::Bare(text),
        },
        Token::Text(text) => Token::Text(text),
        Token::Array(elements) => Token::Array(elements.into_iter().map(plain).collect()),
        Token::Object(members) => {
            let mut last: Vec<(String, Token)> = Vec::new();
            for (name, value) in members {
                last.retain(|(known, _)| *known != name);
                last.push((name, plain(value)));
            }
            Token::Object(last)
        }
    }
}

/// Returns the value without the members that are null.
pub(crate) fn without_nulls(token: Token) -> Token {
    match token {
        Token::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| *value != Token::null());
            Token::Object(members.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Token::Array(elements) => Token::Array(elements.into_iter().map(without_nulls).collect()),
        leaf => leaf,
    }
}

/// Returns whether an array contains a null, which TOML cannot express.
fn has_null_element(token: &Token) -> bool {
    match token {
        Token::Array(elements) => {
            elements.iter().any(|element| *element == Token::null() || has_null_element(element))
        }
        Token::Object(members) => members.iter().any(|(_, value)| has_null_element(value)),
        Token::Bare(_) | Token::Text(_) => false,
    }
}

fn encoded(job: &Job) -> Token {
    Token::read(&serde_json::to_string(job).unwrap())
}

proptest! {
    #[test]
    fn yaml_keeps_plain_values(body in bodies(), style in styles()) {
        let job = Job::from_slice(body.write(style).as_bytes()).unwrap();
        let yaml = serde_saphyr::to_string(&job).unwrap();
        prop_assert!(!yaml.contains("$serde_json"));
        let read: Job = serde_saphyr::from_str(&yaml).unwrap();
        let plain_job = plain(encoded(&job));
        prop_assert_eq!(&plain(encoded(&read)), &plain_job, "{}", yaml);
        // A number that is too large for a float becomes a text, also if it is the phase.
        let plain_job = Job::from_slice(plain_job.write(style).as_bytes()).unwrap();
        prop_assert_eq!(read.phase(), plain_job.phase());
    }

    #[test]
    fn toml_keeps_plain_values_except_nulls(body in bodies(), style in styles()) {
        let job = Job::from_slice(body.write(style).as_bytes()).unwrap();
        let plain_job = plain(encoded(&job));
        let toml = toml::to_string(&job);
        prop_assert_eq!(toml.is_err(), has_null_element(&plain_job));
        if let Ok(toml) = toml {
            prop_assert!(!toml.contains("$serde_json"));
            let read: Job = toml::from_str(&toml).unwrap();
            prop_assert_eq!(plain(encoded(&read)), without_nulls(plain_job), "{}", toml);
        }
    }

    #[test]
    fn formats_that_are_not_human_readable_lose_nothing(body in bodies(), style in styles()) {
        let job = Job::from_slice(body.write(style).as_bytes()).unwrap();
        let bytes = postcard::to_allocvec(&job).unwrap();
        prop_assert_eq!(encoded(&postcard::from_bytes(&bytes).unwrap()), encoded(&job));
        let mut bytes = Vec::new();
        ciborium::into_writer(&job, &mut bytes).unwrap();
        prop_assert_eq!(encoded(&ciborium::from_reader(&*bytes).unwrap()), encoded(&job));
    }
}

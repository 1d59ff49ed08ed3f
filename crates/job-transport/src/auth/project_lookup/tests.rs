//! Tests which project a name stands for, and that it is looked up once.

use std::error::Error;

use futures_util::future::join_all;

use super::*;
use crate::{
    auth::{access_key::AccessKey, credential::ProvidedCredential},
    testing::{ManualClock, ScriptedTransport},
};

fn lookup(name: &str) -> ProjectLookup {
    ProjectLookup::new("https://iam.example/v3".parse().unwrap(), name)
}

fn token() -> IssuedCredential {
    IssuedCredential::new(ProvidedCredential::token("canary-token").unwrap(), 1)
}

async fn get(
    lookup: &ProjectLookup,
    issued: &IssuedCredential,
    transport: &ScriptedTransport,
    clock: &ManualClock,
) -> Result<ProjectId, FetchError> {
    lookup.get(issued, &SigningContext { transport, clock, records: None }).await
}

fn list(projects: &[(&str, &str)]) -> String {
    let projects = projects.iter().map(|(id, name)| serde_json::json!({"id": id, "name": name}));
    serde_json::json!({"projects": projects.collect::<Vec<_>>()}).to_string()
}

#[tokio::test]
async fn a_name_must_stand_for_exactly_one_project() {
    let many: Vec<(String, String)> =
        (0..13).map(|n| (format!("id-{n}"), format!("p{n}\u{1b}[2J"))).collect();
    let many: Vec<_> = many.iter().map(|(id, name)| (&**id, &**name)).collect();
    let rows = [
        ("one", vec![list(&[("a", "eu-de")])]),
        ("a service that ignores the name", vec![list(&[("b", "eu-nl"), ("a", "eu-de")])]),
        ("none of this name", vec![list(&[]), list(&[("b", "eu-nl"), ("c", "eu-de_x")])]),
        ("none at all", vec![list(&[]), list(&[])]),
        ("other names", vec![list(&many)]),
        ("two", vec![list(&[("a", "eu-de"), ("b", "eu-de")])]),
        ("an invalid id", vec![list(&[("a/b", "eu-de")])]),
        ("not a list", vec!["<html>".into()]),
        ("no reply", vec![]),
    ];
    let mut shown = String::new();
    for (name, replies) in rows {
        let transport = ScriptedTransport::default();
        replies.iter().for_each(|body| transport.reply(200, &[], body));
        let found = get(&lookup("eu-de"), &token(), &transport, &ManualClock::new()).await;
        let found = found.map_or_else(
            |error| {
                let causes = std::iter::successors(error.source(), |&cause| cause.source());
                let causes: String = causes.map(|cause| format!(": {cause}")).collect();
                format!("{:?} {:?} {error}{causes}", error.kind(), error.class())
            },
            |id| id.to_string(),
        );
        shown += &format!("{name}: {found}\n");
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn requests_carry_the_token_or_a_signature_and_the_encoded_name() {
    let transport = ScriptedTransport::default();
    let key = AccessKey::new("AK", "canary").unwrap();
    let key = IssuedCredential::new(ProvidedCredential::access_key(key), 1);
    for issued in [token(), key] {
        transport.reply(200, &[], &list(&[("a", "eu-de/\u{fc} &=")]));
        get(&lookup("eu-de/\u{fc} &="), &issued, &transport, &ManualClock::new()).await.unwrap();
    }
    insta::assert_snapshot!(transport.describe_requests());
}

#[tokio::test]
async fn a_project_is_looked_up_once() {
    let (transport, clock) = (ScriptedTransport::default(), ManualClock::new());
    let (lookup, token) = (lookup("eu-de"), token());
    transport.reply(200, &[], &list(&[("a", "eu-de")]));
    let found = join_all((0..1_000).map(|_| get(&lookup, &token, &transport, &clock))).await;
    assert!(found.iter().all(|found| found.as_ref().unwrap().as_str() == "a"));
    assert_eq!(get(&lookup.clone(), &token, &transport, &clock).await.unwrap().as_str(), "a");
    assert_eq!(transport.take_requests().len(), 1);
}

#[tokio::test]
async fn a_failed_lookup_is_shared_and_repeated_later_only_if_it_can_succeed() {
    let rows = [
        // Whether the next caller asks again: at once, after 29 s, after 31 s.
        (403, ErrorClass::Permanent, [false, false, true]),
        (404, ErrorClass::Permanent, [false, false, true]),
        (401, ErrorClass::Unauthorized, [true, true, true]),
        (503, ErrorClass::Transient, [true, true, true]),
        (429, ErrorClass::Throttled, [true, true, true]),
    ];
    for (status, class, asks_again) in rows {
        for (seconds, asks_again) in [0, 29, 31].into_iter().zip(asks_again) {
            let (transport, clock) = (ScriptedTransport::default(), ManualClock::new());
            let (lookup, token) = (lookup("eu-de"), token());
            transport.reply(status, &[("Retry-After", "7")], "");
            let errors = join_all((0..100).map(|_| get(&lookup, &token, &transport, &clock))).await;
            for error in errors {
                let error = error.unwrap_err();
                assert_eq!(error.class(), class, "{status}");
                assert_eq!(error.retry_after(), Some(Duration::from_secs(7)), "{status}");
            }
            assert_eq!(transport.take_requests().len(), 1, "{status}");
            clock.advance(seconds);
            transport.reply(200, &[], &list(&[("a", "eu-de")]));
            let found = get(&lookup, &token, &transport, &clock).await;
            assert_eq!(found.is_ok(), asks_again, "{status} after {seconds} s");
        }
    }
}

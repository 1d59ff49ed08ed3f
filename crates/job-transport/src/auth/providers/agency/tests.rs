//! Tests how an agency is assumed with a token and with a key.

use std::error::Error;

use super::*;
use crate::testing::{ManualClock, ScriptedTransport};

const KEY: &str = r#"{"credential": {"access": "A", "secret": "S", "securitytoken": "T"}}"#;

fn agency(source: Credentials, transport: &ScriptedTransport) -> AssumeAgency {
    let url = "https://iam.example/v3".parse().unwrap();
    let clock = ManualClock::new();
    AssumeAgency::with_clock(url, source, "customer", "reader", transport.clone(), clock)
}

fn token() -> Credentials {
    Credentials::token("canary-token").unwrap()
}

fn key(name: &str) -> Credentials {
    Credentials::access_key(AccessKey::new(name, "canary-secret").unwrap())
}

#[tokio::test]
async fn a_token_requests_a_token_and_a_key_requests_a_key() {
    let transport = ScriptedTransport::default();
    let project = || "4b8c".parse().unwrap();
    let tokens = [
        agency(token(), &transport),
        agency(token(), &transport).project_id(project()),
        agency(token(), &transport).project_name("eu-de"),
    ];
    for agency in tokens {
        let body = r#"{"token": {"project": {"id": "4b8c"}}}"#;
        transport.reply(201, &[("X-Subject-Token", "MIIF")], body);
        let provided = agency.provide().await.unwrap();
        assert_eq!(provided.project, Some(project()));
        assert_eq!(format!("{:?}", provided.credential), "Token(..)");
    }
    let keys = [
        // A key has no project, so its name is left to the lookup of the project.
        (agency(key("SOURCE"), &transport).project_name("eu-de"), None),
        (
            agency(key("SOURCE"), &transport)
                .project_id(project())
                .duration(Duration::from_secs(900)),
            Some(project()),
        ),
    ];
    for (agency, expected) in keys {
        transport.reply(201, &[], KEY);
        let provided = agency.provide().await.unwrap();
        assert_eq!(provided.project, expected);
        assert_eq!(format!("{:?}", provided.credential), "AccessKey { access_key: \"A\", .. }");
    }
    insta::assert_snapshot!(transport.describe_requests());
}

#[tokio::test]
async fn errors_name_the_agency_and_no_secret() {
    let transport = ScriptedTransport::default();
    let mut shown = String::new();
    let forbidden = r#"{"error_msg": "no permission to assume", "error_code": "IAM.0003"}"#;
    for (source, status) in
        [(token(), 403), (token(), 401), (key("FORBIDDEN"), 403), (key("REFUSED"), 401)]
    {
        transport.reply(status, &[], forbidden);
        let error = agency(source, &transport).provide().await.unwrap_err();
        let causes = std::iter::successors(error.source(), |&cause| cause.source());
        let causes: String = causes.map(|cause| format!(": {cause}")).collect();
        shown += &format!("{:?} {error}{causes}\n", error.class());
    }
    assert!(!shown.contains("canary"), "{shown}");
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn a_key_that_was_refused_signs_no_second_request() {
    let transport = ScriptedTransport::default();
    let body = r#"{"error_code": "APIGW.0301", "error_msg": "verify aksk signature fail"}"#;
    transport.reply(401, &[], body);
    for _ in 0..10 {
        let error = agency(key("WRONG"), &transport).provide().await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unauthorized);
        assert_eq!(FetchError::from(error).kind(), crate::request::FetchErrorKind::Credentials);
    }
    assert_eq!(transport.take_requests().len(), 1);
}

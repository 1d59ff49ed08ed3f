//! Tests which replies contain a temporary key.

use std::{error::Error, time::Duration};

use super::*;
use crate::auth::credential::Credential;

fn read(body: &str, date: Option<&str>) -> Result<ProvidedCredential, FetchError> {
    let reply =
        date.into_iter().fold(Response::builder(), |reply, date| reply.header("Date", date));
    temporary_key(&reply.body(Bytes::copy_from_slice(body.as_bytes())).unwrap())
}

#[test]
fn keys_are_read_in_every_spelling() {
    let bodies = [
        r#"{"credential": {"access": "A", "secret": "S", "securitytoken": "T", "expires_at": "2026-01-01T01:00:00.000000Z"}}"#,
        r#"{"credentials": {"access_key_id": "A", "secret_access_key": "S", "security_token": "T", "expiration": "2026-01-01T01:00:00Z"}}"#,
        r#"{"accessKeyId": "A", "secretAccessKey": "S", "securityToken": "T", "expiration": "2026-01-01T01:00:00Z"}"#,
        r#"{"credential": {"Access_Key_Id": "A", "access": "", "secret": "S", "securityToken": "T", "expiresAt": "2026-01-01T01:00:00Z"}, "assumed_agency": {"access": "B"}}"#,
    ];
    for body in bodies {
        let provided = read(body, Some("Thu, 01 Jan 2026 00:00:00 GMT")).unwrap();
        let Credential::Key(key) = &provided.credential else { panic!("a key: {body}") };
        assert_eq!(key.access_key(), "A", "{body}");
        let token = key.security_token().unwrap().unwrap();
        assert_eq!(token, "T", "{body}");
        assert!(token.is_sensitive());
        assert_eq!(provided.lifetime, Some(Duration::from_secs(3_600)), "{body}");
    }
}

#[test]
fn the_lifetime_counts_from_the_time_of_the_service() {
    let body = |expires: &str| {
        format!(
            r#"{{"access": "A", "secret": "S", "securitytoken": "T", "expires_at": {expires}}}"#
        )
    };
    let date = Some("Thu, 01 Jan 2026 00:00:00 GMT");
    let rows = [
        (r#""2026-01-01T00:01:00Z""#, date, Some(60), true),
        // It has already expired.
        (r#""2025-12-31T00:00:00Z""#, date, Some(0), true),
        (r#""2026-01-01T00:01:00Z""#, None, None, true),
        (r#""tomorrow""#, date, None, false),
        ("5", date, None, false),
    ];
    for (expires, date, lifetime, has_expiry) in rows {
        let provided = read(&body(expires), date).unwrap();
        assert_eq!(provided.lifetime, lifetime.map(Duration::from_secs), "{expires} {date:?}");
        assert_eq!(provided.expires_at.is_some(), has_expiry, "{expires}");
    }
}

#[test]
fn replies_without_a_key_are_errors_without_secrets() {
    let large = format!("{{\"access\": \"{}\"}}", "canary".repeat(50_000));
    let bodies = [
        "",
        "<html>canary</html>",
        "[]",
        r#"{"credential": null}"#,
        r#"{"access": "canary", "secret": "canary"}"#,
        r#"{"access": "canary", "secret": 5, "securitytoken": "canary"}"#,
        r#"{"access": "canary", "secret": "canary", "securitytoken": "can\nary"}"#,
        &large,
    ];
    let mut shown = String::new();
    for body in bodies {
        let error = read(body, None).unwrap_err();
        assert!(error.source().is_none());
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        shown += &format!("{:?} {error}\n", error.class());
    }
    insta::assert_snapshot!(shown);
}

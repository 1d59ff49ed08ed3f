//! Tests the exchanges of an ID token.

use std::error::Error;

use super::*;
use crate::testing::ScriptedTransport;

const KEY: &str = r#"{"credential": {"access": "A", "secret": "S", "securitytoken": "T"}}"#;

fn identity_url(text: &str) -> Endpoint {
    text.parse().unwrap()
}

fn id_token() -> TokenSource {
    TokenSource::text("canary-id").unwrap()
}

fn chain_of(error: &CredentialsProviderError) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let causes: String = causes.map(|cause| format!(": {cause}")).collect();
    format!("{:?} {error}{causes}\n", error.class())
}

#[tokio::test]
async fn an_id_token_becomes_a_token_and_then_a_key() {
    let mut shown = String::new();
    for url in ["https://iam.example", "https://iam.example/v3"] {
        let transport = ScriptedTransport::default();
        let login = OidcLogin::new(identity_url(url), "provider", id_token(), transport.clone());
        transport.reply(201, &[("X-Subject-Token", "unscoped")], "{}");
        transport.reply(201, &[], KEY);
        login.provide().await.unwrap();
        shown += &transport.describe_requests();
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn an_agency_is_assumed_with_all_settings() {
    let transport = ScriptedTransport::default();
    let assume = || {
        OidcAssume::new(
            identity_url("https://sts.example"),
            "provider",
            "agency",
            id_token(),
            transport.clone(),
        )
    };
    let set = assume()
        .session_name("ci")
        .duration(Duration::from_secs(900))
        .policy("{}")
        .policy_ids(["a", "b"]);
    for assume in [assume(), set] {
        transport.reply(200, &[], &KEY.replace("credential", "credentials"));
        assume.provide().await.unwrap();
    }
    insta::assert_snapshot!(transport.describe_requests());
}

#[tokio::test]
async fn errors_name_the_step_and_no_secret() {
    let token = [("X-Subject-Token", "canary-token")];
    type Replies<'r> = &'r [(u16, &'r [(&'r str, &'r str)], &'r str)];
    let refused =
        r#"{"error": {"code": 401, "message": "bad canary-id", "title": "Unauthorized"}}"#;
    let rows: [Replies<'_>; 7] = [
        &[],
        &[(401, &[], refused)],
        &[(200, &[], "<html>login</html>")],
        &[(201, &[], "{}")],
        &[(201, &token, "{}")],
        &[(201, &token, "{}"), (403, &[], "")],
        &[(201, &token, "{}"), (201, &[], "{}")],
    ];
    let mut shown = String::new();
    for replies in rows {
        let transport = ScriptedTransport::default();
        replies.iter().for_each(|(status, headers, body)| transport.reply(*status, headers, body));
        let login = OidcLogin::new(identity_url("https://iam.example"), "p", id_token(), transport);
        shown += &chain_of(&login.provide().await.unwrap_err());
    }
    for (status, body) in [(401, refused), (201, "{}")] {
        let transport = ScriptedTransport::default();
        transport.reply(status, &[], body);
        let url = identity_url("https://sts.example");
        let assume = OidcAssume::new(url, "p", "iam::1:agency:a", id_token(), transport);
        shown += &chain_of(&assume.provide().await.unwrap_err());
    }
    assert!(!shown.contains("canary"), "{shown}");
    insta::assert_snapshot!(shown);
}

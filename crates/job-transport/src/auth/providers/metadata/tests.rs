//! Tests the requests to the metadata service, and how its replies are understood.

use std::error::Error;

use super::*;
use crate::testing::ScriptedTransport;

const KEY: &str = r#"{"credential": {"access": "A", "secret": "S", "securitytoken": "T"}}"#;
const NO_AGENCY: &str = "Please configure Cloud Service Agency first";

/// Returns the result of a call, in which the service sends these replies, and the requests.
async fn provide(
    service: &MetadataService,
    transport: &ScriptedTransport,
    replies: &[(u16, &str)],
) -> String {
    replies.iter().for_each(|(status, body)| transport.reply(*status, &[], body));
    let result = match service.provide().await {
        Ok(provided) => format!("{:?}", provided.credential),
        Err(error) => {
            let causes = std::iter::successors(error.source(), |&cause| cause.source());
            let causes: String = causes.map(|cause| format!(": {cause}")).collect();
            format!("{:?} {error}{causes}", error.class())
        }
    };
    let requests = transport.take_requests();
    let requests: Vec<_> = requests
        .iter()
        .map(|request| {
            let token = request.headers().get("x-metadata-token");
            let token = token.map_or("no token", |token| token.to_str().unwrap());
            format!("{} with {token}", request.method())
        })
        .collect();
    format!("{result}\n    {}\n", requests.join(", "))
}

#[tokio::test]
async fn sessions_are_used_if_the_service_has_them() {
    type Replies<'r> = &'r [(u16, &'r str)];
    let rows: [(&str, &[Replies<'_>]); 9] = [
        ("one session for two keys", &[&[(200, "t1"), (200, KEY)], &[(200, KEY)]]),
        ("a service without sessions", &[&[(404, ""), (200, KEY)], &[(405, ""), (200, KEY)]]),
        ("no session for the moment", &[&[(503, ""), (200, KEY)], &[(200, "t1"), (200, KEY)]]),
        (
            "an expired session is renewed once",
            &[&[(200, "t1"), (200, KEY)], &[(401, ""), (200, "t2"), (200, KEY)]],
        ),
        ("a new session is refused as well", &[&[(200, "t1"), (401, ""), (200, "t2"), (401, "")]]),
        ("no session although it is required", &[&[(404, ""), (401, ""), (404, "")]]),
        ("no agency", &[&[(200, "t1"), (401, NO_AGENCY)]]),
        ("a broken session", &[&[(200, "two words")], &[(500, "")], &[(302, "")]]),
        ("no key", &[&[(200, "t1"), (200, "{}")], &[(404, "")], &[(200, KEY), (200, KEY)]]),
    ];
    let mut shown = String::new();
    for (name, calls) in rows {
        let transport = ScriptedTransport::default();
        let service = MetadataService::new(transport.clone());
        shown += &format!("{name}\n");
        for replies in calls {
            shown += &format!("  {}", provide(&service, &transport, replies).await);
        }
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn requests_use_plain_http_to_the_link_local_address() {
    let transport = ScriptedTransport::default();
    transport.reply(200, &[], "session");
    transport.reply(200, &[], KEY);
    MetadataService::new(transport.clone()).provide().await.unwrap();
    insta::assert_snapshot!(transport.describe_requests());
}

#[test]
fn plain_http_is_limited_to_this_machine_and_link_local_addresses() {
    let rows = [
        ("http://169.254.169.254", true),
        ("http://169.254.170.23:80/v1/credentials", true),
        ("http://127.0.0.1:1234", true),
        ("http://localhost/x", true),
        ("http://[::1]:1", true),
        ("https://metadata.example", true),
        ("http://metadata.example", false),
        ("http://169.253.169.254", false),
        ("http://169.254.169.254.example", false),
        ("http://169.254.1", false),
        ("http://[fe80::1]", false),
        ("http://user@169.254.169.254", false),
        ("ftp://169.254.169.254", false),
        ("169.254.169.254", false),
    ];
    for (url, is_allowed) in rows {
        let service = MetadataService::with_url(url, ScriptedTransport::default());
        assert_eq!(service.is_ok(), is_allowed, "{url}");
    }
}

//! Tests the request to the pod identity service.

use std::{env, error::Error, fs};

use super::*;
use crate::testing::ScriptedTransport;

const KEY: &str = r#"{"accessKeyId": "A", "secretAccessKey": "S", "securityToken": "T"}"#;

#[tokio::test]
async fn the_token_file_is_read_for_each_request() {
    let file = env::temp_dir().join(format!("job-transport-{}-pod", std::process::id()));
    let transport = ScriptedTransport::default();
    let pod = PodIdentity::new("http://169.254.170.23/v1/credentials", transport.clone()).unwrap();
    let pod = pod.token_file(&file);
    for token in ["first\n", "second"] {
        fs::write(&file, token).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;

            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        transport.reply(200, &[], KEY);
        let provided = pod.provide().await.unwrap();
        assert_eq!(format!("{:?}", provided.credential), "AccessKey { access_key: \"A\", .. }");
    }
    fs::remove_file(&file).unwrap();
    insta::assert_snapshot!(transport.describe_requests());
    assert!(!format!("{pod:?}").contains("second"));
    let error = pod.provide().await.unwrap_err();
    assert!(error.to_string().starts_with("cannot read "), "{error}");
    assert_eq!(transport.take_requests().len(), 0);
}

#[tokio::test]
async fn errors_name_the_service() {
    let transport = ScriptedTransport::default();
    let pod = PodIdentity::new("https://pods.example/key?x", transport.clone());
    assert_eq!(pod.unwrap_err(), EndpointError::QueryOrFragment);
    let pod = PodIdentity::new("https://pods.example/key", transport.clone()).unwrap();
    let mut shown = String::new();
    for (status, body) in [(401, ""), (302, ""), (404, ""), (503, "busy"), (200, "<html>"), (0, "")]
    {
        if status > 0 {
            transport.reply(status, &[], body);
        }
        let error = pod.provide().await.unwrap_err();
        shown += &format!("{:?} {error}: {}\n", error.class(), error.source().unwrap());
    }
    insta::assert_snapshot!(shown);
}

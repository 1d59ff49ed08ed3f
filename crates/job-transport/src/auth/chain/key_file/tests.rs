//! Tests when a file with credentials is read again, and which changes end the use of the old key.

use std::{env, fs, path::PathBuf, sync::Arc};

use secrecy::ExposeSecret;

use super::*;
use crate::{
    auth::{
        credential::{Credential, IssuedCredential},
        credentials_cache::{CredentialsCache, RefreshError},
        provider::RenewalReason,
    },
    testing::{ManualClock, ScriptedTransport},
    transport::display_chain,
};

/// A file with credentials in a folder of its own, removed on drop.
struct SecretFile(PathBuf);

impl SecretFile {
    fn new(name: &str, text: &str) -> Self {
        let folder = env::temp_dir().join(format!("job-transport-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = Self(folder.join("file"));
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        fs::write(&self.0, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&self.0, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    fn chain(&self, variables: &[(&str, &str)]) -> CredentialChain {
        let variables = variables.iter().map(|(name, value)| match *value {
            "FILE" => (*name, self.0.to_str().unwrap()),
            value => (*name, value),
        });
        CredentialChain::new(variables)
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

const VENDOR: &[(&str, &str)] = &[("HUAWEICLOUD_SDK_CREDENTIALS_FILE", "FILE")];
const CLOUD: &[(&str, &str)] = &[("OS_CLIENT_CONFIG_FILE", "FILE"), ("OS_CLOUD", "otc")];

fn ini(key: &str, more: &str) -> String {
    format!("[basic]\nak = {key}\nsk = canary\n{more}")
}

fn yaml(auth: &str) -> String {
    format!("clouds:\n  otc:\n    region_name: eu-de\n    auth:\n      {auth}\n")
}

fn provider(chain: &CredentialChain, found: &ResolvedCredentials) -> KeyFile {
    KeyFile::new(chain.clone(), found, Arc::new(ScriptedTransport::default()))
}

fn cache(chain: &CredentialChain) -> CredentialsCache {
    let found = chain.resolve().unwrap().unwrap();
    CredentialsCache::new(Box::new(provider(chain, &found)))
}

/// Returns the access key or the token, or the error without the path of the file.
fn shown(got: Result<Arc<IssuedCredential>, RefreshError>, file: &SecretFile) -> String {
    match got {
        Ok(issued) => match &issued.credential {
            Credential::Key(key) => key.access_key().into(),
            Credential::Token(token) => token.expose_secret().into(),
        },
        Err(error) => {
            let text = display_chain(&error).to_string();
            let class = crate::FetchError::from(error).class();
            format!("{class:?} {}", text.replace(file.0.to_str().unwrap(), "FILE"))
        }
    }
}

#[tokio::test]
async fn a_changed_file_is_noticed_within_five_seconds() {
    let rows = [
        ("vendor", VENDOR, ini("FIRST", ""), ini("SECOND", ""), ["FIRST", "SECOND"]),
        (
            "cloud-key",
            CLOUD,
            yaml("{ak: FIRST, sk: canary}"),
            yaml("{ak: SECOND, sk: canary}"),
            ["FIRST", "SECOND"],
        ),
        (
            "cloud-token",
            CLOUD,
            yaml("{token: first}"),
            yaml("{token: second}"),
            ["first", "second"],
        ),
    ];
    for (name, variables, before, after, [first, second]) in rows {
        let file = SecretFile::new(name, &before);
        let (cache, clock) = (cache(&file.chain(variables)), ManualClock::new());
        assert_eq!(shown(cache.get(&clock).await, &file), first, "{name}");
        file.write(&after);
        clock.advance(4);
        assert_eq!(shown(cache.get(&clock).await, &file), first, "{name}");
        clock.advance(1);
        assert_eq!(shown(cache.get(&clock).await, &file), second, "{name}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_leaves_the_old_key() {
    let file = SecretFile::new("broken", &ini("FIRST", "project_id = p\n"));
    let (cache, clock) = (cache(&file.chain(VENDOR)), ManualClock::new());
    assert_eq!(shown(cache.get(&clock).await, &file), "FIRST");
    for broken in ["", "[basic]\nak = SECOND\n", "[global]\nak = SECOND\nsk = canary\n", "canary"] {
        file.write(broken);
        clock.advance(60);
        assert_eq!(shown(cache.get(&clock).await, &file), "FIRST", "{broken}");
    }
    fs::remove_file(&file.0).unwrap();
    clock.advance(60);
    assert_eq!(shown(cache.get(&clock).await, &file), "FIRST");
    file.write(&ini("SECOND", "project_id = p\n"));
    clock.advance(60);
    assert_eq!(shown(cache.get(&clock).await, &file), "SECOND");
}

#[tokio::test]
async fn another_project_or_endpoint_in_the_file_ends_the_use_of_the_key() {
    let cloud = |settings: &str| yaml(&format!("{{ak: AK, sk: canary, {settings}}}"));
    let rows = [
        ("project", VENDOR, ini("AK", "project_id = p"), ini("AK", "project_id = q")),
        ("project-and-key", VENDOR, ini("AK", "project_id = p"), ini("NEW", "project_id = q")),
        ("project-removed", VENDOR, ini("AK", "project_id = p"), ini("AK", "")),
        ("project-added", VENDOR, ini("AK", ""), ini("AK", "project_id = q")),
        (
            "identity",
            CLOUD,
            cloud("auth_url: \"https://iam.eu-de.otc.t-systems.com/v3\""),
            cloud("auth_url: \"https://iam.example/v3\""),
        ),
        (
            "region",
            CLOUD,
            cloud("project_id: p"),
            cloud("project_id: p").replace("region_name: eu-de", "region_name: eu-nl"),
        ),
        (
            "identity-added",
            CLOUD,
            cloud("project_id: p"),
            cloud("project_id: p, auth_url: \"https://iam.eu-de.other.example/v3\""),
        ),
        (
            "identity-added-in-sections",
            VENDOR,
            ini("AK", "project_id = p"),
            ini("NEW", "project_id = p\niam_endpoint = https://iam.eu-de.other.example"),
        ),
        (
            "identity-without-a-host-for-the-service",
            VENDOR,
            ini("AK", "iam_endpoint = https://iam.cn-north-4.myhuaweicloud.com"),
            ini("AK", "iam_endpoint = https://keystone.example.com"),
        ),
        (
            "agency-added",
            CLOUD,
            cloud("project_id: p"),
            cloud("project_id: p, agency_name: ops, agency_domain_name: other"),
        ),
        (
            "project-name-added",
            CLOUD,
            cloud("security_token: canary"),
            cloud("security_token: canary, project_name: eu-de_x"),
        ),
        (
            "another-login",
            CLOUD,
            cloud("project_id: p"),
            yaml("{username: u, password: canary, user_domain_name: d, project_id: p}"),
        ),
    ];
    let mut table = String::new();
    for (name, variables, before, after) in rows {
        let file = SecretFile::new(name, &before);
        let (cache, clock) = (cache(&file.chain(variables)), ManualClock::new());
        assert_eq!(shown(cache.get(&clock).await, &file), "AK");
        file.write(&after);
        clock.advance(5);
        table += &format!("{name}: {}\n", shown(cache.get(&clock).await, &file));
        // The error stays, without another read at each request, until the file is right again.
        let error = shown(cache.get(&clock).await, &file);
        clock.advance(5);
        assert_eq!(shown(cache.get(&clock).await, &file), error);
        file.write(&before);
        clock.advance(5);
        assert_eq!(shown(cache.get(&clock).await, &file), "AK", "{name}");
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn an_overridden_project_may_change_in_the_file() {
    let file = SecretFile::new("overridden", &ini("AK", "project_id = p"));
    let chain = file.chain(VENDOR);
    let found = chain.resolve().unwrap().unwrap().with_project("mine".parse().unwrap());
    let cache = CredentialsCache::new(Box::new(provider(&chain, &found)));
    let clock = ManualClock::new();
    file.write(&ini("NEW", "project_id = q"));
    assert_eq!(shown(cache.get(&clock).await, &file), "NEW");
}

#[tokio::test]
async fn an_expired_key_is_not_used_again_and_a_replaced_one_is_new() {
    let file = SecretFile::new("dead", &ini("FIRST", "security_token = canary"));
    let (cache, clock) = (cache(&file.chain(VENDOR)), ManualClock::new());
    let first = cache.get(&clock).await.unwrap();
    // The reread key is the same one, so it keeps its generation.
    clock.advance(5);
    assert_eq!(cache.get(&clock).await.unwrap().generation, first.generation);
    let same =
        cache.refresh(first.generation, RenewalReason::Expired, &clock).await.unwrap().unwrap();
    assert!(same.has_same_key(&first));
    for _ in 0..3 {
        let error = shown(cache.get(&clock).await, &file);
        assert!(error.starts_with("Unauthorized "), "{error}");
        clock.advance(6);
    }
    file.write(&ini("SECOND", "security_token = canary"));
    let second = cache.get(&clock).await.unwrap();
    assert_eq!(shown(Ok(second.clone()), &file), "SECOND");
    assert!(second.generation > first.generation);
    // A refusal without a stated cause does not end the use of a key.
    clock.advance(6);
    cache.refresh(second.generation, RenewalReason::Refused, &clock).await.unwrap();
    assert_eq!(shown(cache.get(&clock).await, &file), "SECOND");
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_file_that_is_a_pipe_blocks_nothing() {
    let file = SecretFile::new("pipe", &ini("FIRST", ""));
    let chain = file.chain(VENDOR);
    let (cache, clock) = (cache(&chain), ManualClock::new());
    assert_eq!(shown(cache.get(&clock).await, &file), "FIRST");
    fs::remove_file(&file.0).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&file.0).status().unwrap().success());
    let error = display_chain(&chain.resolve().unwrap_err()).to_string();
    assert!(error.contains("it is a pipe or a device, not a regular file; copy"), "{error}");
    clock.advance(60);
    assert_eq!(shown(cache.get(&clock).await, &file), "FIRST");
    fs::remove_file(&file.0).unwrap();
    file.write(&ini("SECOND", ""));
    clock.advance(60);
    assert_eq!(shown(cache.get(&clock).await, &file), "SECOND");
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn one_thread_at_a_time_reads_a_key_file() {
    let file = SecretFile::new("slow", &ini("AK", ""));
    let chain = file.chain(VENDOR);
    let provider = provider(&chain, &chain.resolve().unwrap().unwrap());
    let (release, released) = std::sync::mpsc::channel::<()>();
    let slot = provider.slot.clone();
    let mut hanging = Box::pin(slot.run(move || released.recv().is_err()));
    assert!(futures_util::poll!(&mut hanging).is_pending());
    let error = provider.provide().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
    assert!(error.to_string().starts_with("still waiting for the disk of "), "{error}");
    // A read whose future was dropped still ends.
    drop(hanging);
    drop(release);
    while let Err(error) = provider.provide().await {
        assert_eq!(error.class(), ErrorClass::Transient);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_password_is_read_for_each_login() {
    let cloud = |password: &str| {
        yaml(&format!(
            "{{auth_url: \"https://iam.example/v3\", username: u, password: {password}, \
             user_domain_name: d, project_name: eu-de}}"
        ))
    };
    let file = SecretFile::new("password", &cloud("canary-1"));
    let chain = file.chain(CLOUD);
    let found = chain.resolve().unwrap().unwrap().with_project("mine".parse().unwrap());
    let transport = ScriptedTransport::default();
    let provider = KeyFile::new(chain, &found, Arc::new(transport.clone()));
    let (cache, clock) = (CredentialsCache::new(Box::new(provider)), ManualClock::new());
    for (password, token) in [("canary-1", "first"), ("canary-2", "second")] {
        file.write(&cloud(password));
        let expires = r#"{"token": {"expires_at": "1970-01-01T01:00:00Z"}}"#;
        let date = ("Date", "Thu, 01 Jan 1970 00:00:00 GMT");
        transport.reply(201, &[("X-Subject-Token", token), date], expires);
        assert_eq!(shown(cache.get(&clock).await, &file), token);
        let requests = transport.take_requests();
        let body = String::from_utf8_lossy(requests[0].body()).into_owned();
        // The project is the one that replaced the file's.
        assert!(body.contains(password) && body.contains("mine"), "{body}");
        clock.advance(3_700);
    }
}

#[tokio::test]
async fn a_passcode_in_a_file_is_sent_once() {
    let cloud = |password: &str, passcode: &str| {
        yaml(&format!(
            "{{auth_url: \"https://iam.example/v3\", user_id: u, password: {password}, \
             passcode: '{passcode}', project_id: p}}"
        ))
    };
    let file = SecretFile::new("passcode", &cloud("canary-1", "123456"));
    let chain = file.chain(CLOUD);
    let found = chain.resolve().unwrap().unwrap();
    let transport = ScriptedTransport::default();
    let provider = KeyFile::new(chain, &found, Arc::new(transport.clone()));
    // (password, passcode, status of the reply if a request is expected, expected class)
    let rows = [
        ("canary-1", "123456", Some(503), Some(ErrorClass::Transient)),
        ("canary-1", "123456", Some(201), None),
        ("canary-1", "123456", None, Some(ErrorClass::Unauthorized)),
        // Another password does not make the passcode usable again.
        ("canary-2", "123456", None, Some(ErrorClass::Unauthorized)),
        ("canary-2", "654321", Some(201), None),
        ("canary-2", "654321", None, Some(ErrorClass::Unauthorized)),
    ];
    for (password, passcode, status, expected) in rows {
        file.write(&cloud(password, passcode));
        if let Some(status) = status {
            transport.reply(status, &[("X-Subject-Token", "MIIF")], r#"{"token": {}}"#);
        }
        let class = provider.provide().await.err().map(|error| error.class());
        let sent = transport.take_requests().len();
        assert_eq!((class, sent), (expected, status.iter().count()), "{password} {passcode}");
    }
}

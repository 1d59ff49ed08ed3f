//! Tests which credentials are found in environments and files.

#[cfg(unix)]
mod permissions;

use std::fs;

use job_model::ProjectId;
use secrecy::ExposeSecret;

use super::*;

mod environments;

/// A temporary folder, removed on drop.
struct TempFolder(PathBuf);

impl TempFolder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("job-transport-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a file that only its owner can read, and returns its path.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.set_mode(name, 0o600);
        path.to_str().unwrap().into()
    }

    #[cfg(unix)]
    fn set_mode(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    #[cfg(not(unix))]
    fn set_mode(&self, _: &str, _: u32) {}

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns the credentials, including the secrets of the test, or the error.
fn describe_variables(variables: &[(&str, &str)]) -> String {
    describe(&CredentialChain::new(variables.iter().copied()))
}

fn describe(chain: &CredentialChain) -> String {
    let found = match chain.resolve() {
        Ok(Some(found)) => found,
        Ok(None) => return "nothing".into(),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            return format!("error: {error}{}", cause.unwrap_or_default());
        }
    };
    let auth_config = match &found.auth_config {
        AuthConfig::Token(token) => format!("token {}", token.expose_secret()),
        AuthConfig::TokenFile(file) => format!("token in {}", file.display()),
        AuthConfig::Key(key) => format!("{key:?} {:?}", key.security_token().unwrap()),
        AuthConfig::Password(login) => format!("password, {}", login.describe()),
        _ => format!("{:?}", found.auth_method()),
    };
    let ResolvedCredentials { project, region, ca_file, .. } = &found;
    let project = project.as_ref().map(ProjectId::as_str);
    let auth_url = found.hosts().ok().and_then(ServiceHosts::identity);
    let auth_url = auth_url.map(|url| url.value.to_string());
    let setting = |Setting { name, value, source }: Setting<'_>| {
        let value = value.map_or_else(|| "(set)".into(), |value| format!("{value:?}"));
        format!("\n    {name} {value} from {source}")
    };
    let origins: String = found.settings().map(setting).collect();
    assert!(!format!("{found:?}").contains("canary"));
    format!("{auth_config}\n    {project:?} {region:?} {auth_url:?} {ca_file:?}{origins}")
}

fn check(name: &str, rows: &[&[(&str, &str)]]) {
    let line = |row: &&[(&str, &str)]| {
        let names: Vec<String> =
            row.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}\n  {}\n", names.join(" "), describe_variables(row))
    };
    insta::assert_snapshot!(name, rows.iter().map(line).collect::<String>());
}

#[test]
fn environments() {
    let login = [
        ("OS_USERNAME", "user"),
        ("OS_PASSWORD", "canary %"),
        ("OS_USER_DOMAIN_NAME", "OTC1"),
        ("OS_AUTH_URL", "https://iam.eu-de.otc.t-systems.com/v3"),
    ];
    let with = |more: &[(&'static str, &'static str)]| [&login[..], more].concat();
    check(
        "environments",
        &[
            &[],
            &[("OS_TOKEN", "")],
            &[("OS_TOKEN", "MIIF"), ("OS_REGION_NAME", "eu-de"), ("OS_CACERT", "/ca.pem")],
            &[("OS_TOKEN", "two words")],
            &[("OS_TOKEN", "MIIF"), ("OS_PROJECT_ID", "a/b")],
            &[
                ("HUAWEICLOUD_SDK_AK", "AK"),
                ("HUAWEICLOUD_SDK_SK", "canary"),
                ("HUAWEICLOUD_SDK_PROJECT_ID", "p"),
            ],
            &[
                ("HUAWEICLOUD_SDK_AK", "AK"),
                ("HUAWEICLOUD_SDK_SK", "canary"),
                ("HUAWEICLOUD_SDK_SECURITY_TOKEN", "canary"),
            ],
            &[("HUAWEICLOUD_SDK_AK", "AK"), ("HW_ACCESS_KEY", "AK"), ("HW_SECRET_KEY", "canary")],
            &[("HW_SECRET_KEY", "canary")],
            &[("HW_ACCESS_KEY", "A K"), ("HW_SECRET_KEY", "canary")],
            &[("HW_ACCESS_KEY", "AK"), ("HW_SECRET_KEY", "ca nary")],
            &[
                ("HUAWEICLOUD_SDK_PROJECT_ID", "p"),
                ("HW_ACCESS_KEY", "AK"),
                ("HW_SECRET_KEY", "canary"),
                ("HW_AUTH_URL", "https://iam.example/v3"),
                ("OS_TOKEN", "MIIF"),
            ],
            &[("HW_ACCESS_KEY", "AK"), ("HW_SECRET_KEY", "canary"), ("HW_AUTH_URL", "iam.example")],
            &[("OS_ACCESS_KEY", "AK"), ("OS_SECRET_KEY", "canary"), ("OS_TOKEN", "MIIF")],
            &[("OS_ACCESS_KEY", "AK"), ("OS_SECRET_KEY", "canary"), ("OS_PASSWORD", "canary")],
            &login,
            &with(&[("OS_PROJECT_NAME", "eu-de")]),
            &with(&[("OS_PROJECT_NAME", "eu-de"), ("OS_PROJECT_ID", "4b8c")]),
            &login[..1],
            &login[1..],
            &login[..3],
            &with(&[("OS_AUTH_URL", "http://iam.example/v3")]),
        ],
    );
}

const ALL_VARIABLES: [(&str, &str); 10] = [
    ("HW_ACCESS_KEY", "AK"),
    ("HW_SECRET_KEY", "canary"),
    ("HW_PROJECT_ID", "p"),
    ("OS_TOKEN", "MIIF"),
    ("OS_USERNAME", "user"),
    ("OS_PASSWORD", "canary"),
    ("OS_USER_DOMAIN_NAME", "D"),
    ("OS_AUTH_URL", "https://iam.example"),
    ("OS_PROJECT_NAME", "eu-de"),
    ("OS_CACERT", "/ca.pem"),
];

#[test]
fn only_the_selected_auth_method_is_used() {
    let all = CredentialChain::new(ALL_VARIABLES);
    let mut shown = format!("any\n  {}\n", describe(&all));
    for auth in [AuthMethod::Token, AuthMethod::AccessKey, AuthMethod::Password] {
        shown += &format!("{auth:?}\n  {}\n", describe(&all.clone().auth_method(auth)));
        let found = all.clone().auth_method(auth).resolve().unwrap().unwrap();
        assert!(found.auth_method() == auth);
    }
    let none = CredentialChain::new(ALL_VARIABLES[..3].iter().copied());
    shown += &format!(
        "Password, which is not set\n  {}\n",
        describe(&none.auth_method(AuthMethod::Password))
    );
    for (variables, what) in
        [(&ALL_VARIABLES[..], "all"), (&ALL_VARIABLES[3..], "OpenStack's"), (&[], "nothing")]
    {
        let file = CredentialChain::new(variables.iter().copied()).token_file("/run/token");
        shown += &format!("a token file, and {what}\n  {}\n", describe(&file));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn the_caller_digest_identifies_the_caller() {
    let digest = |variables: &[(&str, &str)]| {
        let chain = CredentialChain::new(variables.iter().copied())
            .region(Sourced::new("eu-de".into(), "-"));
        chain.resolve().unwrap().unwrap().caller_digest()
    };
    let key = |access_key, secret_key, token| {
        digest(&[
            ("HUAWEICLOUD_SDK_AK", access_key),
            ("HUAWEICLOUD_SDK_SK", secret_key),
            ("HUAWEICLOUD_SDK_SECURITY_TOKEN", token),
        ])
    };
    let login = |user, password| {
        digest(&[
            ("OS_USERNAME", user),
            ("OS_PASSWORD", password),
            ("OS_USER_DOMAIN_NAME", "OTC1"),
            ("OS_AUTH_URL", "https://iam.eu-de.otc.t-systems.com/v3"),
        ])
    };
    let token = |token| digest(&[("OS_TOKEN", token)]);
    let callers = [
        [key("A", "s1", "t1"), key("A", "s2", "t2")],
        [key("B", "s1", "t1"), key("B", "s1", "t1")],
        [login("A", "p1"), login("A", "p2")],
        [login("B", "p1"), login("B", "p2")],
        [token("A"), token("A")],
        [token("B"), token("B")],
    ];
    assert!(callers.iter().all(|[one, other]| one == other), "secrets do not matter");
    let distinct: std::collections::BTreeSet<_> = callers.iter().map(|[one, _]| one).collect();
    assert_eq!(distinct.len(), callers.len());
}

#[test]
fn an_explicit_project_overrides_the_login_project() {
    let login =
        CredentialChain::new(ALL_VARIABLES[4..].iter().copied()).resolve().unwrap().unwrap();
    assert!(login.has_project());
    let login = login.with_project("4b8c".parse().unwrap());
    let AuthConfig::Password(asked) = &login.auth_config else { panic!("a login") };
    assert!(asked.describe().contains(r#""project":{"id":"4b8c"}"#), "{}", asked.describe());
    assert_eq!(login.project.as_ref().map(ProjectId::as_str), Some("4b8c"));
    assert!(login.settings().all(|setting| setting.name != "project name"));
}

const CLOUDS_YAML: &str = "\
clouds:
  # one for each region
  otc:
    profile: otc
    region_name: eu-de
    cacert: /ca.pem
    verify: true
    auth:
      auth_url: https://iam.eu-de.otc.t-systems.com/v3
      username: user
      user_domain_name: 'OTC1'
      project_name: eu-de
      password: 12345
  half:
    auth: {username: user, auth_url: https://iam.example}
  keys: {auth: {ak: AK, sk: canary}}
  empty: {}
";

/// Replaces the path of the folder, which differs between runs.
fn describe_in_folder(folder: &TempFolder, variables: &[(&str, &str)]) -> String {
    describe_variables(variables).replace(folder.path(), "~")
}

#[test]
fn clouds_yaml_entries_resolve_to_credentials() {
    let folder = TempFolder::new("clouds");
    let file = folder.file("clouds.yaml", CLOUDS_YAML);
    let mut shown = String::new();
    for cloud in ["otc", "half", "keys", "empty", "none"] {
        let found =
            describe_in_folder(&folder, &[("OS_CLOUD", cloud), ("OS_CLIENT_CONFIG_FILE", &file)]);
        shown += &format!("{cloud}\n  {found}\n");
    }
    folder.file("secure.yaml", "clouds: {half: {auth: {password: canary, user_domain_name: D}}}");
    let half = [("OS_CLOUD", "half"), ("OS_CLIENT_CONFIG_FILE", &file)];
    shown += &format!("half, and a secure.yaml\n  {}\n", describe_in_folder(&folder, &half));
    insta::assert_snapshot!(shown);
}

#[test]
fn clouds_yaml_is_found_in_the_home_directory() {
    let folder = TempFolder::new("home");
    folder.file(".config/openstack/clouds.yaml", CLOUDS_YAML);
    let found = describe_in_folder(&folder, &[("OS_CLOUD", "keys"), ("HOME", folder.path())]);
    assert!(
        found.contains("secret key (set) from ~/.config/openstack/clouds.yaml clouds.keys.auth.sk"),
        "{found}"
    );
}

#[test]
fn unreadable_credential_files_are_errors_without_secrets() {
    let folder = TempFolder::new("broken");
    let mut shown = String::new();
    let texts = [
        "clouds:\n  otc:\n    auth: {password: canary\n",
        "clouds: [canary]",
        "clouds:\n  otc:\n    auth: {password: [canary]}\n",
        "",
        "\0",
    ];
    for text in texts {
        let file = folder.file("clouds.yaml", text);
        let found =
            describe_in_folder(&folder, &[("OS_CLOUD", "otc"), ("OS_CLIENT_CONFIG_FILE", &file)]);
        shown += &format!("{text:?}\n  {found}\n");
    }
    for text in
        ["[basic]\nak = AK\nsk canary =\n", "[basic\nsk = canary", "[basic]\nak = AK\ncanary\n"]
    {
        let file = folder.file("credentials", text);
        let found = describe_in_folder(&folder, &[("HUAWEICLOUD_SDK_CREDENTIALS_FILE", &file)]);
        shown += &format!("{text:?}\n  {found}\n");
    }
    let folder_itself =
        describe_in_folder(&folder, &[("HUAWEICLOUD_SDK_CREDENTIALS_FILE", folder.path())]);
    shown += &format!("a folder\n  {folder_itself}\n");
    let file = folder.file("clouds.yaml", CLOUDS_YAML);
    let cloud = CredentialChain::new([("OS_CLOUD", "otc"), ("OS_CLIENT_CONFIG_FILE", &file)]);
    let token = describe(&cloud.auth_method(AuthMethod::Token)).replace(folder.path(), "~");
    shown += &format!("no token\n  {token}\n");
    let none = folder.0.join("none");
    let none = describe_in_folder(
        &folder,
        &[("HUAWEICLOUD_SDK_CREDENTIALS_FILE", none.to_str().unwrap())],
    );
    shown += &format!("no such file\n  {none}\n");
    for line in shown.lines().filter(|line| line.starts_with("  ")) {
        assert!(!line.contains("canary"), "{line}");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn vendor_credentials_file_resolves_to_an_access_key() {
    let folder = TempFolder::new("vendor");
    let mut shown = String::new();
    let texts = [
        "[basic]\nak = AK\nsk = canary;#=x\nproject_id = p\n\n[global]\nak = OTHER\nsk = canary\n",
        "# the account's\n[global]\nak: AK\nsk: canary\nsecurity_token: canary\n",
        "[basic]\nak = AK\n",
        "[basic]\nak =\n[global]\n",
        "[basic]\nproject_id = p\n[global]\nak = AK\nsk = canary\n",
        "[basic]\nsk = canary\n[global]\nak = AK\nsk = canary\n",
        "[other]\nak = AK\n",
        "",
    ];
    for text in texts {
        folder.file(".huaweicloud/credentials", text);
        let found = describe_in_folder(&folder, &[("HOME", folder.path())]);
        shown += &format!("{text:?}\n  {found}\n");
    }
    folder.file(".huaweicloud/credentials", texts[0]);
    // The environment is preferred to the file.
    let found = describe_in_folder(&folder, &[("HOME", folder.path()), ("OS_TOKEN", "MIIF")]);
    assert!(found.starts_with("token MIIF"), "{found}");
    insta::assert_snapshot!(shown);
}

/// Accepts one access key. To others it answers that the temporary key has expired.
#[derive(Clone, Default)]
struct OneKey(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl crate::transport::Transport for OneKey {
    fn send(
        &self,
        request: http::Request<bytes::Bytes>,
    ) -> futures_core::future::BoxFuture<
        '_,
        Result<http::Response<bytes::Bytes>, crate::transport::TransportError>,
    > {
        let authorization = request.headers()["authorization"].to_str().unwrap().to_owned();
        let reply = if authorization.contains("Access=NEXT,") {
            http::Response::new(r#"{"status": {"phase": "Running"}}"#.into())
        } else {
            let body = r#"{"error_code": "APIGW.0301", "error_msg": "securityToken expires"}"#;
            http::Response::builder().status(401).body(body.into()).unwrap()
        };
        self.0.lock().unwrap().push(authorization);
        Box::pin(async { Ok(reply) })
    }
}

#[tokio::test]
async fn an_expired_key_is_read_again_from_its_file() {
    let folder = TempFolder::new("expired");
    let write = |key: &str| {
        let text = format!("[basic]\nak = {key}\nsk = canary\nsecurity_token = {key}-token\n");
        folder.file("credentials", &text)
    };
    let file = write("FIRST");
    let chain = CredentialChain::new([("HUAWEICLOUD_SDK_CREDENTIALS_FILE", &file)]);
    let transport = OneKey::default();
    let credentials = chain.resolve().unwrap().unwrap().credentials(transport.clone()).unwrap();
    let clock = crate::testing::ManualClock::new();
    let endpoint = "https://cce.example".parse().unwrap();
    let client = crate::Client::with_clock(endpoint, credentials, transport.clone(), clock.clone());
    let client = client.project("p".parse().unwrap());
    let job = "job-1".parse().unwrap();
    // While the file contains the same key, it is not sent again in the same attempt.
    let error = client.job(&job).await.unwrap_err();
    assert_eq!(error.refusal_cause(), Some(crate::request::RefusalCause::TemporaryKeyExpired));
    assert_eq!(
        (error.status().map(|status| status.as_u16()), error.blocked_until()),
        (Some(401), None)
    );
    assert_eq!(transport.0.lock().unwrap().len(), 1);
    // Nor in the next attempt, also if the file is read again.
    for seconds in [0, 6] {
        clock.advance(seconds);
        let error = client.job(&job).await.unwrap_err();
        assert_eq!(error.kind(), crate::FetchErrorKind::Credentials);
        assert_eq!(error.class(), crate::ErrorClass::Unauthorized);
    }
    assert_eq!(transport.0.lock().unwrap().len(), 1);
    write("NEXT");
    clock.advance(6);
    for _ in 0..2 {
        assert!(!client.job(&job).await.unwrap().credentials_refreshed);
    }
    assert_eq!(transport.0.lock().unwrap().len(), 3);
}

/// Counts the locked records.
#[cfg(feature = "tokio")]
#[derive(Clone, Default)]
struct CountedRecords(std::sync::Arc<std::sync::atomic::AtomicU32>, crate::auth::MemoryKeyRecords);

#[cfg(feature = "tokio")]
impl crate::auth::KeyRecords for CountedRecords {
    fn lock(
        &self,
        key: crate::auth::KeyId,
    ) -> futures_core::future::BoxFuture<
        '_,
        Result<Box<dyn crate::auth::LockedKeyRecord>, crate::auth::KeyRecordError>,
    > {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.1.lock(key)
    }
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_key_that_assumes_an_agency_uses_the_key_records() {
    let chain = CredentialChain::new([
        ("HW_ACCESS_KEY", "ASSUMES-WITH-RECORDS"),
        ("HW_SECRET_KEY", "canary"),
        ("HW_REGION_NAME", "cn-north-4"),
        ("HW_ASSUME_ROLE_AGENCY_NAME", "ops"),
        ("HW_ASSUME_ROLE_DOMAIN_NAME", "other"),
    ]);
    let (transport, records) = (OneKey::default(), CountedRecords::default());
    let found = chain.resolve().unwrap().unwrap();
    let credentials = found.credentials_with_key_records(transport.clone(), records.clone());
    let clock = crate::testing::ManualClock::new();
    assert!(credentials.unwrap().get(&clock).await.is_err());
    let signed = transport.0.lock().unwrap().len();
    assert_eq!((signed, records.0.load(std::sync::atomic::Ordering::Relaxed)), (1, 1));
}

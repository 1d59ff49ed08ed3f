//! Environments and files, and what is found in them.

use std::fs;

use job_model::ProjectId;
use secrecy::ExposeSecret;

use super::*;

/// A folder of a test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("job-transport-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a file, readable by its owner alone, and returns its path.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.mode(name, 0o600);
        path.to_str().unwrap().into()
    }

    #[cfg(unix)]
    fn mode(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    #[cfg(not(unix))]
    fn mode(&self, _: &str, _: u32) {}

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Shows what is found, secrets included, for they are a test's; or why nothing is.
fn find(variables: &[(&str, &str)]) -> String {
    told(&Conventions::new(variables.iter().copied()))
}

fn told(conventions: &Conventions) -> String {
    let found = match conventions.find() {
        Ok(Some(found)) => found,
        Ok(None) => return "nothing".into(),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            return format!("error: {error}{}", cause.unwrap_or_default());
        }
    };
    let proof = match &found.proof {
        Proof::Token(token) => format!("token {}", token.expose_secret()),
        Proof::TokenFile(file) => format!("token in {}", file.display()),
        Proof::Key(key) => format!("{key:?} {:?}", key.security_token().unwrap()),
        Proof::Password(login, auth_url) => format!("password at {auth_url}, {}", login.told()),
    };
    let Found { project, region, auth_url, ca_file, .. } = &found;
    let project = project.as_ref().map(ProjectId::as_str);
    let auth_url = auth_url.as_ref().map(ToString::to_string);
    let setting = |Setting { what, value, origin }: Setting<'_>| {
        let value = value.map_or_else(|| "(set)".into(), |value| format!("{value:?}"));
        format!("\n    {what} {value} from {origin}")
    };
    let origins: String = found.settings().map(setting).collect();
    assert!(!format!("{found:?}").contains("canary"));
    format!("{proof}\n    {project:?} {region:?} {auth_url:?} {ca_file:?}{origins}")
}

fn check(name: &str, rows: &[&[(&str, &str)]]) {
    let line = |row: &&[(&str, &str)]| {
        let names: Vec<String> =
            row.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}\n  {}\n", names.join(" "), find(row))
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

const ALL: [(&str, &str); 10] = [
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
fn one_way_alone() {
    let all = Conventions::new(ALL);
    let mut shown = format!("any\n  {}\n", told(&all));
    for auth in [Auth::Token, Auth::AccessKey, Auth::Password] {
        shown += &format!("{auth:?}\n  {}\n", told(&all.clone().only(auth)));
        let found = all.clone().only(auth).find().unwrap().unwrap();
        assert!((found.auth(), found.names_a_project()) == (auth, auth != Auth::Token));
    }
    let none = Conventions::new(ALL[..3].iter().copied());
    shown += &format!("Password, which is not there\n  {}\n", told(&none.only(Auth::Password)));
    for (variables, what) in [(&ALL[..], "all"), (&ALL[3..], "OpenStack's"), (&[], "nothing")] {
        let file = Conventions::new(variables.iter().copied()).token_file("/run/token");
        shown += &format!("a file, beside {what}\n  {}\n", told(&file));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn a_project_given_is_the_one_that_a_login_asks_for() {
    let login = Conventions::new(ALL[4..].iter().copied()).find().unwrap().unwrap();
    assert!(login.names_a_project());
    let login = login.with_project("4b8c".parse().unwrap());
    let Proof::Password(asked, _) = &login.proof else { panic!("a login") };
    assert!(asked.told().contains(r#"Some("id 4b8c")"#), "{}", asked.told());
    assert_eq!(login.project.as_ref().map(ProjectId::as_str), Some("4b8c"));
    assert!(login.settings().all(|setting| setting.what != "project's name"));
}

const CLOUDS: &str = "\
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

/// Replaces a folder's name, which differs from run to run.
fn within(folder: &Folder, variables: &[(&str, &str)]) -> String {
    find(variables).replace(folder.path(), "~")
}

#[test]
fn clouds_in_files() {
    let folder = Folder::new("clouds");
    let file = folder.file("clouds.yaml", CLOUDS);
    let mut shown = String::new();
    for cloud in ["otc", "half", "keys", "empty", "none"] {
        let found = within(&folder, &[("OS_CLOUD", cloud), ("OS_CLIENT_CONFIG_FILE", &file)]);
        shown += &format!("{cloud}\n  {found}\n");
    }
    folder.file("secure.yaml", "clouds: {half: {auth: {password: canary, user_domain_name: D}}}");
    let half = [("OS_CLOUD", "half"), ("OS_CLIENT_CONFIG_FILE", &file)];
    shown += &format!("half, and a secure.yaml\n  {}\n", within(&folder, &half));
    // What holds no secret may be read by all.
    folder.mode("clouds.yaml", 0o644);
    let keys = [("OS_CLOUD", "keys"), ("OS_CLIENT_CONFIG_FILE", &file)];
    shown += &format!("half, for all to read\n  {}\n", within(&folder, &half));
    shown += &format!("keys, for all to read\n  {}\n", within(&folder, &keys));
    folder.mode("secure.yaml", 0o604);
    shown += &format!("half, its secret for all to read\n  {}\n", within(&folder, &half));
    insta::assert_snapshot!(shown);
}

#[test]
fn clouds_are_looked_for_at_home() {
    let folder = Folder::new("home");
    folder.file(".config/openstack/clouds.yaml", CLOUDS);
    let found = within(&folder, &[("OS_CLOUD", "keys"), ("HOME", folder.path())]);
    assert!(
        found.contains("secret key (set) from ~/.config/openstack/clouds.yaml clouds.keys.auth.sk"),
        "{found}"
    );
}

#[test]
fn files_that_cannot_be_read() {
    let folder = Folder::new("broken");
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
        let found = within(&folder, &[("OS_CLOUD", "otc"), ("OS_CLIENT_CONFIG_FILE", &file)]);
        shown += &format!("{text:?}\n  {found}\n");
    }
    for text in
        ["[basic]\nak = AK\nsk canary =\n", "[basic\nsk = canary", "[basic]\nak = AK\ncanary\n"]
    {
        let file = folder.file("credentials", text);
        let found = within(&folder, &[("HUAWEICLOUD_SDK_CREDENTIALS_FILE", &file)]);
        shown += &format!("{text:?}\n  {found}\n");
    }
    let folder_itself = within(&folder, &[("HUAWEICLOUD_SDK_CREDENTIALS_FILE", folder.path())]);
    shown += &format!("a folder\n  {folder_itself}\n");
    let file = folder.file("clouds.yaml", CLOUDS);
    let cloud = Conventions::new([("OS_CLOUD", "otc"), ("OS_CLIENT_CONFIG_FILE", &file)]);
    let token = told(&cloud.only(Auth::Token)).replace(folder.path(), "~");
    shown += &format!("no token\n  {token}\n");
    let none = folder.0.join("none");
    let none = within(&folder, &[("HUAWEICLOUD_SDK_CREDENTIALS_FILE", none.to_str().unwrap())]);
    shown += &format!("no such file\n  {none}\n");
    for line in shown.lines().filter(|line| line.starts_with("  ")) {
        assert!(!line.contains("canary"), "{line}");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn the_vendors_file() {
    let folder = Folder::new("vendor");
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
        let found = within(&folder, &[("HOME", folder.path())]);
        shown += &format!("{text:?}\n  {found}\n");
    }
    folder.file(".huaweicloud/credentials", texts[0]);
    for mode in [0o600, 0o640, 0o644] {
        folder.mode(".huaweicloud/credentials", mode);
        let found = within(&folder, &[("HOME", folder.path())]);
        shown += &format!("{mode:o}\n  {}\n", found.lines().next().unwrap());
    }
    // The environment goes before it.
    let found = within(&folder, &[("HOME", folder.path()), ("OS_TOKEN", "MIIF")]);
    assert!(found.starts_with("token MIIF"), "{found}");
    insta::assert_snapshot!(shown);
}

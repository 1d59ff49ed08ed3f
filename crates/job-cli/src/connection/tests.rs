//! Tests of the settings that result from flags and environment variables.

use std::ffi::OsString;

use clap::Parser;
use job_transport::{
    FetchError,
    transport::{RequestSent, TransportError, TransportErrorKind, display_chain},
};

use super::*;

#[derive(Parser)]
struct TestCommandLine {
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Returns the table of the settings for these flags and variables, and the error if something is
/// missing or wrong.
fn settings_or_error(line: &str, variables: &[(&str, &str)]) -> String {
    let words = shell_words::split(&format!("cce-job {line}")).unwrap();
    let connection = TestCommandLine::parse_from(words).connection;
    let value = |name: &str| {
        let variable = variables.iter().find(|(variable, _)| *variable == name);
        variable.map(|(_, value)| os_value(value))
    };
    let chain = CredentialChain::new(variables.iter().copied());
    let settings = connection.resolve(chain, &ProxyVariables::from_lookup(value));
    let settings = match settings.or_exit(Exit::Usage) {
        Ok(settings) => settings,
        Err(error) => {
            assert_eq!(Exit::from_error(&error), Exit::Usage);
            return format!("error: {}\n", display_chain(&*error));
        }
    };
    let rows = crate::commands::config::settings_table(&settings, &[]);
    match settings.check() {
        Ok(()) => rows,
        Err(error) => {
            assert_eq!(Exit::from_error(&error), Exit::Usage);
            format!("{rows}error: {}\n", display_chain(&*error))
        }
    }
}

/// Returns the value of a variable, with a part that is not valid Unicode for each `!`.
#[cfg(unix)]
fn os_value(text: &str) -> OsString {
    use std::os::unix::ffi::OsStringExt;

    let bytes = text.bytes().map(|byte| if byte == b'!' { 0xff } else { byte });
    OsString::from_vec(bytes.collect())
}

#[cfg(windows)]
fn os_value(text: &str) -> OsString {
    use std::os::windows::ffi::OsStringExt;

    let units = text.encode_utf16();
    let units = units.map(|unit| if unit == u16::from(b'!') { 0xd800 } else { unit });
    OsString::from_wide(&units.collect::<Vec<_>>())
}

#[test]
fn settings_show_their_value_and_source() {
    let token: &[_] = &[("OS_TOKEN", "canary"), ("OS_PROJECT_ID", "p")];
    let login: &[_] = &[
        ("OS_USERNAME", "user"),
        ("OS_PASSWORD", "canary"),
        ("OS_USER_DOMAIN_NAME", "OTC1"),
        ("OS_AUTH_URL", "https://iam.eu-nl.otc.t-systems.com/v3"),
        ("OS_PROJECT_NAME", "eu-nl_x"),
    ];
    let key: &[_] = &[
        ("HW_ACCESS_KEY", "AK"),
        ("HW_SECRET_KEY", "canary"),
        ("HW_REGION_NAME", "cn-north-4"),
        ("HW_PROJECT_ID", "p"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "canary\n").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let token_file = format!("--region eu-de --token-file {}", file.display());
    let rows = [
        ("--endpoint https://cce.example:8443/", token),
        ("--region eu-de --project q", token),
        ("--region eu-west-101 --cloud huawei", token),
        ("--region eu-de --cloud huawei --proxy http://proxy.example:3128", token),
        ("", key),
        ("--region eu-de", key),
        ("", login),
        ("--project q", login),
        (&token_file, &[("HW_PROJECT_ID", "p")]),
        ("--region eu-west-0 --cloud prod-cloud-ocb.orange-business.com", key),
        ("--auth metadata --region cn-north-4", token),
        (
            "--project q",
            &[("OS_TOKEN", "canary"), ("OS_REGION_NAME", "eu-de"), ("HW_INSECURE", "1")],
        ),
        (&token_file, &[]),
        (
            "",
            &[("OS_TOKEN", "canary"), ("OS_REGION_NAME", "eu-de"), ("OS_PROJECT_NAME", "eu-de_x")],
        ),
        (
            "",
            &[
                ("OS_TOKEN", "canary"),
                ("OS_REGION_NAME", "eu-de"),
                ("OS_AGENCY_NAME", "ops"),
                ("OS_AGENCY_DOMAIN_NAME", "other"),
            ],
        ),
        (
            "",
            &[
                ("OS_TOKEN", "canary"),
                ("OS_AUTH_URL", "https://iam.eu-de.otc.t-systems.com:443/v3"),
            ],
        ),
        (
            "",
            &[
                ("OS_TOKEN", "canary"),
                ("OS_PROJECT_ID", "p"),
                ("OS_REGION_NAME", "eu-west-0"),
                ("OS_AUTH_URL", "https://iam.eu-west-0.prod-cloud-ocb.orange-business.com/v3"),
            ],
        ),
        // Settings that do not determine the cloud, or contradict each other.
        ("--region eu-west-0", key),
        ("--region cn-north-4", token),
        ("--region eu-nl --cloud huawei", login),
        (
            "",
            &[
                ("OS_TOKEN", "canary"),
                ("OS_AUTH_URL", "https://iam.eu-de.otc.t-systems.com:8443/v3"),
            ],
        ),
        (
            "",
            &[
                ("OS_TOKEN", "canary"),
                ("OS_AUTH_URL", "https://10.0.0.1/v3"),
                ("OS_REGION_NAME", "eu-de"),
            ],
        ),
        (
            "",
            &[
                ("OS_TOKEN", "canary"),
                ("OS_AUTH_URL", "https://iam.eu-yy.cloud.example/v3"),
                ("OS_REGION_NAME", "eu-xx"),
            ],
        ),
        (
            "",
            &[("HW_ACCESS_KEY", "AK"), ("HW_SECRET_KEY", "canary"), ("HW_ASSUME_ROLE_IDP_ID", "x")],
        ),
        // Missing or invalid settings.
        ("", &[]),
        ("--region eu-de", &[]),
        ("--region eu-de", &token[..1]),
        ("--region eu-de", &login[..4]),
        ("--auth password --region eu-de", token),
        ("--auth aksk --region eu-de", token),
        ("--auth aksk --token-file x", token),
        ("--token-file /none/token", token),
        ("--region eu-de --ca-file /none/ca.pem", token),
        ("--region EU-DE", token),
        ("--endpoint http://cce.example", token),
        ("--endpoint https://user:canary@cce.example", token),
        ("--endpoint cce.example", token),
        ("--proxy http://user:canary@proxy.example", token),
        ("--proxy socks5://proxy.example", token),
        ("--region eu-de --proxy env", token),
        ("--region eu-de --extra-ca-file /none/ca.pem", token),
        ("--region eu-de --client-cert /none/client.pem", token),
        ("", &[("OS_TOKEN", "can ary")]),
        ("", &[("HW_ACCESS_KEY", "AK")]),
    ];
    let table = rows.map(|(line, variables)| {
        let names: Vec<_> = variables.iter().map(|(name, _)| *name).collect();
        let output = settings_or_error(line, variables);
        assert!(!output.contains("canary"), "{line}: {output}");
        format!("$ {line} {}\n{output}\n", names.join(" "))
    });
    let table = table.concat().replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(table);
}

#[test]
fn hints_about_an_unknown_host_name_the_setting_that_determined_it() {
    const GIVEN: &str = "HUAWEICLOUD_SDK_REGION_CCE_EU_DE";
    let of_region = |source: &str| {
        format!("Check the region eu-de (from {source}). Examples: eu-de, eu-nl, cn-north-4.")
    };
    let of_endpoint = "Check the host name, or use --region (such as eu-de) instead of --endpoint.";
    let of_variable = format!("Check the host name (from {GIVEN}).");
    let of_service =
        |name: &str, source: &str| format!("Check the URL of the {name} service (from {source}).");
    let host = "https://cce.eu-de.otc.t-systems.com";
    let token: &[_] = &[("OS_TOKEN", "canary"), ("OS_PROJECT_ID", "p")];
    let given = &[token, &[(GIVEN, host)]].concat();
    let auth_url = &[token, &[("OS_AUTH_URL", "https://iam.eu-de.otc.t-systems.com/v3")]].concat();
    let key: &[_] = &[
        ("HUAWEICLOUD_SDK_AK", "AK"),
        ("HUAWEICLOUD_SDK_SK", "canary"),
        ("HUAWEICLOUD_SDK_IAM_ENDPOINT", "https://iam.eu-de.typo.invalid"),
        (GIVEN, host),
    ];
    let cloud: &[_] = &[
        ("HUAWEICLOUD_SDK_AK", "AK"),
        ("HUAWEICLOUD_SDK_SK", "canary"),
        ("HW_CLOUD", "typo.invalid"),
        (GIVEN, "https://gateway.example"),
    ];
    let oidc: &[_] = &[
        ("HUAWEICLOUD_OIDC_PROVIDER_URN", "iam::1:provider"),
        ("HUAWEICLOUD_OIDC_AGENCY_URN", "iam::1:agency"),
        ("HUAWEICLOUD_OIDC_TOKEN_FILE", "/token"),
        ("HUAWEICLOUD_SDK_PROJECT_ID", "p"),
        ("HUAWEICLOUD_SDK_STS_ENDPOINT", "https://sts.eu-de.typo.invalid:8443"),
    ];
    let endpoint = format!("--endpoint {host}");
    let autopilot = format!("--autopilot {endpoint}");
    let service = "cce.eu-de.otc.t-systems.com";
    let identity = "iam.eu-de.otc.t-systems.com";
    let rows = [
        ("--region eu-de", token, service, of_region("--region")),
        ("--region eu-de --cloud otc --autopilot", token, service, of_region("--region")),
        ("", auth_url, service, of_region("OS_AUTH_URL")),
        (&endpoint, token, service, of_endpoint.into()),
        (&autopilot, token, service, of_endpoint.into()),
        (&endpoint, auth_url, service, of_endpoint.into()),
        ("--region eu-de", given, service, of_variable.clone()),
        ("--region eu-de --autopilot", given, service, of_variable.clone()),
        // The identity service, and the token service.
        ("--region eu-de", token, identity, of_region("--region")),
        (&endpoint, token, identity, of_endpoint.into()),
        ("", auth_url, identity, of_service("identity", "OS_AUTH_URL")),
        (&endpoint, auth_url, identity, of_service("identity", "OS_AUTH_URL")),
        ("--region eu-de", key, service, of_variable),
        (
            "--region eu-de",
            key,
            "iam.eu-de.typo.invalid",
            of_service("identity", "HUAWEICLOUD_SDK_IAM_ENDPOINT"),
        ),
        ("--region eu-de", cloud, "iam.eu-de.typo.invalid", of_service("identity", "HW_CLOUD")),
        (
            "--region eu-de --cloud otc",
            oidc,
            "sts.eu-de.typo.invalid:8443",
            of_service("token", "HUAWEICLOUD_SDK_STS_ENDPOINT"),
        ),
    ];
    for (line, variables, host, expected) in rows {
        let words = shell_words::split(&format!("cce-job {line}")).unwrap();
        let connection = TestCommandLine::parse_from(words).connection;
        let chain = CredentialChain::new(variables.iter().copied());
        let settings = connection.resolve(chain, &ProxyVariables::from_lookup(|_| None)).unwrap();
        let dns = TransportError::new(TransportErrorKind::Dns, RequestSent::No).with_host(host);
        let hint = settings.hints().for_fetch_error(&FetchError::from(dns));
        assert_eq!(hint.as_deref(), Some(&*expected), "{line} {variables:?} {host}");
    }
}

#[test]
fn the_proxy_comes_from_the_flag_or_https_proxy() {
    let rows: [(&str, &[(&str, &str)]); 19] = [
        ("", &[("HTTPS_PROXY", "http://user:canary@proxy.example:3128")]),
        ("", &[("https_proxy", "proxy.example:3128")]),
        ("", &[("HTTPS_PROXY", "http://upper.example"), ("https_proxy", "http://lower.example")]),
        ("", &[("HTTPS_PROXY", ""), ("https_proxy", "http://lower.example")]),
        ("", &[("ALL_PROXY", "http://proxy.example"), ("HTTP_PROXY", "http://proxy.example")]),
        ("--proxy env", &[("ALL_PROXY", "http://proxy.example")]),
        (
            "--proxy env",
            &[("all_proxy", "http://all.example"), ("https_proxy", "http://p.example")],
        ),
        ("--proxy none", &[("HTTPS_PROXY", "http://proxy.example")]),
        ("--proxy http://flag.example", &[("HTTPS_PROXY", "http://proxy.example")]),
        ("", &[("HTTPS_PROXY", "http://proxy.example"), ("NO_PROXY", "otc.t-systems.com")]),
        ("", &[("HTTPS_PROXY", "http://proxy.example"), ("no_proxy", "*")]),
        ("--endpoint https://127.0.0.1:8443", &[("HTTPS_PROXY", "http://proxy.example")]),
        ("", &[("HTTPS_PROXY", "socks5://user:canary@proxy.example")]),
        ("", &[("https_proxy", "can ary")]),
        ("--proxy none", &[("HTTPS_PROXY", "can ary")]),
        ("", &[("HTTPS_PROXY", "http://canary!.example")]),
        ("--proxy env", &[("all_proxy", "http://canary!.example")]),
        ("", &[("HTTPS_PROXY", "http://proxy.example"), ("no_proxy", "canary!")]),
        ("--proxy none", &[("HTTPS_PROXY", "http://canary!.example")]),
    ];
    let table = rows.map(|(line, variables)| {
        let endpoint = if line.contains("--endpoint") { "" } else { "--region eu-de " };
        let token = [("OS_TOKEN", "canary"), ("OS_PROJECT_ID", "p")];
        let output = settings_or_error(&format!("{endpoint}{line}"), &[&token, variables].concat());
        assert!(!output.contains("canary"), "{line}: {output}");
        let names = variables.iter().map(|(name, value)| format!(" {name}={value}"));
        let names = names.collect::<String>().replace("canary", "PASSWORD");
        let shown =
            output.lines().filter(|line| line.starts_with("proxy") || line.contains("error"));
        format!("$ {line}{names}\n{}\n\n", shown.collect::<Vec<_>>().join("\n"))
    });
    insta::assert_snapshot!(table.concat());
}

#[test]
fn quotas_are_shared_between_processes_with_the_same_host_and_caller() {
    let key = |endpoint: &str, access_key: &str| {
        let line = format!("cce-job --endpoint {endpoint} --project p");
        let connection = TestCommandLine::parse_from(shell_words::split(&line).unwrap()).connection;
        let keys = [("HUAWEICLOUD_SDK_AK", access_key), ("HUAWEICLOUD_SDK_SK", "secret")];
        let none = ProxyVariables::from_lookup(|_| None);
        connection.resolve(CredentialChain::new(keys), &none).unwrap().quota_key()
    };
    let one = key("https://cce.example.com", "A");
    assert!(one.is_some());
    assert_eq!(one, key("https://CCE.example.com:443/", "A"));
    assert_ne!(one, key("https://cce.example.org", "A"));
    assert_ne!(one, key("https://cce.example.com", "B"));
    for loopback in ["https://localhost:8443", "https://127.0.0.1", "https://[::1]:1"] {
        assert_eq!(key(loopback, "A"), None, "{loopback}");
    }
}

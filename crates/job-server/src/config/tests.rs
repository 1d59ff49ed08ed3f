//! Tests of the configuration.

use std::fs;

use super::*;

const PROJECT: &str = r#"
    [[projects]]
    name = "production"
    id = "10d0b3a1"
    endpoint = "https://cce.eu-de.otc.t-systems.com"
    credentials = { token_env = "PATH" }
"#;

fn error(text: &str) -> String {
    format!("{:#}", Config::parse(text).unwrap_err())
}

#[test]
fn each_reference_to_credentials_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        files::create_private(&path).unwrap();
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let token = file("token", "a-token");
    let key = file("credentials", "[basic]\nak = AK\nsk = SK\n");
    let clouds = file(
        "clouds.yaml",
        "clouds:\n  prod:\n    auth_type: v3token\n    auth:\n      token: t\n      \
         auth_url: https://iam.eu-de.otc.t-systems.com/v3\n",
    );
    let rows = [
        "{ token_env = \"PATH\" }".to_owned(),
        format!("{{ token_file = {token:?} }}"),
        "{ access_key_env = { id = \"PATH\", secret = \"PATH\" } }".to_owned(),
        format!("{{ access_key_file = {key:?} }}"),
        format!("{{ cloud = {{ name = \"prod\", file = {clouds:?} }} }}"),
        "\"metadata\"".to_owned(),
    ];
    for row in rows {
        let config = Config::parse(&PROJECT.replace("{ token_env = \"PATH\" }", &row)).unwrap();
        let projects = config.projects().unwrap_or_else(|error| panic!("{row}: {error:#}"));
        assert_eq!(projects[0].id.as_str(), "10d0b3a1");
    }
}

#[test]
fn files_that_are_too_large_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large");
    for (length, is_too_large) in [(1 << 20, false), ((1 << 20) + 1, true)] {
        fs::write(&file, "#".repeat(length)).unwrap();
        let errors = [Config::read(&file).map(drop), tls(Some(&file)).map(drop)];
        for error in errors.map(|result| format!("{:#}", result.unwrap_err())) {
            assert_eq!(error.contains("larger than 1 MiB"), is_too_large, "{error}");
        }
    }
}

#[test]
fn mistakes_are_named() {
    let twice = format!("{PROJECT}{PROJECT}");
    let rows = [
        ("", "missing field `projects`"),
        ("projects = []", "no [[projects]]"),
        (&twice, "the name or id production is used by two projects"),
        (&twice.replacen("\"production\"", "\"10d0b3a1\"", 1), "the name or id 10d0b3a1"),
        (&PROJECT.replace("production", "a/b"), "the project name \"a/b\""),
        (
            &PROJECT.replace("token_env", "password"),
            "line 6, column 21: unknown variant, expected one of `token_env`",
        ),
        (&PROJECT.replace("name =", "title ="), "unknown field `title`"),
        (&format!("{PROJECT}\n[limits]\nmax_in_flight = 0"), "max_in_flight must be at least 1"),
        (&format!("{PROJECT}\n[limits]\nrequests_per_second = 0"), "requests_per_second"),
        (&format!("queues = [\"billing\", \"\"]\n{PROJECT}"), "queues has an empty name"),
    ];
    for (text, expected) in rows {
        assert!(error(text).contains(expected), "{}", error(text));
    }
    let rows = [
        (
            PROJECT.replace("\"PATH\"", "\"CCE_NO_SUCH_VARIABLE\""),
            "CCE_NO_SUCH_VARIABLE is not set",
        ),
        (PROJECT.replace("https:", "http:"), "the project production"),
        (PROJECT.replace("token_env = \"PATH\"", "token_file = \"/none\""), "/none"),
    ];
    for (text, expected) in rows {
        let error = Config::parse(&text).unwrap().projects().map(drop);
        // A token file is read at the first request, because another program may create it later.
        if let Err(error) = error {
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        } else {
            assert!(text.contains("token_file"), "{text}");
        }
    }
}

#[test]
fn an_error_does_not_contain_a_secret() {
    let reference = "{ token_env = \"PATH\" }";
    let values = [
        "{ password = \"hunter2\" }",
        "\"hunter2\"",
        "{ token_env = [\"hunter2\"] }",
        "{ access_key_env = \"hunter2\" }",
        "{ access_key_env = { id = \"PATH\", secret = [\"hunter2\"] } }",
        "{ cloud = \"hunter2, expected hunter2\" }",
        "{ token_env = hunter2 }",
        "{ token_env = \"hunter2 }",
        "{ token_env = \"hunter2\" \"hunter2\" }",
        "{ token_env = \"\\hunter2\" }",
        "[\"hunter2\"]",
    ];
    for value in values {
        let error = error(&PROJECT.replace(reference, value));
        assert!(error.starts_with("line 6, column "), "{value}: {error}");
        assert!(!error.contains("hunter2"), "{value}: {error}");
    }
    for text in ["autopilot = \"hunter2\"", "ca_file = [\"hunter2\"]"] {
        let error = error(&format!("{PROJECT}{text}"));
        assert!(error.contains("invalid type, expected") && !error.contains("hunter2"), "{error}");
    }
    let text = format!("{PROJECT}[webhooks]\nallow = []\nkey_env = {{ key = \"hunter2\" }}");
    assert!(!error(&text).contains("hunter2"), "{}", error(&text));
}

#[test]
fn webhooks_need_a_key_and_an_allow_list() {
    let rows = [
        ("key_env = \"CCE_NO_SUCH_VARIABLE\"\nallow = []", "CCE_NO_SUCH_VARIABLE is not set"),
        ("key_env = []\nallow = []", "names no variable"),
        ("key_env = \"PATH\"\nallow = [\"https://hooks.example.com\"]", "the key in PATH"),
    ];
    for (text, expected) in rows {
        let config = Config::parse(&format!("{PROJECT}\n[webhooks]\n{text}")).unwrap();
        let error = format!("{:#}", config.webhook().map(drop).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }
    assert!(Config::parse(PROJECT).unwrap().webhook().unwrap().is_none());
}

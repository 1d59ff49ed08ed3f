//! What is taken as a token, and that none is ever shown.

use super::*;

#[test]
fn tokens() {
    let longest = "a".repeat(MAX_TOKEN_BYTES);
    let rows = [
        (longest.clone(), None),
        ("MIIFvg/+=".into(), None),
        (String::new(), Some(CredentialsError::Empty)),
        (longest + "a", Some(CredentialsError::TooLong)),
        ("token\r\nX-Evil: 1".into(), Some(CredentialsError::Character)),
        ("token\n".into(), Some(CredentialsError::Character)),
        ("tok\0en".into(), Some(CredentialsError::Character)),
        ("two tokens".into(), Some(CredentialsError::Character)),
        ("tökén".into(), Some(CredentialsError::Character)),
    ];
    for (token, expected) in rows {
        assert_eq!(Credentials::token(&*token).err(), expected, "{:.20}", token.escape_debug());
    }
}

#[test]
fn nothing_shows_a_secret() {
    let key = AccessKey::new("AKID", "canary").unwrap().with_security_token("canary").unwrap();
    let rows = [
        (Credentials::token("canary").unwrap(), "Token(..)"),
        (Credentials::access_key(key), "AccessKey { access_key: \"AKID\", .. }"),
    ];
    for (credentials, shown) in rows {
        assert_eq!(format!("{credentials:?}"), shown);
        assert!(!format!("{credentials:#?}").contains("canary"));
    }
}

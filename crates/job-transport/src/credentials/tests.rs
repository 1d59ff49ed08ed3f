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
fn nothing_shows_the_token() {
    let credentials = Credentials::token("canary").unwrap();
    let mut headers = HeaderMap::new();
    credentials.authenticate(&mut headers).unwrap();
    assert_eq!(headers[X_AUTH_TOKEN], "canary");
    assert!(headers[X_AUTH_TOKEN].is_sensitive());
    let shown = format!("{credentials:?} {credentials:#?} {headers:?}");
    assert!(!shown.contains("canary"), "{shown}");
}

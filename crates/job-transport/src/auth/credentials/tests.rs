//! Tests which tokens are valid, and that `Debug` prints none.

use super::*;
use crate::auth::secret;

#[test]
fn tokens_reject_empty_long_and_invalid_texts() {
    let longest = "a".repeat(secret::MAX_TOKEN_BYTES);
    let rows = [
        (longest.clone(), None),
        ("MIIFvg/+=".into(), None),
        (String::new(), Some(InvalidCredential::Empty)),
        (longest + "a", Some(InvalidCredential::TooLong)),
        ("token\r\nX-Evil: 1".into(), Some(InvalidCredential::InvalidCharacter)),
        ("token\n".into(), Some(InvalidCredential::InvalidCharacter)),
        ("tok\0en".into(), Some(InvalidCredential::InvalidCharacter)),
        ("two tokens".into(), Some(InvalidCredential::InvalidCharacter)),
        ("tökén".into(), Some(InvalidCredential::InvalidCharacter)),
    ];
    for (token, expected) in rows {
        assert_eq!(Credentials::token(&*token).err(), expected, "{:.20}", token.escape_debug());
    }
}

#[test]
fn requests_share_one_copy_of_a_token() {
    let token = secret::SecretHeader::from(secret::parse_secret("canary".into()).unwrap());
    let [first, second] = [token.value().unwrap(), token.value().unwrap()];
    assert_eq!((&first, format!("{first:?}")), (&second, "Sensitive".into()));
    assert_eq!(first, "canary");
    assert!(std::ptr::eq(first.as_bytes(), second.as_bytes()));
}

#[test]
fn debug_output_hides_secrets() {
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

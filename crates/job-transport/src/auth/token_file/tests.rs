//! Files as they are found, and what is told of them.

use std::{env, error::Error};

use super::*;

#[test]
fn token_files_yield_a_token_or_an_error() {
    let folder = env::temp_dir().join(format!("job-transport-{}-token", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("token");
    let read = || match TokenFile::new(&file).read() {
        Ok(provided) => format!("{provided:?}"),
        Err(error) => {
            assert_eq!(error.class(), ErrorClass::Transient);
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            format!("{error}: {cause}").replace(&file.display().to_string(), "FILE")
        }
    };
    let rows = [
        (None, "FILE cannot be read: No such file or directory (os error 2)"),
        (
            Some("canary"),
            "ProvidedCredential { credential: Token(..), lifetime: None, project: None }",
        ),
        (
            Some(" canary\r\n"),
            "ProvidedCredential { credential: Token(..), lifetime: None, project: None }",
        ),
        (Some("\n"), "FILE holds no token: the token or key is empty"),
        (
            Some("canary canary"),
            "FILE holds no token: the token or key has a blank, a line break or another character \
             that none has; was it copied whole and alone?",
        ),
    ];
    for (text, expected) in rows {
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        assert_eq!(read(), expected, "{text:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}
